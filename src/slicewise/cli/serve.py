"""`slicewise serve`: the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from slicewise.cli.options import BundlePath, Database, Threads
from slicewise.errors import ConfigError


def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. The default is 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port to listen on. The default is 8000."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="The number of processes. The default is 1.")
    ] = None,
    bundle: BundlePath = None,
    threads: Threads = None,
    challenger: Annotated[
        Path | None,
        typer.Option(help="A second bundle to try beside the first. There is none by default."),
    ] = None,
    challenger_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The share of inputs that the challenger answers. The default is 0: it runs in "
            "shadow.",
        ),
    ] = None,
    database: Database = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart when the code changes; for development.")
    ] = False,
) -> None:
    """Serve predictions over HTTP: the API, metrics and the page.

    All other settings are environment variables that begin with SLICEWISE_. An option takes
    precedence over its variable.
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
            reload=reload or None,
        )
    )
