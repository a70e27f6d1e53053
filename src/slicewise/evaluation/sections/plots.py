"""The drawings of an evaluation: what each shows, and which of them a table allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from slicewise.arrays import Bools, Floats, Ints
from slicewise.inference.decision import Verdict
from slicewise.predictions.table import PredictionTable
from slicewise.reports.plots import COLOURS, HATCHES, drawing, grid, line_style, whiskers
from slicewise.stats import curves, metrics
from slicewise.text import class_text, number_text, percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], None]
LegendPlace = Literal["lower right", "lower left", "upper left"]
SHOWN = ("precision", "sensitivity", "specificity", "f1", "auroc")
_SQUARE, _WIDE = (5.6, 5.4), (8.4, 4.6)
_BINS = 25


def write_plots(
    table: PredictionTable, report: Mapping[str, Any], folder: Path, notice: str | None = None
) -> None:
    """Draw every picture the table allows, and remove old ones of the same names it does not."""
    for name, (size, draw) in _pictures(table, report).items():
        if draw is None:
            (folder / name).unlink(missing_ok=True)
            continue
        with drawing(folder / name, *size, notice=notice) as figure:
            axes = figure.add_subplot()
            draw(axes)
            counts = f"{table.n} slices of {table.n_groups} groups"
            axes.set_title(f"{axes.get_title()}\n{counts}", fontsize=10)


def _pictures(
    table: PredictionTable, report: Mapping[str, Any]
) -> dict[str, tuple[tuple[float, float], Draw | None]]:
    """File name to size and drawing; None where the table does not allow it."""
    flagged = table.negative_class is not None and table.thresholds is not None
    both = flagged and table.is_tumor().any() and not table.is_tumor().all()
    rule = report["tumor"]["threshold"].get("rule", "")
    area = report["decisions"]["risk_coverage_area"]["value"]
    binary = partial(draw_binary_confusion, table=table)
    sweep = partial(draw_threshold_sweep, table=table, rule=rule)
    return {
        "confusion_matrix.png": (_SQUARE, partial(draw_confusion, table=table)),
        "confusion_matrix_binary.png": (_SQUARE, binary if flagged else None),
        "per_class_metrics.png": (_WIDE, partial(draw_per_class, per_class=report["per_class"])),
        "roc.png": (_SQUARE, partial(draw_roc, table=table)),
        "pr.png": (_SQUARE, partial(draw_pr, table=table)),
        "reliability.png": (_SQUARE, partial(draw_reliability, table=table)),
        "threshold_sweep.png": (_WIDE, sweep if both else None),
        "risk_coverage.png": (_WIDE, partial(draw_risk_coverage, table=table, area=area)),
        "confidence.png": (_WIDE, partial(draw_confidence, table=table)),
    }


def draw_confusion(axes: Axes, table: PredictionTable) -> None:
    """Counts and row percentages of true against predicted class."""
    counts = metrics.confusion_matrix(table.predicted, table.targets, len(table.classes))
    names = [class_text(name) for name in table.classes]
    _draw_matrix(axes, counts, names, "Confusion matrix")


def draw_binary_confusion(axes: Axes, table: PredictionTable) -> None:
    """Counts and row percentages of tumor against no tumor, at the threshold."""
    flags, truth = table.tumor_flag().astype(int), table.is_tumor().astype(int)
    title = f"Tumor flag at threshold {_threshold_text(_thresholds(table))}"
    _draw_matrix(axes, metrics.confusion_matrix(flags, truth, 2), ["no tumor", "any tumor"], title)


def draw_roc(axes: Axes, table: PredictionTable) -> None:
    """ROC curve of every class against the rest, and of any tumor."""
    for index, (name, scores, truth) in enumerate(_contests(table)):
        if truth.all() or not truth.any():
            continue
        label = f"{name} (AUROC {number_text(metrics.auroc(scores, truth))})"
        points = curves.roc_points(curves.threshold_counts(scores, truth))
        axes.plot(*points, label=label, **line_style(index))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    _finish_curve(axes, "ROC", "1 - specificity", "Sensitivity", "lower right")


def draw_pr(axes: Axes, table: PredictionTable) -> None:
    """Precision against recall of every class, and of any tumor."""
    for index, (name, scores, truth) in enumerate(_contests(table)):
        if not truth.any():
            continue
        recall, precision = curves.pr_points(curves.threshold_counts(scores, truth))
        area = number_text(metrics.auprc(scores, truth))
        label = f"{name} (AP {area}, prevalence {truth.mean():.2f})"
        recall, precision = np.append(0.0, recall), np.append(precision[0], precision)
        axes.step(recall, precision, where="pre", label=label, **line_style(index))
    title, x, y = "Precision and recall", "Recall (sensitivity)", "Precision (PPV)"
    _finish_curve(axes, title, x, y, "lower left")


def draw_reliability(axes: Axes, table: PredictionTable) -> None:
    """Accuracy against confidence of the predicted class, in bins of equal mass."""
    confidence, correct = table.confidence, table.predicted == table.targets
    bins = curves.reliability_bins(confidence, correct)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, label="perfect")
    label = f"{len(bins.count)} bins of about {int(np.median(bins.count))} slices"
    axes.plot(bins.confidence, bins.accuracy, marker="o", label=label, **line_style(0))
    axes.hist(confidence, bins=50, range=(0, 1), weights=np.full(table.n, 1 / table.n),
              color=COLOURS[5], alpha=0.5, label="share of slices")  # fmt: skip
    title = f"Reliability (ECE {number_text(metrics.ece_of(confidence, correct))})"
    _finish_curve(axes, title, "Confidence of the predicted class", "Accuracy", "upper left")


def draw_per_class(axes: Axes, per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Bars of every metric with its interval; one that is not available has no bar."""
    width = 0.8 / len(SHOWN)
    for place, name in enumerate(SHOWN):
        entries = [entry[name] for entry in per_class.values()]
        heights = np.array([m["value"] for m in entries], dtype=np.float64)
        x = np.arange(len(entries)) + (place - (len(SHOWN) - 1) / 2) * width
        reach = whiskers((m["value"], m["ci_low"], m["ci_high"]) for m in entries)
        label = name.upper() if name == "auroc" else name.capitalize()
        axes.bar(x, heights, 0.92 * width, color=COLOURS[place], hatch=HATCHES[place],
                 edgecolor="white", linewidth=0, label=label, yerr=reach,
                 error_kw={"ecolor": "0.2", "capsize": 2, "elinewidth": 1})  # fmt: skip
    names = [f"{class_text(name)}\n{entry['n']} slices" for name, entry in per_class.items()]
    axes.set_xticks(range(len(names)), names)
    axes.set(ylim=(0, 1.02), title="Metrics of every class, with intervals by group")
    grid(axes, "y")
    axes.legend(fontsize=8, ncols=len(SHOWN), loc="lower center", bbox_to_anchor=(0.5, -0.24))


