"""What every threshold on the tumor probability would have given on these slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from slicewise.arrays import Floats
from slicewise.errors import EvaluationError
from slicewise.fitting.operating_point import youden_j
from slicewise.predictions.table import PredictionTable
from slicewise.stats.curves import threshold_counts


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Metrics (T,) at every distinct tumor probability taken as threshold; these fall."""

    thresholds: Floats
    sensitivity: Floats
    specificity: Floats
    ppv: Floats

    @property
    def youden(self) -> Floats:
        """(T,) sensitivity + specificity - 1."""
        return self.sensitivity + self.specificity - 1


def sweep(table: PredictionTable) -> Sweep:
    """Try every threshold on a table with slices of both sides.

    Raises:
        EvaluationError: If the task has no negative class or a side is empty.
    """
    counts = threshold_counts(table.tumor_probability(), table.is_tumor())
    if counts.positives == 0 or counts.negatives == 0:
        raise EvaluationError(
            "a threshold sweep needs slices with and without a tumor; "
            f"got {counts.positives} and {counts.negatives}"
        )
    return Sweep(
        thresholds=counts.thresholds,
        sensitivity=counts.true_positives / counts.positives,
        specificity=1 - counts.false_positives / counts.negatives,
        ppv=counts.true_positives / (counts.true_positives + counts.false_positives),
    )


def best_here(table: PredictionTable) -> dict[str, Any]:
    """The threshold with the largest sensitivity + specificity - 1 on these very slices.

    It is given to compare with, not to use: a threshold chosen on the slices it is measured on
    looks better than it is. All of it is None, with a `reason`, where there is none.
    """
    names = ("threshold", "sensitivity", "specificity", "youden_j")
    try:
        point = youden_j(table.tumor_probability(), table.is_tumor(), table.groups)
    except EvaluationError as undefined:
        return {**dict.fromkeys(names), "reason": str(undefined)}
    best = point.sensitivity + point.specificity - 1
    values = (point.threshold, point.sensitivity, point.specificity, best)
    return dict(zip(names, values, strict=True))


def at(found: Sweep, threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity of one threshold; a slice is flagged from it on."""
    flagged = int(np.sum(found.thresholds >= threshold))
    if flagged == 0:
        return 0.0, 1.0
    return float(found.sensitivity[flagged - 1]), float(found.specificity[flagged - 1])
