"""Choosing the tumor threshold: four rules, each with what it gives where it was fitted.

A slice is flagged where its tumor probability is at least the threshold. A threshold that flags
every slice is none: it is never offered. `scores` are (N,) calibrated tumor probabilities,
`positives` (N,) booleans, whether a slice shows a tumor, and `groups` (N,) group names. Every rule
raises EvaluationError where a shape is off, a side is empty, or no threshold qualifies.
Intervals of sensitivity and specificity are by groups, at the chosen threshold and on the slices
that chose it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Bools, Floats, Ints, Strings
from slicewise.errors import EvaluationError
from slicewise.inference.rule import OperatingPoint
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals
from slicewise.stats.checks import require_some
from slicewise.stats.curves import ThresholdCounts, threshold_counts
from slicewise.stats.intervals import share_of

_SAME = 1e-9
"""Costs that differ by less than this share are equal but for rounding."""


def youden_j(scores: ArrayLike, positives: ArrayLike, groups: ArrayLike) -> OperatingPoint:
    """Where sensitivity + specificity - 1 is largest (Youden 1950); of equals, most sensitive."""
    case = _case(scores, positives, groups)
    counts = case.counts
    # Kept in whole numbers, so that equal thresholds are equal whatever the rounding.
    gain = counts.true_positives * counts.negatives - counts.false_positives * counts.positives
    qualified = np.flatnonzero((gain == gain.max()) & (gain > 0))
    return _point("youden_j", case, qualified[-1:])


def target_sensitivity(
    scores: ArrayLike, positives: ArrayLike, groups: ArrayLike, target: float
) -> OperatingPoint:
    """The strictest threshold that still finds the wanted share of the tumors."""
    _require_share(target)
    case = _case(scores, positives, groups)
    counts = case.counts
    qualified = np.flatnonzero(counts.true_positives / counts.positives >= target)
    return _point(f"target_sensitivity={target:g}", case, qualified[:1])


def target_specificity(
    scores: ArrayLike, positives: ArrayLike, groups: ArrayLike, target: float
) -> OperatingPoint:
    """The loosest threshold that still leaves the wanted share of tumor-free slices alone."""
    _require_share(target)
    case = _case(scores, positives, groups)
    counts = case.counts
    kept = (counts.negatives - counts.false_positives) / counts.negatives
    qualified = np.flatnonzero((kept >= target) & (counts.true_positives > 0))
    return _point(f"target_specificity={target:g}", case, qualified[-1:])


def least_cost(
    scores: ArrayLike,
    positives: ArrayLike,
    groups: ArrayLike,
    *,
    missed: float,
    false_alarm: float,
    prevalence: float,
) -> OperatingPoint:
    """Where the expected cost of a slice is least; of equals the most sensitive.

    The cost is `prevalence * missed * (1 - sensitivity) + (1 - prevalence) * false_alarm *
    (1 - specificity)` (Metz 1978). A threshold that costs as much as flagging every slice, or
    none, is not offered.

    Args:
        missed: Cost of a missed tumor; only its ratio to `false_alarm` matters.
        prevalence: Share of slices with a tumor where the threshold is to be used.
    """
    if not (missed > 0 and false_alarm > 0 and 0 < prevalence < 1):
        raise EvaluationError(
            "cost: expected costs above 0 and a prevalence in (0, 1); "
            f"got {missed}, {false_alarm} and {prevalence}"
        )
    case = _case(scores, positives, groups)
    counts = case.counts
    of_missed, of_alarms = prevalence * missed, (1 - prevalence) * false_alarm
    cost = of_missed * (1 - counts.true_positives / counts.positives) + (
        of_alarms * counts.false_positives / counts.negatives
    )
    least = cost.min()
    better = least < min(of_missed, of_alarms) * (1 - _SAME)
    qualified = np.flatnonzero(better & (cost <= least * (1 + _SAME)))
    rule = f"cost: missed={missed:g}, false_alarm={false_alarm:g}, prevalence={prevalence:g}"
    return _point(rule, case, qualified[-1:])


class _Case(NamedTuple):
    """Scores, truth and groups of N slices, and what every threshold flags of them."""

    scores: Floats
    positives: Bools
    groups: Strings
    counts: ThresholdCounts


def _case(scores: ArrayLike, positives: ArrayLike, groups: ArrayLike) -> _Case:
    counts = threshold_counts(scores, positives)
    n = counts.positives + counts.negatives
    require_some("an operating point", counts.positives, n, "a slice with a tumor")
    require_some("an operating point", counts.negatives, n, "a slice without a tumor")
    names = np.asarray(groups)
    if names.shape != (n,):
        raise EvaluationError(f"groups: expected shape ({n},); got {names.shape}")
    return _Case(np.asarray(scores, np.float64), np.asarray(positives, np.bool_), names, counts)


def _require_share(target: float) -> None:
    if not 0 < target <= 1:
        raise EvaluationError(f"target: expected a share in (0, 1]; got {target}")


def _point(rule: str, case: _Case, chosen: Ints) -> OperatingPoint:
    """Build the point; `chosen` holds the index of one threshold, or nothing."""
    counts, n = case.counts, case.positives.size
    if chosen.size == 0 or chosen[0] == counts.thresholds.size - 1:
        raise EvaluationError(f"{rule}: no threshold qualifies among {n} slices")
    index = int(chosen[0])
    threshold = _between(counts, index)
    flagged, truth = case.scores >= threshold, case.positives
    shares: dict[Key, Quantity] = {
        ("found",): share_of(flagged, truth),
        ("spared",): share_of(~flagged, ~truth),
    }
    ends = {
        name: None if one.ci_low is None or one.ci_high is None else (one.ci_low, one.ci_high)
        for (name,), one in group_intervals(shares, case.groups, truth, Bootstrap()).items()
    }
    return OperatingPoint(
        threshold=threshold,
        sensitivity=int(counts.true_positives[index]) / counts.positives,
        specificity=(counts.negatives - int(counts.false_positives[index])) / counts.negatives,
        rule=rule,
        n=n,
        groups=np.unique(case.groups).size,
        sensitivity_ci=ends["found"],
        specificity_ci=ends["spared"],
    )


def _between(counts: ThresholdCounts, index: int) -> float:
    """Halfway to the next lower score, so that a last-digit difference flags no other slice."""
    upper, lower = float(counts.thresholds[index]), float(counts.thresholds[index + 1])
    middle = (upper + lower) / 2
    return middle if middle > lower else upper
