"""Drawing on axes: confusion, ROC, precision-recall and reliability of a prediction table.

Colours are those of Okabe and Ito (2008), told apart with every common colour vision; each line
also has its own dash pattern.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from slicewise.arrays import Bools, Floats, Ints
from slicewise.errors import MissingExtraError
from slicewise.files import whole
from slicewise.predictions.table import PredictionTable
from slicewise.stats.curves import pr_points, reliability_bins, roc_points, threshold_counts
from slicewise.stats.metrics import auprc, auroc, confusion_matrix, ece_of
from slicewise.text import class_text, number_text, percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LegendPlace = Literal["lower right", "lower left", "upper left"]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (6, 2)), (0, (1, 1)), "-")
DPI = 150


def require_plots() -> None:
    """Find out early whether pictures can be drawn.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401 (only asks whether it is there)
    except ModuleNotFoundError:
        raise MissingExtraError("plots", "evaluate") from None


def draw_confusion(axes: Axes, table: PredictionTable) -> None:
    """Counts and row percentages of true against predicted class."""
    counts = confusion_matrix(table.predicted, table.targets, len(table.classes))
    _draw_matrix(axes, counts, [class_text(name) for name in table.classes])
    axes.set_title("Confusion matrix")


def draw_binary_confusion(axes: Axes, table: PredictionTable) -> None:
    """Counts and row percentages of tumor against no tumor, at the threshold."""
    counts = confusion_matrix(table.tumor_flag().astype(int), table.is_tumor().astype(int), 2)
    _draw_matrix(axes, counts, ["no tumor", "any tumor"])
    axes.set_title(f"Tumor flag at threshold {threshold_text(table.thresholds)}")


def draw_roc(axes: Axes, table: PredictionTable) -> None:
    """ROC curve of every class against the rest, and of any tumor."""
    for index, (name, scores, truth) in enumerate(_contests(table)):
        if truth.all() or not truth.any():
            continue
        label = f"{name} (AUROC {number_text(auroc(scores, truth))})"
        axes.plot(*roc_points(threshold_counts(scores, truth)), label=label, **line_style(index))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    _finish_curve(axes, "1 - specificity", "Sensitivity", "lower right")
    axes.set_title("ROC")


def draw_pr(axes: Axes, table: PredictionTable) -> None:
    """Precision against recall of every class, and of any tumor."""
    for index, (name, scores, truth) in enumerate(_contests(table)):
        if not truth.any():
            continue
        recall, precision = pr_points(threshold_counts(scores, truth))
        label = f"{name} (AP {number_text(auprc(scores, truth))}, prevalence {truth.mean():.2f})"
        recall, precision = np.append(0.0, recall), np.append(precision[0], precision)
        axes.step(recall, precision, where="pre", label=label, **line_style(index))
    _finish_curve(axes, "Recall (sensitivity)", "Precision (PPV)", "lower left")
    axes.set_title("Precision and recall")


def draw_reliability(axes: Axes, table: PredictionTable) -> None:
    """Accuracy against confidence of the predicted class, in bins of equal mass."""
    confidence, correct = table.confidence, table.predicted == table.targets
    bins = reliability_bins(confidence, correct)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, label="perfect")
    label = f"{len(bins.count)} bins of about {int(np.median(bins.count))} slices"
    axes.plot(bins.confidence, bins.accuracy, marker="o", label=label, **line_style(0))
    axes.hist(confidence, bins=50, range=(0, 1), weights=np.full(table.n, 1 / table.n),
              color=COLOURS[5], alpha=0.5, label="share of slices")  # fmt: skip
    _finish_curve(axes, "Confidence of the predicted class", "Accuracy", "upper left")
    axes.set_title(f"Reliability (ECE {number_text(ece_of(confidence, correct))})")


def _contests(table: PredictionTable) -> Iterator[tuple[str, Floats, Bools]]:
    """Name, scores and truth of each class against the rest, then of any tumor."""
    probabilities = table.probabilities()
    for k, name in enumerate(table.classes):
        yield class_text(name), probabilities[:, k], np.asarray(table.targets == k)
    if table.negative_class is not None and len(table.classes) > 2:
        yield "any tumor", table.tumor_probability(), table.is_tumor()


def _draw_matrix(axes: Axes, counts: Ints, names: list[str]) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = percent_text(shares[row, column]) if totals[row, 0] else "none"
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, f"{count}\n{share}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")


def _finish_curve(axes: Axes, x: str, y: str, legend: LegendPlace) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="0.9", linewidth=0.6)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=legend, fontsize=8, frameon=True)
    else:
        axes.text(0.5, 0.5, "no curve: one side is empty", ha="center", va="bottom")


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the line of that number."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 1.8,
    }


def threshold_text(thresholds: Floats | None) -> str:
    """The threshold of a table, or the range of several models."""
    values = np.unique(thresholds) if thresholds is not None else np.zeros(0)
    if values.size == 1:
        return f"{values[0]:.3f}"
    return f"{values.min():.3f} to {values.max():.3f} ({values.size} models)"


@contextmanager
def figure(
    path: Path, table: PredictionTable, notice: str | None, size: tuple[float, float] = (5.6, 5.4)
) -> Iterator[Axes]:
    """A figure to draw on, saved on leaving; no window system and no shared state is touched.

    Args:
        path: PNG to write.
        table: What is drawn; its slices and groups stand under the title.
        notice: A line of warning above.
        size: Inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    yield axes
    lines = [axes.get_title(), f"{table.n} slices of {table.n_groups} groups"]
    axes.set_title("\n".join(lines), fontsize=10)
    if notice is not None:
        figure.suptitle(notice, color="#B00000", fontsize=9, fontweight="bold")
    with whole(path) as draft:
        figure.savefig(draft)
