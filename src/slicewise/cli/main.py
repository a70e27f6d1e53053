"""The command line: its commands, and how it ends.

`slicewise NAME` stands in `cli/NAME.py`, which imports nothing heavy outside of its functions.
"""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from slicewise.cli.audit import audit
from slicewise.cli.data import data
from slicewise.cli.doctor import doctor
from slicewise.cli.evaluate import evaluate
from slicewise.cli.keys import keys
from slicewise.cli.models import models
from slicewise.cli.monitor import monitor
from slicewise.cli.options import show
from slicewise.cli.predict import predict
from slicewise.cli.serve import serve
from slicewise.cli.train import train
from slicewise.errors import ConfigError, SliceWiseError, plain
from slicewise.files import named

INTERRUPTED = 130  # exit code after Ctrl+C
STDOUT = "standard output"


class Commands(TyperGroup):
    """All commands; a wrong value of an option is told in the words of `slicewise.config`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as wrong:
            from slicewise.config import expected

            for item in getattr(wrong.__cause__, "errors", list)():
                wrong.message = expected(item)
            raise


app = typer.Typer(
    name="slicewise",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help is shown in a third of the time, and in every terminal
    pretty_exceptions_enable=False,
)
app.command()(predict)
app.add_typer(data, name="data")
app.command()(train)
app.command()(evaluate)
app.add_typer(models, name="models")
app.command()(serve)
app.command()(monitor)
app.add_typer(audit, name="audit")
app.add_typer(keys, name="keys")
app.command()(doctor)


def main() -> None:
    """Run the command line: exit 0 done, 1 the work failed, 2 wrong use, 130 interrupted."""
    _open_streams()
    if any(re.fullmatch(r"(--[\w-]+=)?", word) for word in sys.argv[1:]):
        _fail("an argument is empty: expected a value; . is the working directory", 2)
    try:
        try:
            app()
        finally:
            _flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.exit(1)
    except SliceWiseError as error:
        wrong_use = 2 if isinstance(error, ConfigError) else 1
        _fail(str(error), INTERRUPTED if _was_interrupted(error) else wrong_use)
    except OSError as error:
        _fail(plain(str(error)))
    except BaseException as ended:
        if not _was_interrupted(ended):
            raise
        _fail("interrupted", INTERRUPTED)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an error is what Typer, Lightning or an import broken off made of Ctrl+C."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _open_streams() -> None:
    """Nothing that is printed fails for a character that the terminal or file cannot hold."""
    # Open until the process ends, and with no path of a user.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        sys.stdout = _Stdout(
            sys.stdout.buffer,
            *(sys.stdout.encoding, sys.stdout.errors),
            line_buffering=sys.stdout.line_buffering,
            write_through=sys.stdout.write_through,
        )


class _Stdout(io.TextIOWrapper):
    """Standard output, named by the errors that it raises: that its disk is full."""

    def write(self, text: str, /) -> int:
        with named(STDOUT):
            return super().write(text)

    def flush(self) -> None:
        with named(STDOUT):
            super().flush()


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
