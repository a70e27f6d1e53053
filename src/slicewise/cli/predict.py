"""The options of `slicewise predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slicewise.cli.options import BundlePath, Threads

Colormap = Literal["ember", "lagoon", "grey"]


def predict(
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, DICOM, NIfTI, zips, folders.", metavar="PATH...")
    ],
    bundle: BundlePath = None,
    explain: Annotated[
        Path | None, typer.Option(help="Write slice and heat map side by side here.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write one HTML page of all answers.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Class whose heat map is drawn; default the answered one.")
    ] = None,
    colormap: Annotated[
        Colormap | None, typer.Option(help="Colours of heat maps; default ember.")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=0.05, max=1, help="Opacity of heat maps at their peak; default 0.6."),
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over test-time views.")] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Tumor threshold instead of the model's.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON line an answer.")] = False,
    threads: Threads = 1,
) -> None:
    """Answer for slices and series: label, probabilities, heat map, decision."""
    from slicewise.cli.predict_run import Output, run_predict

    if "" in paths:
        raise typer.BadParameter("a path is empty")
    if json_ and jsonl:
        raise typer.BadParameter("give --json or --jsonl, not both")
    form: Literal["text", "json", "jsonl"] = "json" if json_ else "jsonl" if jsonl else "text"
    if explain is None and target is not None:
        raise typer.BadParameter("--target needs --explain DIR")
    if explain is None and report is None and (colormap or alpha):
        raise typer.BadParameter("--colormap and --alpha need --explain DIR or --report FILE")
    output = Output(form, explain, report, target, colormap or "ember", alpha or 0.6)
    failed = run_predict(
        paths, output, bundle=bundle, tta=tta, threshold=threshold, threads=threads
    )
    raise typer.Exit(1 if failed else 0)