def draw_threshold_sweep(axes: Axes, table: PredictionTable, rule: str) -> None:
    """Sensitivity, specificity, PPV and J at every threshold, and where the threshold stands."""
    truth = table.is_tumor()
    counts = curves.threshold_counts(table.tumor_probability(), truth)
    sensitivity = counts.true_positives / counts.positives
    specificity = 1 - counts.false_positives / counts.negatives
    youden = sensitivity + specificity - 1
    lines = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "PPV": counts.true_positives / (counts.true_positives + counts.false_positives),
        "J = sensitivity + specificity - 1": youden,
    }
    for index, (name, values) in enumerate(lines.items()):
        axes.step(counts.thresholds, values, where="post", label=name, **line_style(index))
    used = _thresholds(table)
    for number, threshold in enumerate(used):
        label = f"threshold {_threshold_text(used)}" if number == 0 else None
        axes.axvline(threshold, color="0.2", linewidth=1.2, label=label)
    if used.size == 1:
        flags = table.tumor_flag()
        measured = [metrics.sensitivity(flags, truth), metrics.specificity(flags, truth)]
        axes.plot([used[0]] * 2, measured, "o", color="0.2", markersize=4)
    axes.set(
        xlim=(-0.01, 1.01),
        ylim=(min(-0.01, float(youden.min())), 1.01),
        xlabel="Threshold on the tumor probability",
        title=f"Threshold sweep (rule: {rule})",
    )
    grid(axes)
    axes.legend(fontsize=8, loc="lower center")


