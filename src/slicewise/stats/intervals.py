"""Means and shares of slices as quantities, and shares with their intervals.

Where a share is 0 or 1, no resample of its groups can give another, however few they are. There the
score interval of Wilson (1927) over groups stands in: groups are what is independent. In a mean of
shares, such as a balanced accuracy, it does so for those that are 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicewise.arrays import Bools, Ints, Names
from slicewise.errors import EvaluationError
from slicewise.stats.bootstrap import (
    Bootstrap,
    Estimate,
    Margin,
    Quantity,
    block_sizes,
    group_intervals,
    percentile_ends,
)

Values = NDArray[np.float64] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Share:
    """A share in [0, 1] with its interval; None with fewer than two groups, or without spread."""

    value: float
    ci_low: float | None
    ci_high: float | None

    def as_json(self) -> dict[str, float | None]:
        """The three numbers by name."""
        return asdict(self)


def wilson(successes: int, n: int, level: float = 0.95) -> Share:
    """Share of `n` independent answers with the score interval of Wilson (1927).

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


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """A quantity that is a share of slices, or the mean of several shares.

    Args:
        parts: Of each share: (N,) values in [0, 1], such as hits, and (N,) which slices it is a
            share of. The mean of the shares is what `quantity` gives of all slices.
    """

    quantity: Quantity
    parts: Sequence[tuple[Values, Bools]]

    def __call__(self, indices: Ints, /) -> float:
        """The value of some slices."""
        return self.quantity(indices)

    def margin(self, groups: Names, level: float) -> Margin:
        """Wilson's interval over groups for each share that is 0 or 1, by its part in the mean.

        Parts are added, not squared, since one group may have slices in several: never too narrow.

        Args:
            groups: (N,) group of each slice; those with a slice that a share is of are counted.
            level: Coverage, in (0, 1).
        """
        found = [_edge(values[among], groups[among], level) for values, among in self.parts]
        edges = [edge for edge in found if edge is not None]
        below = sum(edge.value - (edge.ci_low or 0.0) for edge in edges) / len(found)
        above = sum((edge.ci_high or 0.0) - edge.value for edge in edges) / len(found)
        return Margin(below, max(0.0, above), alone=len(edges) == len(found))


def mean_of(
    values: Values, among: Bools | None = None, needs: str = "a mean needs a slice"
) -> Quantity:
    """The mean of (N,) numbers of slices, over all or over those that are `among` (N,) them.

    `needs` is what to say where none of them is.
    """

    def mean(indices: Ints) -> float:
        chosen = indices if among is None else indices[among[indices]]
        if chosen.size == 0:
            raise EvaluationError(f"{needs}; got 0 among {indices.size} slices")
        return float(np.mean(values[chosen]))

    return mean


def share_of(
    values: Values, among: Bools | None = None, needs: str = "a share needs a slice"
) -> Shares:
    """The same of values in [0, 1], with Wilson's interval where they are all 0 or all 1."""
    everyone = np.ones(values.shape, dtype=np.bool_) if among is None else among
    return Shares(mean_of(values, among, needs), [(values, everyone)])


def share_by_group(hits: ArrayLike, groups: ArrayLike) -> Share:
    """Share of hits (N,), 95 % interval that resamples groups (N,); `EvaluationError` if N is 0."""
    return mean_share_by_class(hits, np.zeros(len(np.asarray(hits)), dtype=np.int64), groups)


def share_of_sums(hits: ArrayLike, totals: ArrayLike, groups: ArrayLike) -> Share:
    """Share of hits among all, with a 95 % interval that resamples groups, given by their sums.

    Groups with equal sums stand in one row, so that millions cost no more than a few. A share of 0
    or 1 has Wilson's interval over the groups.

    Args:
        hits: (R,) hits in each group of a row, 0 to its total; need not be whole.
        totals: (R,) what could be a hit in each group of a row, above 0.
        groups: (R,) how many groups a row stands for, at least 1.

    Raises:
        EvaluationError: If there is no row.
    """
    sums = np.stack([np.asarray(hits, float), np.asarray(totals, float)], axis=1)
    repeats = np.asarray(groups, dtype=np.int64)
    if repeats.size == 0:
        raise EvaluationError("share: expected at least one group; got none")
    found, total = repeats @ sums
    share, n = float(found / total), int(repeats.sum())
    if n < 2:
        return Share(share, None, None)
    if share in (0.0, 1.0):
        return wilson(n if share else 0, n)
    how = Bootstrap()
    rng, blocks = np.random.default_rng(how.seed), block_sizes(repeats.size, how.resamples)
    drawn = np.concatenate([rng.multinomial(n, repeats / n, block) @ sums for block in blocks])
    ends = percentile_ends(drawn[:, 0] / drawn[:, 1], how.level)
    return Share(share, *(ends or (None, None)))


def difference(first: Share | None, other: Share | None) -> Estimate | None:
    """Other minus first, independent shares (Newcombe 1998, method 10); None without intervals."""
    if first is None or other is None:
        return None
    a, b, c, d = first.ci_low, first.ci_high, other.ci_low, other.ci_high
    if a is None or b is None or c is None or d is None:
        return None
    gap = other.value - first.value
    below = ((other.value - c) ** 2 + (b - first.value) ** 2) ** 0.5
    above = ((d - other.value) ** 2 + (first.value - a) ** 2) ** 0.5
    return Estimate(gap, gap - below, gap + above)


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
    names, index = np.unique(np.asarray(classes), return_inverse=True)

    def mean_share(indices: Ints) -> float:
        slices = np.bincount(index[indices], minlength=names.size)
        found = np.bincount(index[indices], weights=right[indices], minlength=names.size)
        return float(np.mean(found[slices > 0] / slices[slices > 0]))

    shares = Shares(mean_share, [(right, index == k) for k in range(names.size)])
    _, units = np.unique(np.asarray(groups), return_inverse=True)
    drawn = group_intervals({("share",): shares}, units, units, Bootstrap())["share",]
    return Share(mean_share(np.arange(right.size)), drawn.ci_low, drawn.ci_high)


def _edge(values: Values, groups: Names, level: float) -> Share | None:
    """Wilson's interval over the groups where all values are 0 or all 1; else None."""
    if not (values.size and bool(np.all(values == values[0])) and values[0] in {0, 1}):
        return None
    count = int(np.unique(groups).size)
    return wilson(count if values[0] else 0, count, level)
