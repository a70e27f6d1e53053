"""The files of an evaluation: metrics, answers, pictures, and the report on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.arrays import Bools
from slicewise.evaluation.gate import Judgement
from slicewise.evaluation.labels import Labels
from slicewise.evaluation.sections.advice import cautions
from slicewise.evaluation.sections.answers import answer_sections
from slicewise.evaluation.sections.page import evaluation_page
from slicewise.evaluation.sections.plots import write_plots
from slicewise.evaluation.summary import summarise
from slicewise.files import write_json, write_whole
from slicewise.imaging.slice import Failure
from slicewise.inference.decision import BundleReference
from slicewise.predictions.files import write_predictions
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.reports.html import render_html
from slicewise.reports.plots import require_plots
from slicewise.reports.text import render_text
from slicewise.stats.bootstrap import Bootstrap, Estimate

SEEN_NOTICE = "Includes slices the model was trained on (--allow-seen)"
UNCHECKED_NOTICE = "May include slices the model was trained on (--allow-seen, not checked)"
UNTYPED = "labelled tumor, of an unknown kind; that of other slices is known"
INTERVALS = "group bootstrap, percentiles; for shares of 0 or 1 Wilson over groups"


@dataclass(frozen=True, slots=True)
class Refusals:
    """Slices that were left out, or would have been.

    Args:
        seen: Paths of slices with a duplicate among those the model was trained on.
        seen_check: What they were compared with, or why they were not, in words.
        failed: Slices that could not be read, or whose file has changed.
        allow_seen: Whether the seen slices were evaluated all the same.
        untyped: Paths of slices labelled `tumor` only, where others tell the kind of tumor.
        checked: Whether every model could be checked for `seen`.
    """

    seen: tuple[str, ...]
    seen_check: str
    failed: tuple[Failure, ...] = ()
    allow_seen: bool = False
    untyped: tuple[str, ...] = ()
    checked: bool = True

    @property
    def notice(self) -> str | None:
        """What every file has to say; None where no seen slice was, or may have been, let in."""
        if not self.allow_seen or (self.checked and not self.seen):
            return None
        return SEEN_NOTICE if self.seen else UNCHECKED_NOTICE

    def as_json(self) -> dict[str, Any]:
        """Their fields of `metrics.json`."""
        check = {"check": self.seen_check, "checked": self.checked}
        seen = {"count": len(self.seen), "paths": list(self.seen), **check}
        refused = {
            "seen": {"count": 0, "paths": [], **check} if self.allow_seen else seen,
            "failed": {"count": len(self.failed), "errors": [asdict(one) for one in self.failed]},
            "untyped": {"count": len(self.untyped), "paths": list(self.untyped), "reason": UNTYPED},
        }
        evaluated = {"seen_evaluated": seen} if self.allow_seen else {}
        return {"allow_seen": self.allow_seen, "refused": refused, **evaluated}


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a table of predictions does not say about itself.

    Args:
        split: Which slices these are, such as `test`.
        bundle: The model that answered; None where several did.
        threshold_fitted: Whether all of them were; 0.5 is assumed where one was not.
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
    threshold_fitted: bool = True


def write_metrics(
    table: PredictionTable,
    out_dir: Path,
    context: ReportContext,
    *,
    neighbour: Bools | str,
    bootstrap: Bootstrap | None = None,
    plots: bool = True,
) -> dict[str, Any]:
    """Measure a table and write `metrics.json`, `predictions.csv` and the pictures.

    Args:
        table: What was answered, with fitted temperatures and thresholds where there are any.
        out_dir: Folder for the files; made where missing, files of the same name are replaced.
        neighbour: (N,) whether the nearest training slice has the same label, or in words why that
            is not known.

    Returns:
        What was written to `metrics.json`.

    Raises:
        MissingExtraError: Pictures are wanted and matplotlib is missing; nothing is written then.
    """
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
    report["tumor"]["threshold"] = _threshold(table, context)
    report["conformal"]["promised"] = context.promised_coverage
    report["cautions"] = cautions(report)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_json(out_dir / "metrics.json", report)
    write_predictions(table, out_dir / "predictions.csv", seen=frozenset(refusals.seen))
    if plots:
        write_plots(table, report, out_dir, refusals.notice)
    return report


def write_pages(
    table: PredictionTable,
    report: dict[str, Any],
    out_dir: Path,
    *,
    plots: bool,
    judgement: Judgement | None = None,
    first: Sequence[Section] = (),
    more: Sequence[Section] = (),
) -> None:
    """Write `report.html` and `evaluation_report.txt` beside the files of `write_metrics`.

    Args:
        report: The metrics, as `write_metrics` returned them.
        plots: Whether its pictures were drawn.
        first: Sections that stand before those that every report has.
        more: Sections that stand after them.
    """
    sections = [*first, *answer_sections(table, report, out_dir if plots else None), *more]
    page = evaluation_page(report, sections, judgement)
    write_whole(out_dir / "report.html", render_html(page))
    write_whole(out_dir / "evaluation_report.txt", render_text(page, out_dir))


def _threshold(table: PredictionTable, context: ReportContext) -> dict[str, Any]:
    """The threshold, in the shape of the other metrics; it is given, so it has no interval."""
    rule, value, reason = context.threshold_rule, None, context.threshold_rule
    if table.negative_class is not None and table.thresholds is not None:
        values = np.unique(table.thresholds)
        if values.size == 1:
            value, reason = float(values[0]), f"set before this evaluation; {rule}"
        else:
            reason = f"{values.size} models, {values[0]:.3f} to {values[-1]:.3f}; {rule}"
    fitted = context.threshold_fitted
    return {**Estimate(value, reason=reason).as_json(), "rule": rule, "fitted": fitted}
