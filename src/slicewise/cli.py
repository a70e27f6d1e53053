"""The command line: one short function a command; each imports what it needs inside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from slicewise.errors import SliceWiseError

app = typer.Typer(
    name="slicewise",
    help="Brain MRI slices to answers that can be checked. Research only, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Folders to manifests; statistics; synthetic slices.", no_args_is_help=True)
app.add_typer(data, name="data")

Manifest = Annotated[Path, typer.Argument(help="Manifest, .csv or .parquet.", metavar="M")]


def main() -> None:
    """Run the command line: exit 0 done, 1 the work failed, 2 wrong use."""
    try:
        app()
    except SliceWiseError as error:
        typer.echo(f"slicewise: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("slicewise: interrupted", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


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


@app.command()
def predict(
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, DICOM, NIfTI, zips, folders.", metavar="PATH...")
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle folder or zip; default the bundled model.")
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(help="Write slice and heat map side by side here.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write one HTML page of all answers.")] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over test-time views.")] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Tumor threshold instead of the model's.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON line an answer.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one forward pass.")] = 1,
) -> None:
    """Answer for slices and series: label, probabilities, heat map, decision."""
    from slicewise.cli_predict import run_predict

    if json_ and jsonl:
        raise typer.BadParameter("give --json or --jsonl, not both")
    form: Literal["text", "json", "jsonl"] = "json" if json_ else "jsonl" if jsonl else "text"
    failed = run_predict(
        paths,
        bundle=bundle,
        explain=explain,
        report=report,
        tta=tta,
        threshold=threshold,
        form=form,
        threads=threads,
    )
    raise typer.Exit(1 if failed else 0)
