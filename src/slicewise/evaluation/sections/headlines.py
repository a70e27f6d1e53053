"""The figures that a report opens with, each with its name and its meaning in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slicewise.text import figure_text


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure.

    Args:
        path: Keys that lead to it in `metrics.json`.
        title: Its name.
        meaning: What it says, in plain words.
    """

    path: tuple[str, ...]
    title: str
    meaning: str

    def figure(self, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """The figure in a report."""
        found: Any = report
        for name in self.path:
            found = found[name]
        figure: Mapping[str, Any] = found
        return figure

    def text(self, report: Mapping[str, Any]) -> str:
        """The figure with its interval, or why there is none."""
        return figure_text(self.figure(report))


ACCURACY = Headline(("accuracy",), "Accuracy", "share of slices answered right")
COPYING = Headline(
    ("memorisation_1nn",),
    "Copying (1-NN)",
    "what copying the label of the nearest training slice would score, without any learning",
)
OVERALL = (
    ACCURACY,
    COPYING,
    Headline(
        ("balanced_accuracy",), "Balanced accuracy", "mean over classes of the share answered right"
    ),
    Headline(
        ("macro_auroc",), "Macro AUROC", "how well the probabilities rank each class; 0.5 is chance"
    ),
    Headline(("macro_f1",), "Macro F1", "mean over classes of precision and sensitivity together"),
    Headline(("ece",), "Calibration error (ECE)", "mean gap of confidence and accuracy; 0 is best"),
    Headline(("brier",), "Brier score", "squared error of the probabilities; 0 is best, 2 worst"),
)
TUMOR = (
    Headline(("tumor", "sensitivity"), "Tumor sensitivity", "share of tumor slices flagged"),
    Headline(
        ("tumor", "specificity"), "Tumor specificity", "share of tumor-free slices left alone"
    ),
    Headline(("tumor", "ppv"), "Tumor PPV", "share of tumors among the flagged, in this mix"),
    Headline(("tumor", "npv"), "Tumor NPV", "share of tumor-free among the rest, in this mix"),
    Headline(("tumor", "auroc"), "Tumor AUROC", "how well tumors are ranked above the others"),
    Headline(("tumor", "auprc"), "Tumor AUPRC", "average precision; depends on the mix"),
)
_TUMOR_FIRST = (*TUMOR[:2], TUMOR[4])
ACCEPTED = (
    Headline(("decisions", "accept", "share"), "Accepted", "share of answers that stand alone"),
    Headline(
        ("decisions", "accept", "accuracy"), "Accuracy of accepted", "share of these that is right"
    ),
)


def headlines(report: Mapping[str, Any]) -> Iterator[Headline]:
    """The figures to open a report with: those that this task and model have."""
    yield from OVERALL
    if any(headline.figure(report)["value"] is not None for headline in _TUMOR_FIRST):
        yield from _TUMOR_FIRST
    counts = report["decisions"]["counts"]
    if counts is not None and counts["accept"]:
        yield from ACCEPTED
