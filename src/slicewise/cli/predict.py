"""`slicewise predict`: answers for slices and series, to the places that were asked for."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slicewise.cli.options import AsJson, BundlePath, Threads, show

if TYPE_CHECKING:
    from slicewise.imaging.entry import Entry
    from slicewise.inference.bundle import Bundle
    from slicewise.output.sinks import Item, Sink

Colormap = Literal["ember", "lagoon", "grey"]
STDIN = "-"


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, DICOM, NIfTI, zips or folders; - is a file on stdin.", metavar="PATH"
        ),
    ],
    bundle: BundlePath = None,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each slice beside its heat map into this folder."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all answers as one HTML page to this file."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write one row a slice, none a series, to this .csv file."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="The class to explain. The default is the answered one."
        ),
    ] = None,
    colormap: Annotated[
        Colormap | None, typer.Option(help="The colours of heat maps. The default is ember.")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=0.05, max=1, help="The opacity of a heat map's peak. The default is 0.6."),
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over mirrored and slightly turned views.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The tumor probability that flags a slice. The default is the model's.",
        ),
    ] = None,
    json_: AsJson = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one line of JSON for every answer.")
    ] = False,
    threads: Threads = None,
) -> None:
    """Predict the label of slices and series, with heat maps.

    The exit code is 1 where an input could not be read. The others are answered all the same.
    """
    if "" in paths:
        raise typer.BadParameter("a path is empty")
    if paths.count(STDIN) > 1:
        raise typer.BadParameter("stdin can be read once: give - once")
    if json_ and jsonl:
        raise typer.BadParameter("give --json or --jsonl, not both")
    if explain is None and target is not None:
        raise typer.BadParameter("--target needs --explain DIR")
    if explain is None and report is None and (colormap or alpha):
        raise typer.BadParameter("--colormap and --alpha need --explain DIR or --report FILE")
    from slicewise.files import require_file, require_folder
    from slicewise.imaging.discovery import count_files
    from slicewise.inference.classifier import Classifier
    from slicewise.inference.predict import answer_inputs
    from slicewise.output import sinks as output
    from slicewise.progress import steps
    from slicewise.text import counted

    started = time.monotonic()
    classifier = Classifier.load(bundle, threads or 1)
    classifier.threshold(threshold)  # refused here where the model has none
    own: Path | None = None  # resolved
    if explain is not None:
        own = Path(os.path.realpath(explain))
        require_folder(explain)
        paths = _without_pictures(paths, explain, own)
    if report is not None:
        require_file(report, ".html", ".htm")
    if csv is not None:
        require_file(csv, ".csv")
    inputs = [_stdin() if path == STDIN else path for path in paths]
    skipped: list[str] = []
    items: Iterable[Item] = answer_inputs(
        inputs, classifier, threshold=threshold, tta=tta, leave_out=own, skip=skipped.append
    )
    if explain is not None:
        from slicewise.output.png import with_pictures

        items = with_pictures(items, explain)
    counts = output.AnswerCounts()
    with steps(bar=json_ or not sys.stdout.isatty()) as progress:
        if json_ or jsonl:
            printing: Sink = (output.JsonSink if json_ else output.JsonLinesSink)(sys.stdout)
        else:
            printing = output.TextSink(sys.stdout, progress.say)
        sinks = [printing, counts]  # what is printed never waits for a file
        if csv is not None:
            sinks.append(output.CsvSink(csv, classifier.bundle.classes))
        if explain is not None or report is not None:
            style = colormap or "ember", alpha or 0.6
            sinks += _pictures(classifier.bundle, report, explain, target, style)
        folders = [Path(path) for path in paths if Path(path).is_dir()]
        total = len(paths) - len(folders) + sum(count_files(folder, own) for folder in folders)
        progress("answering", 0, total)
        for item in items:
            for sink in sinks:
                sink.write(item)
            progress("answering", counts.files, max(total, counts.files))
    for sink in sinks:
        sink.close()
    if report is not None:
        show(f"report: {report}", err=True)
    if skipped:
        show(f"skipped {counted(len(skipped), 'file')} not meant as images", err=True)
    if counts.slices + counts.errors > 1:
        show(counts.text(time.monotonic() - started), err=True)
    raise typer.Exit(1 if counts.errors else 0)


def _without_pictures(paths: Sequence[str], explain: Path, own: Path) -> list[str]:
    """The paths but for the folder that pictures go to; a line says where it is not searched."""
    places = [Path(os.path.realpath(path)) for path in paths]
    kept = [path for path, place in zip(paths, places, strict=True) if place != own]
    if not kept:
        raise typer.BadParameter("--explain: expected another folder than the one that is read")
    if own.is_dir() and any(own.is_relative_to(place) for place in places):
        show(f"note: {explain} is not read, since pictures are written there", err=True)
    return kept


def _stdin() -> Entry:
    """The bytes of one file; one more than is allowed are enough to refuse it."""
    from slicewise.imaging.entry import bytes_entry
    from slicewise.imaging.limits import DEFAULT_LIMITS

    if sys.stdin is None:
        raise typer.BadParameter("- needs a file on stdin")
    return bytes_entry(sys.stdin.buffer.read(DEFAULT_LIMITS.max_bytes + 1), STDIN)


def _pictures(
    bundle: Bundle,
    report: Path | None,
    explain: Path | None,
    target: str | None,
    style: tuple[str, float],
) -> Iterator[Sink]:
    """What draws, imported only where it is asked for."""
    from slicewise.explain.overlay import OverlayStyle

    if explain is not None:
        from slicewise.output.png import PngSink

        yield PngSink(bundle, OverlayStyle(*style), target)
    if report is not None:
        from slicewise.output.html import HtmlReport

        yield HtmlReport(report, bundle, OverlayStyle(*style))
