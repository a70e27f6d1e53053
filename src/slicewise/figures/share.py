"""Shares of yes or no answers with their intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicewise.errors import EvaluationError
from slicewise.figures.bootstrap import Bootstrap, Floats, Ints, group_intervals


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval.

    Args:
        value: In [0, 1].
        ci_low: Lower end; None with fewer than two groups.
        ci_high: Upper end; None with fewer than two groups.
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

    A class that a resample does not hold is left out of that resample's mean. A share that is 0
    or 1 in every group has no resampled width, so Wilson's interval over groups stands in.

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
    if len(totals) > 1 and value in (0.0, 1.0):
        edge = wilson(round(value) * len(totals), len(totals))
        return Share(value, edge.ci_low, edge.ci_high)

    def drawn_share(drawn: Ints) -> float:
        return _mean_share(found[drawn], totals[drawn])

    everyone = np.arange(len(totals))
    estimate = group_intervals({("share",): drawn_share}, everyone, everyone, Bootstrap())["share",]
    return Share(value, estimate.ci_low, estimate.ci_high)


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
