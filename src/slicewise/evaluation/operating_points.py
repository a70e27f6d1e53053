"""Choosing the tumor threshold: three rules, each with what it costs where it was fitted.

A slice is flagged where its tumor probability is at least the threshold. A threshold that flags
every slice is none: it is never offered.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from slicewise.errors import EvaluationError
from slicewise.evaluation.checks import Ints, require_some
from slicewise.evaluation.curves import ThresholdCounts, threshold_counts
from slicewise.inference.decision import OperatingPoint


def youden_j(scores: ArrayLike, positives: ArrayLike, groups: ArrayLike) -> OperatingPoint:
    """Where sensitivity + specificity - 1 is largest (Youden 1950); of equals the most sensitive.

    Args:
        scores: (N,) calibrated tumor probabilities, in [0, 1].
        positives: (N,) booleans, whether the slice shows a tumor.
        groups: (N,) group names.

    Raises:
        EvaluationError: If a shape is off, a side is empty, or no threshold beats chance.
    """
    counts = _counts(scores, positives)
    # Kept in whole numbers, so that equal thresholds are equal whatever the rounding.
    gain = counts.true_positives * counts.negatives - counts.false_positives * counts.positives
    qualified = np.flatnonzero((gain == gain.max()) & (gain > 0))
    return _point("youden_j", counts, qualified[-1:], groups)


def target_sensitivity(
    scores: ArrayLike, positives: ArrayLike, groups: ArrayLike, target: float
) -> OperatingPoint:
    """The strictest threshold that still finds the wanted share of the tumors.

    Args:
        scores: (N,) calibrated tumor probabilities, in [0, 1].
        positives: (N,) booleans, whether the slice shows a tumor.
        groups: (N,) group names.
        target: Wanted sensitivity, in (0, 1].

    Raises:
        EvaluationError: If a shape is off, a side is empty, or no threshold qualifies.
    """
    _require_share(target)
    counts = _counts(scores, positives)
    qualified = np.flatnonzero(counts.true_positives / counts.positives >= target)
    return _point(f"target_sensitivity={target:g}", counts, qualified[:1], groups)


def target_specificity(
    scores: ArrayLike, positives: ArrayLike, groups: ArrayLike, target: float
) -> OperatingPoint:
    """The loosest threshold that still leaves the wanted share of tumor-free slices alone.

    Args:
        scores: (N,) calibrated tumor probabilities, in [0, 1].
        positives: (N,) booleans, whether the slice shows a tumor.
        groups: (N,) group names.
        target: Wanted specificity, in (0, 1].

    Raises:
        EvaluationError: If a shape is off, a side is empty, or no threshold qualifies.
    """
    _require_share(target)
    counts = _counts(scores, positives)
    kept = (counts.negatives - counts.false_positives) / counts.negatives
    qualified = np.flatnonzero((kept >= target) & (counts.true_positives > 0))
    return _point(f"target_specificity={target:g}", counts, qualified[-1:], groups)


def _counts(scores: ArrayLike, positives: ArrayLike) -> ThresholdCounts:
    counts = threshold_counts(scores, positives)
    n = counts.positives + counts.negatives
    require_some("an operating point", counts.positives, n, "a slice with a tumor")
    require_some("an operating point", counts.negatives, n, "a slice without a tumor")
    return counts


def _require_share(target: float) -> None:
    if not 0 < target <= 1:
        raise EvaluationError(f"target: expected a share in (0, 1]; got {target}")


def _point(rule: str, counts: ThresholdCounts, chosen: Ints, groups: ArrayLike) -> OperatingPoint:
    """Build the point; `chosen` holds the index of one threshold, or nothing."""
    n = counts.positives + counts.negatives
    names = np.asarray(groups)
    if names.shape != (n,):
        raise EvaluationError(f"groups: expected shape ({n},); got {names.shape}")
    if chosen.size == 0 or chosen[0] == counts.thresholds.size - 1:
        raise EvaluationError(f"{rule}: no threshold qualifies among {n} slices")
    index = int(chosen[0])
    return OperatingPoint(
        threshold=_between(counts, index),
        sensitivity=int(counts.true_positives[index]) / counts.positives,
        specificity=(counts.negatives - int(counts.false_positives[index])) / counts.negatives,
        rule=rule,
        n=n,
        groups=np.unique(names).size,
    )


def _between(counts: ThresholdCounts, index: int) -> float:
    """Halfway to the next lower score, so that a last-digit difference flags no other slice."""
    upper, lower = float(counts.thresholds[index]), float(counts.thresholds[index + 1])
    middle = (upper + lower) / 2
    return middle if middle > lower else upper
