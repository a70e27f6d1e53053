"""The pictures of a report: which there are, and their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicewise.evaluation.sections.plots import (
    draw_binary_confusion,
    draw_confusion,
    draw_pr,
    draw_reliability,
    draw_roc,
    figure,
    require_plots,
)
from slicewise.evaluation.sections.plots_answers import (
    draw_confidence,
    draw_per_class,
    draw_risk_coverage,
    draw_threshold_sweep,
)
from slicewise.predictions.table import PredictionTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SQUARE, WIDE = (5.6, 5.4), (8.4, 4.6)
Draw = Callable[["Axes"], None]


def write_plots(
    table: PredictionTable, report: Mapping[str, Any], folder: Path, notice: str | None = None
) -> list[Path]:
    """Draw every picture the table allows, and remove old ones of the same names it does not.

    The two-class matrix needs a negative class and a threshold, the threshold sweep slices with
    and without a tumor too; a curve needs both sides.

    Args:
        table: What was answered.
        report: Its figures, as in `metrics.json`.
        folder: Where the PNG files go; it must exist.
        notice: A line of warning on every picture, such as that training slices are among them.

    Returns:
        The files written.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    require_plots()
    written = []
    for name, (size, draw) in _pictures(table, report).items():
        path = folder / name
        if draw is None:
            path.unlink(missing_ok=True)
            continue
        with figure(path, table, notice, size) as axes:
            draw(axes)
        written.append(path)
    return written


def _pictures(
    table: PredictionTable, report: Mapping[str, Any]
) -> dict[str, tuple[tuple[float, float], Draw | None]]:
    """File name to size and drawing; None where the table does not allow it."""
    flagged = table.negative_class is not None and table.thresholds is not None
    both = flagged and table.is_tumor().any() and not table.is_tumor().all()
    rule = report["tumor"]["threshold"].get("rule", "")
    area = report["decisions"]["risk_coverage_area"]["value"]
    return {
        "confusion_matrix.png": (SQUARE, lambda axes: draw_confusion(axes, table)),
        "confusion_matrix_binary.png": (
            SQUARE,
            (lambda axes: draw_binary_confusion(axes, table)) if flagged else None,
        ),
        "per_class_metrics.png": (WIDE, lambda axes: draw_per_class(axes, report["per_class"])),
        "roc.png": (SQUARE, lambda axes: draw_roc(axes, table)),
        "pr.png": (SQUARE, lambda axes: draw_pr(axes, table)),
        "reliability.png": (SQUARE, lambda axes: draw_reliability(axes, table)),
        "threshold_sweep.png": (
            WIDE,
            (lambda axes: draw_threshold_sweep(axes, table, rule)) if both else None,
        ),
        "risk_coverage.png": (WIDE, lambda axes: draw_risk_coverage(axes, table, area)),
        "confidence.png": (WIDE, lambda axes: draw_confidence(axes, table)),
    }
