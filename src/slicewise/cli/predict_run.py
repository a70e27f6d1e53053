"""What `slicewise predict` does with its answers: print them, draw them, report them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from slicewise.errors import ConfigError, InputError
from slicewise.imaging.slice import Failure
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.decision import Prediction, Reason, StudyPrediction, Verdict
from slicewise.inference.pipeline import SeriesAnswers, answer_inputs
from slicewise.inference.results import (
    DISCLAIMER,
    Envelope,
    json_line,
    printable,
    reasons_text,
)
from slicewise.text import percent_text

Form = Literal["text", "json", "jsonl"]
Item = SeriesAnswers | Failure
_BAR = 20


@dataclass(frozen=True, slots=True)
class Output:
    """Where answers go and how they look.

    Args:
        form: How to print.
        explain: Folder for one picture a slice, slice and heat map side by side.
        report: HTML page of all answers.
        target: Class whose heat map is drawn in `explain`; None for the answered one.
        colormap: Colours of heat maps.
        alpha: Opacity of heat maps where they are strongest.
    """

    form: Form
    explain: Path | None
    report: Path | None
    target: str | None
    colormap: str
    alpha: float

    def prepare(self, classes: Sequence[str]) -> None:
        """Fail before the first forward pass where a picture or the page could not be written.

        Raises:
            InputError: A folder is a file or cannot be made.
            ConfigError: The model has no class of that name.
        """
        if self.target is not None and self.target not in classes:
            raise ConfigError(f"--target {self.target!r}: expected one of {', '.join(classes)}")
        for folder in (self.explain, self.report and self.report.parent):
            if folder is not None:
                _require_writable(folder)
        if self.report is not None and self.report.is_dir():
            raise InputError(f"{self.report}: expected a file to write the page to, got a folder")
        if self.report is not None and self.report.suffix.lower() not in {".html", ".htm"}:
            raise InputError(
                f"{self.report}: expected a page named .html; nothing else is replaced"
            )


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write to; {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: expected a folder to write to; it may not be written")


def run_predict(
    paths: Sequence[str],
    output: Output,
    *,
    bundle: Path | None,
    tta: bool,
    threshold: float | None,
    threads: int,
) -> bool:
    """Predict, print, draw; returns whether any input failed.

    Args:
        paths: What to read.
        output: Where answers go.
        bundle: Folder or zip; None for the bundled model.
        tta: Average over test-time views.
        threshold: Tumor threshold instead of the model's.
        threads: Of one forward pass.
    """
    classifier = Classifier.load(bundle, threads)
    classifier.threshold(threshold)
    output.prepare(classifier.bundle.classes)
    items = answer_inputs(paths, classifier, threshold=threshold, tta=tta)
    envelope, kept, answered, failed = Envelope(), [], 0, False
    for item in _with_progress(items):
        drawn = _drawn(item, output, answered)
        answered += 0 if isinstance(drawn, Failure) else len(drawn.answers)
        failed |= isinstance(drawn, Failure)
        if output.form == "json":
            envelope.add(drawn)
        if output.report is not None:
            kept.append(drawn)
        if output.form != "json":
            _print(drawn, output.form)
    if output.form == "json":
        print(envelope.to_json())
    elif output.form == "text":
        print(DISCLAIMER)
    _report(kept, classifier, output)
    return failed


def _with_progress(items: Iterable[Item]) -> Iterator[Item]:
    """Count series on stderr where a person watches and the answers go elsewhere."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} slices"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        for item in items:
            yield item
            progress.advance(task, len(item.answers) if isinstance(item, SeriesAnswers) else 1)


def _drawn(item: Item, output: Output, first: int) -> Item:
    """Write the pictures of a series, where wanted, and name them in its predictions."""
    folder = output.explain
    if folder is None or isinstance(item, Failure):
        return item
    from slicewise.explain.overlay import OverlayStyle, draw_answer

    style = OverlayStyle(output.colormap, output.alpha)
    answers = []
    for number, (slice_, answer) in enumerate(
        zip(item.series.slices, item.answers, strict=True), first + 1
    ):
        path = folder / f"{number:04d}_{_safe(slice_.source)}.png"
        draw_answer(slice_, answer, style, output.target).save(path)
        answers.append(_naming(answer, path))
    return replace(item, answers=answers)


