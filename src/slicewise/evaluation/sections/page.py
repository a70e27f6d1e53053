"""An evaluation as one report: summary, sections, advice, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slicewise.evaluation.gate import Judgement
from slicewise.evaluation.sections.advice import advice
from slicewise.evaluation.sections.headlines import headlines
from slicewise.inference.results import DISCLAIMER
from slicewise.reports import blocks

Report = Mapping[str, Any]
_DECIDED = {"accept": "accepted", "review": "to review", "reject": "rejected"}
_SHA256_DIGITS = 64


def evaluation_page(
    report: Report, sections: Sequence[blocks.Section], judgement: Judgement | None = None
) -> blocks.Page:
    """The whole report, from the content of `metrics.json` and the sections in their order."""
    bundle = report["bundle"]
    model = "" if bundle is None else f"{bundle['name']} {bundle['version']}, "
    last = blocks.Section("Advice", tuple(_advice(report)))
    return blocks.Page(
        "SliceWise evaluation",
        f"{model}split {report['split']}. These are metrics of one model on these slices; none is "
        "evidence of clinical performance.",
        DISCLAIMER,
        (blocks.Section("Summary", tuple(_summary(report, judgement))), *sections, last),
        tuple(blocks.Notice("caution", "Caution", sentence) for sentence in report["cautions"]),
        tuple(_made(report)),
    )


def _summary(report: Report, judgement: Judgement | None) -> Iterator[blocks.Block]:
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


def _counts(report: Report) -> Iterator[tuple[int, str]]:
    refused = {kind: entry["count"] for kind, entry in report["refused"].items()}
    yield report["n"], "slices"
    yield report["groups"], "groups"
    yield refused["seen"], "refused: seen in training"
    yield refused["failed"], "unreadable"
    if refused["untyped"]:
        yield refused["untyped"], "tumor of an unknown kind"
    for verdict, count in (report["decisions"]["counts"] or {}).items():
        yield count, _DECIDED[verdict]


def _advice(report: Report) -> Iterator[blocks.Block]:
    sentences = advice(report)
    if sentences:
        yield blocks.Prose("Each sentence follows from a fixed rule on the metrics above.")
        yield blocks.Bullets(tuple(sentences))
    else:
        yield blocks.Prose("No rule had anything to say.")


def _made(report: Report) -> Iterator[tuple[str, str]]:
    interval, labels = report["interval"], report["labels"]
    if report["bundle"] is not None:
        yield "Model", model_text(report["bundle"])
    yield "Command", report["command"]
    yield (
        "Intervals",
        f"{interval['method']}: {interval['resamples']} resamples of whole groups, level "
        f"{interval['level']:g}, seed {interval['seed']}",
    )
    yield "Left out", _refused_text(report)
    if labels and labels["read_as"]:
        pairs = (f"{theirs} as {ours}" for theirs, ours in labels["read_as"].items())
        yield "Labels read as", ", ".join(pairs)
    yield "Files", "metrics.json, predictions.csv, report.html, evaluation_report.txt, pictures"


def _refused_text(report: Report) -> str:
    seen, failed, untyped = (report["refused"][kind] for kind in ("seen", "failed", "untyped"))
    text = f"{seen['count']} seen in training ({seen['check']}), {failed['count']} unreadable"
    if untyped["count"]:
        text += f", {untyped['count']} {untyped['reason']}"
    if report["allow_seen"]:
        text += f"; {report['seen_evaluated']['count']} seen ones evaluated all the same"
    return text


def model_text(bundle: Mapping[str, str]) -> str:
    """Name, version and identity of a model; one that is still being made has no identity yet."""
    known = len(bundle["sha256"]) == _SHA256_DIGITS
    identity = bundle["sha256"] if known else "not yet finished; metrics.json names its identity"
    return f"{bundle['name']} {bundle['version']} ({identity})"
