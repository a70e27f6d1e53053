"""Options that more than one command has, and what a command asks for before it starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from slicewise.errors import MissingExtraError

Manifest = Annotated[Path, typer.Argument(help="Manifest, .csv or .parquet.", metavar="M")]
BundlePath = Annotated[
    Path | None, typer.Option(help="Bundle folder or zip; default the bundled model.")
]
Threads = Annotated[int, typer.Option(min=1, help="Threads of one forward pass.")]


def require_extra(what: str, extra: str, module: str) -> None:
    """Say in one line what to install, before any of it is imported.

    Args:
        what: What needs it, in words.
        extra: Name of the extra.
        module: A module that the extra brings.

    Raises:
        MissingExtraError: If the module is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(what, extra)
