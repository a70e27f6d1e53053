"""Intervals of shares, resampled by group, since slices of one group are no independent draws.

Whole groups are drawn with replacement (Field & Welsh 2007, the cluster bootstrap); a share that
is 0 or 1 in every group has no resampled width, so Wilson's interval over groups stands in.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicewise.errors import EvaluationError

Z95 = 1.959964
_RESAMPLES = 1000
_AT_A_TIME = 100
_SEED = 42


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval.

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


def wilson(hits: int, n: int) -> Share:
    """Share of independent trials with Wilson's interval (1927, J. Am. Stat. Assoc. 22:209).

    Args:
        hits: Successes.
        n: Trials, at least one.

    Raises:
        EvaluationError: If there is no trial, or there are more successes than trials.
    """
    if not 0 <= hits <= n or n == 0:
        raise EvaluationError(f"share: expected 0 <= hits <= n and n > 0; got {hits} of {n}")
    share, z2 = hits / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = Z95 / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n**2)))
    return Share(share, max(0.0, middle - reach), min(1.0, middle + reach))


def share_by_group(hits: ArrayLike, groups: ArrayLike) -> Share:
    """Share of slices that are hits.

    Args:
        hits: (N,) booleans, N > 0.
        groups: (N,) names or numbers.

    Raises:
        EvaluationError: If there is no slice.
    """
    return mean_share_by_class(hits, np.zeros(len(np.asarray(hits)), dtype=np.int64), groups)


def mean_share_by_class(hits: ArrayLike, classes: ArrayLike, groups: ArrayLike) -> Share:
    """Mean over classes of the share of hits: balanced accuracy, where a hit is a right answer.

    A class that a resample does not hold is left out of that resample's mean.

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
    _, kind = np.unique(np.asarray(classes), return_inverse=True)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    totals = np.zeros((group.max() + 1, kind.max() + 1))
    found = np.zeros_like(totals)
    np.add.at(totals, (group, kind), 1.0)
    np.add.at(found, (group, kind), right)
    value = _mean_share(found.sum(axis=0), totals.sum(axis=0))
    if len(totals) < 2:
        return Share(float(value), None, None)
    if value in (0.0, 1.0):
        return wilson(round(float(value) * len(totals)), len(totals))
    low, high = np.quantile(_resampled(found, totals), (0.025, 0.975))
    return Share(float(value), float(low), float(high))


def _resampled(found: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    random = np.random.default_rng(_SEED)
    count = len(totals)
    even = np.full(count, 1 / count)
    parts = []
    for _ in range(0, _RESAMPLES, _AT_A_TIME):
        weights = random.multinomial(count, even, size=_AT_A_TIME).astype(np.float64)
        parts.append(_mean_share(weights @ found, weights @ totals))
    return np.concatenate(parts)


def _mean_share(found: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    there = totals > 0
    shares = np.where(there, found / np.where(there, totals, 1), 0.0)
    return np.asarray(shares.sum(axis=-1) / there.sum(axis=-1))
