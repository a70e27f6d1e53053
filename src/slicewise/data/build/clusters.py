"""Sets of things that belong together, grown pair by pair."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class UnionFind:
    """Disjoint sets of the integers 0 to count - 1."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, item: int) -> int:
        """The smallest member of the set that holds `item`."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    def join(self, first: int, second: int) -> bool:
        """Unite the sets of two items; False if they were one already."""
        one, two = sorted((self.root(first), self.root(second)))
        self._parent[two] = one
        return one != two

    def roots(self) -> NDArray[np.int64]:
        """(count,) the smallest member of each item's set."""
        return np.array([self.root(item) for item in range(len(self._parent))], dtype=np.int64)


def clusters(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """(count,) for each item the smallest index that pairs connect it with, itself included."""
    sets = UnionFind(count)
    for first, second in pairs:
        sets.join(first, second)
    return sets.roots()
