"""Means and shares of slices as quantities, for `bootstrap.group_intervals`.

Where a share is 0 or 1, no resample of its groups can give another, however few they are. There the
score interval of Wilson (1927) over groups stands in: groups are what is independent. In a mean of
shares, such as a balanced accuracy, it does so for those that are 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools, Ints, Names
from slicewise.errors import EvaluationError
from slicewise.stats.bootstrap import Quantity, Slack
from slicewise.stats.intervals import reach

Values = NDArray[np.float64] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """A quantity that is a share of slices, or the mean of several shares.

    Args:
        quantity: Gives the value.
        parts: Of each share: (N,) values in [0, 1], such as hits, and (N,) which slices it is a
            share of. The mean of the shares is what `quantity` gives of all slices.
    """

    quantity: Quantity
    parts: Sequence[tuple[Values, Bools]]

    def __call__(self, indices: Ints, /) -> float:
        """The value.

        Args:
            indices: Of slices.

        Raises:
            EvaluationError: If it is undefined there.
        """
        return self.quantity(indices)

    def slack(self, groups: Names, level: float) -> Slack:
        """Wilson's interval over groups for each share that is 0 or 1.

        Args:
            groups: (N,) group of each slice; those with a slice that a share is of are counted.
            level: Coverage, in (0, 1).
        """
        found = [_edge(values[among], groups[among]) for values, among in self.parts]
        edges = [edge for edge in found if edge is not None]
        return Slack(*reach(edges, len(found), level), alone=len(edges) == len(found))


def mean_of(
    values: Values, among: Bools | None = None, needs: str = "a mean needs a slice"
) -> Quantity:
    """The mean of numbers of slices, over all or over some of them.

    Args:
        values: (N,) numbers.
        among: (N,) which slices count; None for all.
        needs: What to say where none of them does.
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


def _edge(values: Values, groups: Names) -> tuple[bool, int] | None:
    """Whether all values are 1, and their groups; None where they are not all 0 or all 1."""
    if values.size and bool(np.all(values == values[0])) and values[0] in {0, 1}:
        return bool(values[0]), int(np.unique(groups).size)
    return None
