"""The files of an evaluation: metrics, answers, pictures, and the report as page and text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.arrays import Bools
from slicewise.evaluation.gate import Judgement
from slicewise.evaluation.labels import Labels
from slicewise.evaluation.sections.advice import advice, cautions, count_faults
from slicewise.evaluation.sections.answers import answer_sections
from slicewise.evaluation.sections.headlines import headlines
from slicewise.evaluation.sections.plots import write_plots
from slicewise.evaluation.seen import RULES
from slicewise.evaluation.summary import summarise
from slicewise.files import write_json, write_whole
from slicewise.imaging.slice import Failure, InternalFailure
from slicewise.inference.decision import BundleReference
from slicewise.inference.results import DISCLAIMER
from slicewise.predictions.files import write_predictions
from slicewise.predictions.table import PredictionTable
from slicewise.reports import blocks
from slicewise.reports.blocks import Section
from slicewise.reports.html import render_html
from slicewise.reports.plots import require_plots
from slicewise.reports.text import render_text
from slicewise.stats.bootstrap import Bootstrap, Estimate

SEEN_NOTICE = "Includes slices the model was trained on (--allow-seen)"
UNCHECKED_NOTICE = "May include slices the model was trained on (--allow-seen, not checked)"
UNTYPED = "labelled tumor, of an unknown kind; that of other slices is known"
_DECIDED = {"accept": "accepted", "review": "to review", "reject": "rejected"}
_SHA256_DIGITS = 64
INTERVALS = "group bootstrap, percentiles; for shares of 0 or 1 Wilson over groups"


@dataclass(frozen=True, slots=True)
class Refusals:
    """Slices that were left out, or would have been.

    Args:
        seen: Paths of slices with a duplicate among those the model was trained on.
        seen_check: What they were compared with, or why they were not, in words.
        failed: Slices that could not be read, or whose file has changed.
        allow_seen: Whether the seen slices were evaluated all the same.
        untyped: Paths of slices labelled `tumor` only, where others tell the kind.
        patients: Paths of other slices of patients that the model was trained on.
        checked: Whether every model could be checked for `seen`.
        rules: How many `patients` there are by key of `seen.RULES`.
        groups_checked: Whether every model knows the groups that it was trained on.
        alike: How many of the evaluated slices have a group that is called like one of these, and
            nothing else in common.
    """

    seen: tuple[str, ...]
    seen_check: str
    failed: tuple[Failure, ...] = ()
    allow_seen: bool = False
    untyped: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    checked: bool = True
    rules: Mapping[str, int] = field(default_factory=dict)
    groups_checked: bool = True
    alike: int = 0

    @property
    def notice(self) -> str | None:
        """What every file has to say; None where no seen slice was, or may have been, let in."""
        met = self.seen or self.patients
        if not self.allow_seen or (self.checked and not met):
            return None
        return SEEN_NOTICE if met else UNCHECKED_NOTICE

    def as_json(self) -> dict[str, Any]:
        """Their fields of `metrics.json`."""
        check = {"check": self.seen_check, "checked": self.checked}
        seen = {"count": len(self.seen), "paths": list(self.seen), **check}
        marks = [{"fault": True} if isinstance(e, InternalFailure) else {} for e in self.failed]
        errors = [asdict(e) | mark for e, mark in zip(self.failed, marks, strict=True)]
        known = {"checked": self.groups_checked, "alike_in_name": self.alike}
        patients = {"count": len(self.patients), "paths": list(self.patients)}
        patients |= {"rules": dict(self.rules), **known}
        nobody = {"count": 0, "paths": []}
        refused = {
            "seen": {**nobody, **check} if self.allow_seen else seen,
            "same_patients": {**nobody, "rules": {}, **known} if self.allow_seen else patients,
            "failed": {"count": len(errors), "errors": errors},
            "untyped": {"count": len(self.untyped), "paths": list(self.untyped), "reason": UNTYPED},
        }
        let_in = {"seen_evaluated": seen, "same_patients_evaluated": patients}
        evaluated = let_in if self.allow_seen else {}
        return {"allow_seen": self.allow_seen, "refused": refused, **evaluated}


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a table of predictions does not say about itself.

    Args:
        bundle: The model that answered; None where several did.
        promised_coverage: Share of the prediction sets that are to hold the true class, if any.
        labels: How the labels of the manifest were read; None where they are the model's own.
        threshold_fitted: Whether all of them were; 0.5 is assumed where one was not.
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
    """Measure a table, write `metrics.json`, `predictions.csv` and the pictures; the metrics.

    Args:
        out_dir: Folder for the files; made where missing, files of the same name are replaced.
        neighbour: (N,) whether the nearest training slice has the same label, or in words why that
            is not known.

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
    write_predictions(
        table, out_dir / "predictions.csv", seen=frozenset((*refusals.seen, *refusals.patients))
    )
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
        first: Sections that stand before those that every report has; `more` stand after them.
    """
    bundle = report["bundle"]
    model = "" if bundle is None else f"{bundle['name']} {bundle['version']}, "
    page = blocks.Page(
        "SliceWise evaluation",
        f"{model}split {report['split']}. These are metrics of one model on these slices; none is "
        "evidence of clinical performance.",
        DISCLAIMER,
        (
            Section("Summary", tuple(_summary(report, judgement))),
            *first,
            *answer_sections(table, report, out_dir if plots else None),
            *more,
            Section("Advice", tuple(_advice(report))),
        ),
        tuple(blocks.Notice("caution", "Caution", sentence) for sentence in report["cautions"]),
        tuple(_made(report)),
    )
    write_whole(out_dir / "report.html", render_html(page))
    write_whole(out_dir / "evaluation_report.txt", render_text(page, out_dir))


def _threshold(table: PredictionTable, context: ReportContext) -> dict[str, Any]:
    """The threshold, in the shape of the other metrics; it is given, so it has no interval."""
    rule, value, reason = context.threshold_rule, None, context.threshold_rule
    if table.negative_class is not None and table.thresholds is not None:
        values = np.unique(table.thresholds)
        reason = f"{values.size} models, {values[0]:.3f} to {values[-1]:.3f}; {rule}"
        if values.size == 1:
            value, reason = float(values[0]), f"set before this evaluation; {rule}"
    fitted = context.threshold_fitted
    return {**Estimate(value, reason=reason).as_json(), "rule": rule, "fitted": fitted}


def _summary(report: Mapping[str, Any], judgement: Judgement | None) -> Iterator[blocks.Block]:
    yield blocks.Counts(tuple(_counts(report)))
    if judgement is not None:
        kind: blocks.Kind = "good" if judgement.passed else "alert"
        yield blocks.Notice(kind, judgement.outcome.capitalize(), judgement.kept)
    interval = report["interval"]
    yield blocks.Prose(
        "A group is what may belong together: a patient where known, else copies of one slice. In "
        f"brackets stands the range of {100 * interval['level']:g} % of the values found on "
        f"{interval['resamples']} resamples of whole groups."
    )
    yield blocks.KeyNumbers(tuple((h.title, h.text(report), h.meaning) for h in headlines(report)))


def _counts(report: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    refused = {kind: entry["count"] for kind, entry in report["refused"].items()}
    yield report["n"], "slices"
    yield report["groups"], "groups"
    yield refused["seen"], "refused: seen in training"
    if refused["same_patients"]:
        yield refused["same_patients"], "refused: of patients seen in training"
    yield refused["failed"] - (faults := count_faults(report)), "unreadable"
    if faults:
        yield faults, "SliceWise failed on"
    if refused["untyped"]:
        yield refused["untyped"], "tumor of an unknown kind"
    for verdict, count in (report["decisions"]["counts"] or {}).items():
        yield count, _DECIDED[verdict]


def _advice(report: Mapping[str, Any]) -> Iterator[blocks.Block]:
    if sentences := advice(report):
        yield blocks.Prose("Each sentence follows from a fixed rule on the metrics above.")
        yield blocks.Bullets(tuple(sentences))
    else:
        yield blocks.Prose("No rule had anything to say.")


def _made(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    interval, labels = report["interval"], report["labels"]
    if report["bundle"] is not None:
        yield "Model", model_text(report["bundle"])
    yield "Command", report["command"]
    how = f"level {interval['level']:g}, seed {interval['seed']}"
    resamples = f"{interval['resamples']} resamples of whole groups"
    yield "Intervals", f"{interval['method']}: {resamples}, {how}"
    seen, failed, untyped = (report["refused"][kind] for kind in ("seen", "failed", "untyped"))
    unreadable = failed["count"] - (faults := count_faults(report))
    text = f"{seen['count']} seen in training ({seen['check']}), "
    if patients := report["refused"]["same_patients"]["count"]:
        rules = report["refused"]["same_patients"]["rules"]
        why = "; ".join(f"{count} {RULES[rule]}" for rule, count in rules.items())
        text += f"{patients} others of the same patients ({why}), "
    text += f"{unreadable} unreadable"
    if faults:
        text += f", {faults} that SliceWise failed on"
    if untyped["count"]:
        text += f", {untyped['count']} {untyped['reason']}"
    if report["allow_seen"]:
        text += f"; {report['seen_evaluated']['count']} seen ones evaluated all the same"
        if patients := report["same_patients_evaluated"]["count"]:
            text += f", and {patients} others of their patients"
    yield "Left out", text
    if labels and labels["read_as"]:
        pairs = (f"{theirs} as {ours}" for theirs, ours in labels["read_as"].items())
        yield "Labels read as", ", ".join(pairs)
    yield "Files", "metrics.json, predictions.csv, report.html, evaluation_report.txt, pictures"


def model_text(bundle: Mapping[str, str]) -> str:
    """Name, version and identity of a model; one that is still being made has no identity yet."""
    known = len(bundle["sha256"]) == _SHA256_DIGITS
    identity = bundle["sha256"] if known else "not yet finished; metrics.json names its identity"
    return f"{bundle['name']} {bundle['version']} ({identity})"
