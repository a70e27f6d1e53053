"""The metrics that a report opens with, each with its name and its meaning in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from slicewise.text import figure_text


class Headline(NamedTuple):
    """One metric; `path` are the keys that lead to it in `metrics.json`."""

    path: tuple[str, ...]
    title: str
    meaning: str

    def metric(self, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its value and interval in a report."""
        return at(report, self.path)

    def text(self, report: Mapping[str, Any]) -> str:
        """Value and interval in words, or why there is none."""
        return figure_text(self.metric(report))


def at(report: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    """What stands in a report where these keys lead to."""
    for name in path:
        report = report[name]
    return report


def _of(path: str, title: str, meaning: str) -> Headline:
    return Headline(tuple(path.split(".")), title, meaning)


ACCURACY = _of("accuracy", "Accuracy", "share of slices answered right")
COPYING = _of(
    "memorisation_1nn",
    "Copying (1-NN)",
    "what copying the label of the nearest training slice would score, without any learning",
)
CALIBRATION = (
    _of("ece", "Calibration error (ECE)", "mean gap of confidence and accuracy; 0 is best"),
    _of("brier", "Brier score", "squared error of the probabilities; 0 is best, 2 worst"),
)
OVERALL = (
    ACCURACY,
    COPYING,
    _of("balanced_accuracy", "Balanced accuracy", "mean over classes of the share answered right"),
    _of("macro_auroc", "Macro AUROC", "how well the probabilities rank each class; 0.5 is chance"),
    _of("macro_f1", "Macro F1", "mean over classes of precision and sensitivity together"),
    *CALIBRATION,
)
TUMOR = (
    _of("tumor.sensitivity", "Tumor sensitivity", "share of tumor slices flagged"),
    _of("tumor.specificity", "Tumor specificity", "share of tumor-free slices left alone"),
    _of("tumor.ppv", "Tumor PPV", "share of tumors among the flagged, in this mix"),
    _of("tumor.npv", "Tumor NPV", "share of tumor-free among the rest, in this mix"),
    _of("tumor.auroc", "Tumor AUROC", "how well tumors are ranked above the others"),
    _of("tumor.auprc", "Tumor AUPRC", "average precision; depends on the mix"),
)
TUMOR_FIRST = (*TUMOR[:2], TUMOR[4])
ACCEPTED = (
    _of("decisions.accept.share", "Accepted", "share of answers that stand alone"),
    _of("decisions.accept.accuracy", "Accuracy of accepted", "share of these that is right"),
)


def headlines(report: Mapping[str, Any]) -> Iterator[Headline]:
    """Those that this task and model have."""
    yield from OVERALL
    if any(headline.metric(report)["value"] is not None for headline in TUMOR_FIRST):
        yield from TUMOR_FIRST
    counts = report["decisions"]["counts"]
    if counts is not None and counts["accept"]:
        yield from ACCEPTED
