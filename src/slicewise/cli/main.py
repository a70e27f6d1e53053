"""The command line: its commands, and how it ends.

`slicewise NAME` stands in `cli/NAME.py`, which imports nothing heavy outside of its functions.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from slicewise.cli.audit import audit
from slicewise.cli.data import data
from slicewise.cli.doctor import doctor
from slicewise.cli.evaluate import evaluate
from slicewise.cli.keys import keys
from slicewise.cli.monitor import monitor
from slicewise.cli.options import show
from slicewise.cli.predict import predict
from slicewise.cli.serve import serve
from slicewise.cli.train import train
from slicewise.errors import ConfigError, SliceWiseError

app = typer.Typer(
    name="slicewise",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help is shown in a third of the time, and in every terminal
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
app.command()(doctor)

INTERRUPTED = 130  # exit code after Ctrl+C


def main() -> None:
    """Run the command line: exit 0 done, 1 the work failed, 2 wrong use, 130 interrupted."""
    _open_streams()
    try:
        try:
            app()
        finally:
            _flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.exit(1)
    except SliceWiseError as error:
        _fail(str(error), 2 if isinstance(error, ConfigError) else 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")
    except SystemExit as ended:  # what Typer makes of Ctrl+C has the code of a killed process
        if ended.code == INTERRUPTED:
            show("slicewise: interrupted", err=True)
        raise


def _open_streams() -> None:
    """Nothing that is printed fails for a character that the terminal or file cannot hold."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """Write out what is printed; if that fails, once, and not again when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _fail(text: str, code: int = 1) -> None:
    show(f"slicewise: {text}", err=True)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        from slicewise import __version__

        show(f"slicewise {__version__}")
        raise typer.Exit


@app.callback()
def slicewise(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Brain MRI slices to answers that can be checked. Research only, not a medical device."""
