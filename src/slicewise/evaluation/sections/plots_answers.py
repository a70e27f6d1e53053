"""Drawing on axes: figures by class, thresholds, risk against coverage, spread of confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from slicewise.evaluation.sections.plots import COLOURS, line_style, threshold_text
from slicewise.evaluation.sections.sweep import at, sweep
from slicewise.inference.decision import Verdict
from slicewise.predictions.table import PredictionTable
from slicewise.stats.curves import risk_coverage, risk_coverage_area
from slicewise.text import class_text, number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = ("precision", "sensitivity", "specificity", "f1", "auroc")
_HATCHES = ("", "//", "..", "xx", "\\\\")
_BINS = 25


def draw_per_class(axes: Axes, per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Bars of every class figure with its interval.

    Args:
        axes: To draw on.
        per_class: As in `metrics.json`; a figure that is not available has no bar.
    """
    width = 0.8 / len(SHOWN)
    for place, name in enumerate(SHOWN):
        figures = [entry[name] for entry in per_class.values()]
        heights = np.array([np.nan if f["value"] is None else f["value"] for f in figures])
        x = np.arange(len(figures)) + (place - (len(SHOWN) - 1) / 2) * width
        label = name.upper() if name == "auroc" else name.capitalize()
        axes.bar(x, heights, 0.92 * width, color=COLOURS[place], hatch=_HATCHES[place],
                 edgecolor="white", linewidth=0, label=label)  # fmt: skip
        for position, height, figure in zip(x, heights, figures, strict=True):
            if figure["ci_low"] is not None:
                low, high = height - figure["ci_low"], figure["ci_high"] - height
                axes.errorbar(position, height, [[max(low, 0)], [max(high, 0)]], color="0.2",
                              capsize=2, linewidth=1)  # fmt: skip
    names = [f"{class_text(name)}\n{entry['n']} slices" for name, entry in per_class.items()]
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 1.02)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, ncols=len(SHOWN), loc="lower center", bbox_to_anchor=(0.5, -0.24))
    axes.set_title("Figures of every class, with intervals by group")


def draw_threshold_sweep(axes: Axes, table: PredictionTable, rule: str) -> None:
    """Sensitivity, specificity, PPV and J at every threshold, and where the threshold stands.

    Args:
        axes: To draw on.
        table: What was answered, with slices on both sides and thresholds.
        rule: How the thresholds were chosen, in words.
    """
    found = sweep(table)
    curves = {
        "sensitivity": found.sensitivity,
        "specificity": found.specificity,
        "PPV": found.ppv,
        "J = sensitivity + specificity - 1": found.youden,
    }
    for index, (name, values) in enumerate(curves.items()):
        axes.step(found.thresholds, values, where="post", label=name, **line_style(index))
    used = np.unique(table.thresholds) if table.thresholds is not None else np.zeros(0)
    for number, threshold in enumerate(used):
        label = f"threshold {threshold_text(table.thresholds)}" if number == 0 else None
        axes.axvline(threshold, color="0.2", linewidth=1.2, label=label)
    if used.size == 1:
        sensitivity, specificity = at(found, float(used[0]))
        axes.plot([used[0]] * 2, [sensitivity, specificity], "o", color="0.2", markersize=4)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(min(-0.01, float(found.youden.min())), 1.01)
    axes.set_xlabel("Threshold on the tumor probability")
    axes.grid(color="0.9", linewidth=0.6)
    axes.legend(fontsize=8, loc="lower center")
    axes.set_title(f"Threshold sweep (rule: {rule})")


def draw_risk_coverage(axes: Axes, table: PredictionTable, area: float) -> None:
    """Error rate among the answers kept against the share kept, and what was accepted.

    Args:
        axes: To draw on.
        table: What was answered.
        area: Under the curve of the score that acceptance goes by.
    """
    correct = np.asarray(table.predicted == table.targets)
    scores = {"confidence": table.confidence}
    if table.trust is not None:
        scores = {"trust": table.trust, **scores}
    curves = {name: risk_coverage(score, correct) for name, score in scores.items()}
    error = float(np.mean(~correct))
    for index, (name, curve) in enumerate(curves.items()):
        shown = area if index == 0 else risk_coverage_area(scores[name], correct)
        label = f"by {name} (area {number_text(shown)})"
        axes.plot(curve.coverage, curve.risk, label=label, **line_style(2 * index))
    axes.axhline(error, color="0.6", linewidth=0.9, label=f"all answers: {error:.3f} wrong")
    if table.verdicts is not None:
        accepted = table.verdicts == str(Verdict.ACCEPT)
        if accepted.any():
            risk = float(np.mean(~correct[accepted]))
            label = f"accepted: {accepted.mean():.2f} of the slices, {risk:.3f} wrong"
            axes.plot(accepted.mean(), risk, "D", color=COLOURS[1], markersize=8, label=label)
    highest = max(float(curve.risk.max()) for curve in curves.values())
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, max(1.6 * error, 1.1 * highest, 0.02))
    axes.set_xlabel("Share of the answers kept, the surest first")
    axes.set_ylabel("Share of wrong answers among those kept")
    axes.grid(color="0.9", linewidth=0.6)
    axes.legend(fontsize=8, loc="upper left")
    axes.set_title("Withholding the least sure answers")


def draw_confidence(axes: Axes, table: PredictionTable) -> None:
    """How confident right and wrong answers are: the share of each in bins of confidence."""
    confidence = table.confidence
    correct = table.predicted == table.targets
    for index, (name, chosen) in enumerate((("right", correct), ("wrong", ~correct))):
        values = confidence[chosen]
        if values.size:
            weights = np.full(values.size, 1 / values.size)
            axes.hist(values, bins=_BINS, range=(0, 1), weights=weights,
                      color=COLOURS[index], alpha=0.45, hatch=("", "//")[index],
                      edgecolor=COLOURS[index],
                      label=f"{values.size} {name}, median {np.median(values):.3f}")  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_xlabel("Confidence of the answer")
    axes.set_ylabel("Share of the right, and of the wrong answers")
    axes.legend(fontsize=8, loc="upper left")
    axes.set_title("Confidence of right and wrong answers")
