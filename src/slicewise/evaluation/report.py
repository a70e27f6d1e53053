"""The files of an evaluation: figures, answers, pictures, and the words that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.arrays import Bools
from slicewise.evaluation.labels import Labels
from slicewise.evaluation.sections.advice import cautions
from slicewise.evaluation.sections.answers import chapters
from slicewise.evaluation.sections.page import render_page
from slicewise.evaluation.sections.pictures import write_plots
from slicewise.evaluation.sections.plots import require_plots
from slicewise.evaluation.sections.text import render_text
from slicewise.evaluation.seen import NOT_CHECKED
from slicewise.evaluation.summary import summarise
from slicewise.files import write_json, write_whole
from slicewise.imaging.slice import Failure
from slicewise.inference.decision import BundleReference
from slicewise.predictions.files import write_predictions
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap, Estimate

SEEN_NOTICE = "Includes slices the model was trained on (--allow-seen)"
UNCHECKED_NOTICE = "May include slices the model was trained on (--allow-seen, not checked)"
UNTYPED = "labelled tumor, of a kind not told; other slices tell theirs"
INTERVALS = "group bootstrap, percentiles; for shares of 0 or 1 Wilson over groups"


@dataclass(frozen=True, slots=True)
class Refusals:
    """Slices that were left out, or would have been.

    Args:
        seen: Paths of slices with a duplicate among those the model was trained on.
        seen_check: What they were compared with, or why they were not, in words.
        failed: Slices that could not be read, or whose file has changed.
        untyped: Paths of slices labelled `tumor` only, where others tell the kind of tumor.
        allow_seen: Whether the seen slices were evaluated all the same.
    """

    seen: tuple[str, ...]
    seen_check: str
    failed: tuple[Failure, ...] = ()
    allow_seen: bool = False
    untyped: tuple[str, ...] = ()

    @property
    def notice(self) -> str | None:
        """What every file has to say; None where nothing has to be said.

        Seen slices were asked for and none is there: then nothing has to be said, unless a model
        could not be checked.
        """
        if not self.allow_seen:
            return None
        if self.seen:
            return SEEN_NOTICE
        return UNCHECKED_NOTICE if NOT_CHECKED in self.seen_check else None

    def as_json(self) -> dict[str, Any]:
        """The fields of `metrics.json` that tell of them."""
        listed = {"count": len(self.seen), "paths": list(self.seen), "check": self.seen_check}
        none = {"count": 0, "paths": [], "check": self.seen_check}
        failed = {"count": len(self.failed), "errors": [asdict(failure) for failure in self.failed]}
        untyped = {"count": len(self.untyped), "paths": list(self.untyped), "reason": UNTYPED}
        others = {"failed": failed, "untyped": untyped}
        if not self.allow_seen:
            return {"allow_seen": False, "refused": {"seen": listed, **others}}
        refused = {"seen": none, **others}
        return {"allow_seen": True, "refused": refused, "seen_evaluated": listed}


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a table of predictions does not say about itself.

    Args:
        split: Which slices these are, such as `test`.
        command: The command that makes this report again.
        bundle: The model that answered; None where several did.
        threshold_rule: How the thresholds of the table were chosen, in words.
        refusals: What was left out.
        promised_coverage: Share of the prediction sets that are to hold the true class; None where
            nothing is promised.
        labels: How the labels of the manifest were read; None where they are the model's own.
    """

    split: str
    command: str
    bundle: BundleReference | None
    threshold_rule: str
    refusals: Refusals
    promised_coverage: float | None = None
    labels: Labels | None = None


def report_from_predictions(
    table: PredictionTable,
    out_dir: Path,
    context: ReportContext,
    *,
    neighbour: Bools | str,
    bootstrap: Bootstrap | None = None,
    plots: bool = True,
) -> dict[str, Any]:
    """Measure a table and write its whole report.

    Args:
        table: What was answered, with fitted temperatures and thresholds where there are any.
        out_dir: Folder for the files; made where missing, files of the same name are replaced.
        context: Where the table comes from.
        neighbour: (N,) whether the nearest training slice has the same label, or in words why that
            is not known.
        bootstrap: How intervals are made; 1000 resamples, 95 %, seed 42 where None.
        plots: Whether to draw the pictures.

    Returns:
        What was written to `metrics.json`.

    Raises:
        MissingExtraError: If pictures are wanted and matplotlib is not installed; nothing is
            written then.
    """
    report = write_figures(
        table, out_dir, context, neighbour=neighbour, bootstrap=bootstrap, plots=plots
    )
    write_words(table, report, out_dir, plots=plots)
    return report


def write_figures(
    table: PredictionTable,
    out_dir: Path,
    context: ReportContext,
    *,
    neighbour: Bools | str,
    bootstrap: Bootstrap | None = None,
    plots: bool = True,
) -> dict[str, Any]:
    """Write `metrics.json`, `predictions.csv` and the pictures; see `report_from_predictions`."""
    if plots:
        require_plots()
    method = bootstrap or Bootstrap()
    refusals = context.refusals
    report = {
        "split": context.split,
        "command": context.command,
        "bundle": None if context.bundle is None else asdict(context.bundle),
        "labels": None if context.labels is None else context.labels.as_json(),
        **refusals.as_json(),
        "interval": {"method": INTERVALS, **asdict(method)},
        **summarise(table, method, neighbour),
    }
    report["tumor"]["threshold"] = _threshold(table, context.threshold_rule)
    report["conformal"]["promised"] = context.promised_coverage
    report["cautions"] = cautions(report)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_json(out_dir / "metrics.json", report)
    write_predictions(table, out_dir / "predictions.csv", seen=frozenset(refusals.seen))
    if plots:
        write_plots(table, report, out_dir, refusals.notice)
    return report


def write_words(
    table: PredictionTable,
    report: dict[str, Any],
    out_dir: Path,
    *,
    plots: bool,
    standing: str | None = None,
    first: Sequence[Section] = (),
    more: Sequence[Section] = (),
) -> None:
    """Write `report.html` and `evaluation_report.txt`.

    Args:
        table: What was answered.
        report: Its figures, as `write_figures` returned them.
        out_dir: Where the files of `write_figures` are.
        plots: Whether its pictures were drawn.
        standing: Whether a gate was passed, in its words; None where none was asked.
        first: Parts that stand before all others.
        more: Parts that stand after those that every report has.
    """
    parts = [*first, *chapters(table, report, out_dir if plots else None), *more]
    write_whole(out_dir / "report.html", render_page(report, parts, standing))
    write_whole(out_dir / "evaluation_report.txt", render_text(report, parts, standing, out_dir))


def _threshold(table: PredictionTable, rule: str) -> dict[str, Any]:
    """The threshold, in the shape of the other figures; it is given, so it has no interval."""
    if table.negative_class is None or table.thresholds is None:
        return {**Estimate(None, reason=rule).as_json(), "rule": rule}
    values = np.unique(table.thresholds)
    if values.size > 1:
        spread = f"{values.size} models, {values[0]:.3f} to {values[-1]:.3f}; {rule}"
        return {**Estimate(None, reason=spread).as_json(), "rule": rule}
    reason = f"set before this evaluation; {rule}"
    return {**Estimate(float(values[0]), reason=reason).as_json(), "rule": rule}