def _naming(answer: Answer, picture: Path) -> Answer:
    return replace(answer, prediction=replace(answer.prediction, heatmap=str(picture)))


def _safe(source: str) -> str:
    """A file name from the last part of a source; nothing of its folders, nothing special."""
    last = re.split(r"[/\\!]", source)[-1]
    stem = re.sub(r"\.(png|jpe?g|tiff?|bmp|webp|dcm)\b", "", last, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[-80:]


def _report(items: Sequence[Item], classifier: Classifier, output: Output) -> None:
    if output.report is None:
        return
    from slicewise.explain.overlay import OverlayStyle
    from slicewise.output.html import write_report

    style = OverlayStyle(output.colormap, output.alpha)
    write_report(items, classifier.bundle, output.report, style)
    print(f"report: {output.report}", file=sys.stderr)


def _print(item: Item, form: Form) -> None:
    if isinstance(item, Failure):
        failed = (
            json_line(item)
            if form == "jsonl"
            else printable(item.source) + "\n  error: " + printable(item.error)
        )
        print(failed, file=sys.stdout if form == "jsonl" else sys.stderr)
        return
    text = form == "text"
    for answer in item.answers:
        shown = _line if item.series.is_volume else _text
        print(shown(answer.prediction) if text else json_line(answer.prediction))
    if item.study is not None:
        print(_study_text(item.study) if text else json_line(item.study))


def _text(prediction: Prediction) -> str:
    lines = [printable(prediction.source)]
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    lines += [f"  {name:<12} {_bar(p)} {_percent(p):>7}" for name, p in ranked]
    lines += _verdict(
        prediction.label,
        prediction.tumor_probability,
        prediction.threshold,
        prediction.decision,
        prediction.reasons,
    )
    if prediction.prediction_set is not None and len(prediction.prediction_set) > 1:
        lines.append("  cannot be ruled out: " + ", ".join(prediction.prediction_set))
    if prediction.heatmap:
        lines.append(f"  heat map: {prediction.heatmap}")
    return "\n".join(lines)


def _percent(share: float) -> str:
    """A share in percent that is never rounded to certainty."""
    return percent_text(share).replace(" ", "")


def _line(prediction: Prediction) -> str:
    """One slice of a series: the answer for the series follows in full."""
    if prediction.decision is Verdict.REJECT:
        parts = ["withheld", reasons_text(prediction.reasons)]
    else:
        parts = [f"{prediction.label} {_percent(prediction.confidence)}"]
        if prediction.tumor_probability is not None:
            flag = {True: " (flagged)", False: " (not flagged)", None: ""}[prediction.tumor_flag]
            parts.append(f"tumor probability {_percent(prediction.tumor_probability)}{flag}")
        parts.append(prediction.decision)
    text = f"{printable(prediction.source)}: {', '.join(parts)}"
    return text + (f", heat map: {prediction.heatmap}" if prediction.heatmap else "")


def _study_text(prediction: StudyPrediction) -> str:
    study = prediction.study
    lines = [f"{printable(prediction.source)}: series of {study.slices_total} slices"]
    if prediction.plane:
        lines[0] += f", {prediction.plane}"
    lines += _verdict(
        study.label,
        study.tumor_probability,
        prediction.threshold,
        prediction.decision,
        prediction.reasons,
    )
    if study.slices_flagged is not None:
        lines.append(f"  {study.slices_flagged} of {study.slices_total} slices reach the threshold")
    lines.append("  key slices: " + ", ".join(map(printable, study.key_slices)))
    return "\n".join(lines)


def _verdict(
    label: str,
    tumor: float | None,
    threshold: float | None,
    decision: str,
    reasons: Sequence[Reason],
) -> list[str]:
    withheld = decision == Verdict.REJECT
    answer = "  answer: withheld" if withheld else f"  answer: {label}"
    if tumor is not None and threshold is not None and not withheld:
        side = "at or above" if tumor >= threshold else "below"
        answer += (
            f"; tumor probability {_percent(tumor)}, {side} the threshold of {_percent(threshold)}"
        )
    why = reasons_text(reasons)
    return [answer, f"  decision: {decision}" + (f" ({why})" if why else "")]


def _bar(share: float) -> str:
    filled = round(share * _BAR)
    return "#" * filled + "." * (_BAR - filled)