def draw_risk_coverage(axes: Axes, table: PredictionTable, area: float) -> None:
    """Error rate among the answers kept against the share kept, and what was accepted."""
    correct = np.asarray(table.predicted == table.targets)
    scores = {} if table.trust is None else {"trust": table.trust}
    scores["confidence"] = table.confidence
    found = {name: curves.risk_coverage(score, correct) for name, score in scores.items()}
    error = float(np.mean(~correct))
    for index, (name, curve) in enumerate(found.items()):
        shown = area if index == 0 else curves.risk_coverage_area(scores[name], correct)
        label = f"by {name} (area {number_text(shown)})"
        axes.plot(curve.coverage, curve.risk, label=label, **line_style(2 * index))
    axes.axhline(error, color="0.6", linewidth=0.9, label=f"all answers: {error:.3f} wrong")
    if table.verdicts is not None:
        accepted = table.verdicts == str(Verdict.ACCEPT)
        if accepted.any():
            risk = float(np.mean(~correct[accepted]))
            label = f"accepted: {accepted.mean():.2f} of the slices, {risk:.3f} wrong"
            axes.plot(accepted.mean(), risk, "D", color=COLOURS[1], markersize=8, label=label)
    highest = max(float(curve.risk.max()) for curve in found.values())
    axes.set(
        xlim=(0, 1.01),
        ylim=(0, max(1.6 * error, 1.1 * highest, 0.02)),
        xlabel="Share of the answers kept, the surest first",
        ylabel="Share of wrong answers among those kept",
        title="Withholding the least sure answers",
    )
    grid(axes)
    axes.legend(fontsize=8, loc="upper left")


def draw_confidence(axes: Axes, table: PredictionTable) -> None:
    """How confident right and wrong answers are: the share of each in bins of confidence."""
    confidence = table.confidence
    correct = table.predicted == table.targets
    for index, (name, chosen) in enumerate((("right", correct), ("wrong", ~correct))):
        values = confidence[chosen]
        if values.size:
            weights = np.full(values.size, 1 / values.size)
            axes.hist(values, bins=_BINS, range=(0, 1), weights=weights,
                      color=COLOURS[index], alpha=0.45, hatch=HATCHES[index],
                      edgecolor=COLOURS[index],
                      label=f"{values.size} {name}, median {np.median(values):.3f}")  # fmt: skip
    axes.set(xlim=(0, 1), xlabel="Confidence of the answer")
    axes.set_ylabel("Share of the right, and of the wrong answers")
    axes.set_title("Confidence of right and wrong answers")
    axes.legend(fontsize=8, loc="upper left")


def _contests(table: PredictionTable) -> Iterator[tuple[str, Floats, Bools]]:
    """Name, scores and truth of each class against the rest, then of any tumor."""
    probabilities = table.probabilities()
    for k, name in enumerate(table.classes):
        yield class_text(name), probabilities[:, k], np.asarray(table.targets == k)
    if table.negative_class is not None and len(table.classes) > 2:
        yield "any tumor", table.tumor_probability(), table.is_tumor()


def _draw_matrix(axes: Axes, counts: Ints, names: list[str], title: str) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = percent_text(shares[row, column]) if totals[row, 0] else "none"
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, f"{count}\n{share}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="Predicted", ylabel="True", title=title)


def _finish_curve(axes: Axes, title: str, x: str, y: str, legend: LegendPlace) -> None:
    ends = (-0.01, 1.01)
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel=x, ylabel=y, title=title)
    grid(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=legend, fontsize=8, frameon=True)
    else:
        axes.text(0.5, 0.5, "no curve: one side is empty", ha="center", va="bottom")


def _thresholds(table: PredictionTable) -> Floats:
    """(M,) the thresholds of a table, one or those of several models."""
    return np.zeros(0) if table.thresholds is None else np.unique(table.thresholds)


def _threshold_text(used: Floats) -> str:
    if used.size == 1:
        return f"{used[0]:.3f}"
    return f"{used.min():.3f} to {used.max():.3f} ({used.size} models)"
