"""Options that more than one command has, and how commands print."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from slicewise.errors import MissingExtraError
from slicewise.files import json_text
from slicewise.text import printable

ManifestPath = Annotated[
    Path, typer.Argument(help="The manifest, a .csv or .parquet file.", metavar="MANIFEST")
]
BundlePath = Annotated[
    Path | None,
    typer.Option(
        help="The bundle to use, a folder or a .zip. The default is the model that is installed."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="Threads of one forward pass. The default is 1."),
]
Database = Annotated[
    str | None,
    typer.Option(
        help="The SQLAlchemy URL of the database. The default is SLICEWISE_DATABASE_URL, "
        "else sqlite:///slicewise.db."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def require_extra(what: str, extra: str, module: str) -> None:
    """Raise a MissingExtraError, before any of it is imported, if a module is not installed."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(what, extra)


def show(text: str, *, err: bool = False) -> None:
    """Print text; control characters that a name in it may hold become escapes."""
    lines = map(printable, text.split("\n"))
    print("\n".join(lines), file=sys.stderr if err else sys.stdout)


def show_json(content: Any) -> None:
    """Print JSON that the terminal or file behind stdout can hold."""
    print(json_text(content, indent=2, encoding=sys.stdout.encoding))
