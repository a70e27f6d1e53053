"""The command line: its commands, and how it ends.

The options of `slicewise NAME` stand in `cli/NAME.py`, which imports nothing heavy outside of its
functions.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from slicewise.cli.audit import audit
from slicewise.cli.data import data
from slicewise.cli.evaluate import evaluate
from slicewise.cli.keys import keys
from slicewise.cli.monitor import monitor
from slicewise.cli.predict import predict
from slicewise.cli.serve import serve
from slicewise.cli.train import train
from slicewise.errors import SliceWiseError

app = typer.Typer(
    name="slicewise",
    help="Brain MRI slices to answers that can be checked. Research only, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(predict)
app.add_typer(data, name="data")
app.command()(train)
app.command()(evaluate)
app.command()(serve)
app.command()(monitor)
app.add_typer(audit, name="audit")
app.add_typer(keys, name="keys")

INTERRUPTED = 130
"""Exit code after Ctrl+C."""


def main() -> None:
    """Run the command line: exit 0 done, 1 the work failed, 2 wrong use, 130 interrupted."""
    try:
        app()
    except SliceWiseError as error:
        typer.echo(f"slicewise: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        typer.echo(f"slicewise: {error.filename or 'a file'}: {error.strerror}", err=True)
        sys.exit(1)
    except SystemExit as ended:  # what Typer makes of Ctrl+C has the code of a killed process
        if ended.code == INTERRUPTED:
            typer.echo("slicewise: interrupted", err=True)
        raise


def _version(wanted: bool) -> None:
    if wanted:
        from slicewise import __version__

        typer.echo(f"slicewise {__version__}")
        raise typer.Exit


@app.callback()
def slicewise(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Brain MRI slices to answers that can be checked. Research only, not a medical device."""
