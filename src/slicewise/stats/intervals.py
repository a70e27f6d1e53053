"""Shares of yes or no answers with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicewise.arrays import Floats, Ints
from slicewise.errors import EvaluationError
from slicewise.stats.bootstrap import Bootstrap, group_intervals


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval.

    Args:
        value: In [0, 1].
        ci_low: Lower end; None with fewer than two groups, or where no resample differs.
        ci_high: Upper end; None where the lower end is.
    """

    value: float
    ci_low: float | None
    ci_high: float | None

    def as_json(self) -> dict[str, float | None]:
        """The three numbers by name."""
        return asdict(self)


def wilson(successes: int, n: int, level: float = 0.95) -> Share:
    """Share of independent answers with the score interval of Wilson (1927), within [0, 1].

    Args:
        successes: How many said yes, 0 to `n`.
        n: How many were asked, at least 1.
        level: Coverage of the interval, in (0, 1).

    Raises:
        EvaluationError: If a number is out of range.
    """
    if not 0 <= successes <= n or n < 1 or not 0 < level < 1:
        raise EvaluationError(
            "share: expected 0 <= successes <= n, n >= 1 and a level in (0, 1); "
            f"got {successes}, {n} and {level}"
        )
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return Share(share, max(0.0, middle - half), min(1.0, middle + half))


def share_by_group(hits: ArrayLike, groups: ArrayLike) -> Share:
    """Share of slices that are hits, with a 95 % interval that resamples groups.

    Args:
        hits: (N,) booleans, N > 0.
        groups: (N,) names or numbers.

    Raises:
        EvaluationError: If there is no slice.
    """
    return mean_share_by_class(hits, np.zeros(len(np.asarray(hits)), dtype=np.int64), groups)


def mean_share_by_class(hits: ArrayLike, classes: ArrayLike, groups: ArrayLike) -> Share:
    """Mean over classes of the share of hits: balanced accuracy, where a hit is a right answer.

    A class that a resample does not hold is left out of that resample's mean. A class whose share
    is 0 or 1 is so in every resample, as if it were known exactly: Wilson's interval over the
    groups that hold it stands in, and the mean's ends move by its part. Parts are added, not
    squared, since one group may hold several classes: that is never too narrow.

    Args:
        hits: (N,) booleans, N > 0.
        classes: (N,) the true class of each slice.
        groups: (N,) names or numbers.

    Raises:
        EvaluationError: If there is no slice.
    """
    right = np.asarray(hits, dtype=np.float64)
    if right.size == 0:
        raise EvaluationError("share: expected at least one slice; got none")
    found, totals = _sums(right, np.asarray(classes), np.asarray(groups))
    value = _mean_share(found, totals)
    if len(totals) < 2:
        return Share(value, None, None)
    below, above, everywhere = _unresampled(found, totals)
    drawn = Share(value, value, value) if everywhere else _resampled(found, totals)
    if drawn.ci_low is None or drawn.ci_high is None:
        return drawn
    return Share(value, max(0.0, drawn.ci_low - below), min(1.0, drawn.ci_high + above))


def _resampled(found: Floats, totals: Floats) -> Share:
    def drawn_share(drawn: Ints) -> float:
        return _mean_share(found[drawn], totals[drawn])

    everyone = np.arange(len(totals))
    estimate = group_intervals({("share",): drawn_share}, everyone, everyone, Bootstrap())["share",]
    return Share(_mean_share(found, totals), estimate.ci_low, estimate.ci_high)


def _unresampled(found: Floats, totals: Floats) -> tuple[float, float, bool]:
    """How far classes at 0 or 1 let the mean go down and up, and whether all classes are there."""
    hits, slices = found.sum(axis=0), totals.sum(axis=0)
    edges = np.flatnonzero((hits == 0) | (hits == slices))
    at = [(bool(hits[kind]), int(np.count_nonzero(totals[:, kind]))) for kind in edges]
    return *reach(at, slices.size), edges.size == slices.size


def reach(
    edges: Sequence[tuple[bool, int]], parts: int, level: float = 0.95
) -> tuple[float, float]:
    """How far the mean of some shares may lie below and above, for those of them at 0 or 1.

    Each moves the mean by its part of Wilson's interval over its groups. Parts are added, not
    squared, since one group may have slices in several: that is never too narrow.

    Args:
        edges: Of each share at 0 or 1: whether it is 1, and groups that have a slice in it.
        parts: Shares in the mean.
        level: Coverage, in (0, 1).
    """
    found = [wilson(groups if one else 0, groups, level) for one, groups in edges]
    below = sum(edge.value - (edge.ci_low or 0.0) for edge in found)
    above = sum((edge.ci_high or 0.0) - edge.value for edge in found)
    return below / parts, max(0.0, above / parts)


def _sums(
    right: Floats, classes: NDArray[np.generic], groups: NDArray[np.generic]
) -> tuple[Floats, Floats]:
    """(G, K) hits and slices of each group and class."""
    _, kind = np.unique(classes, return_inverse=True)
    _, group = np.unique(groups, return_inverse=True)
    totals = np.zeros((group.max() + 1, kind.max() + 1))
    found = np.zeros_like(totals)
    np.add.at(totals, (group, kind), 1.0)
    np.add.at(found, (group, kind), right)
    return found, totals


def _mean_share(found: Floats, totals: Floats) -> float:
    hits, slices = found.sum(axis=0), totals.sum(axis=0)
    there = slices > 0
    return float(np.mean(hits[there] / slices[there]))
