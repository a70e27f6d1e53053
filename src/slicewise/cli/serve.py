"""The options of `slicewise serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from slicewise.cli.options import BundlePath
from slicewise.errors import ConfigError


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; default 8000.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes; default 1.")
    ] = None,
    bundle: BundlePath = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of one forward pass; default 1.")
    ] = None,
    challenger: Annotated[
        Path | None, typer.Option(help="A second bundle to try beside the first.")
    ] = None,
    challenger_share: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of inputs it answers; 0, the default, runs it in shadow."
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL; default sqlite:///slicewise.db.")
    ] = None,
) -> None:
    """Answer over HTTP: API, metrics and page in one process.

    Everything else is set by variables that begin with SLICEWISE_; options come before them.
    """
    if os.name == "nt":
        raise ConfigError("slicewise serve: expected Linux or macOS; on Windows use WSL")
    from slicewise.service.server import serve as run
    from slicewise.service.settings import read_settings

    run(
        read_settings(
            host=host,
            port=port,
            workers=workers,
            bundle=bundle,
            threads=threads,
            challenger=challenger,
            challenger_share=challenger_share,
            database_url=database,
        )
    )
