"""Leak-free groups: slices that share a patient, a group of patients, a volume or a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum


class Bond(IntEnum):
    """Why slices belong together; the lowest names the group.

    A fold comes before what the index knows: where one holds them all, they are not all of the
    patients of one known slice.
    """

    PATIENT = 0
    GROUP = 1
    FOLD = 2
    PUBLIC = 3
    VOLUME = 4
    COPIES = 5


COPIES_PREFIX = f"{Bond.COPIES.name.lower()}:"
"""Begins the name of a group of which nothing but copies of one slice is known."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What slices of one group share; the name is unique within its kind of bond."""

    bond: Bond
    name: str

    @property
    def shown(self) -> str:
        """What to call it in a message, which never names a patient."""
        if self.bond == Bond.PUBLIC:
            return f"the patients of {self.name} by the index of public slices"
        if self.bond == Bond.COPIES:
            return f"copies of the file with SHA-256 {self.name}..."
        return "a patient" if self.bond == Bond.PATIENT else self.name

    @property
    def group(self) -> str:
        """Name of a group that is named after this key."""
        return self.name if self.bond == Bond.GROUP else f"{self.bond.name.lower()}:{self.name}"


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


def clusters(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of N items the smallest index that pairs connect it with, itself included."""
    sets = UnionFind(count)
    for first, second in pairs:
        sets.join(first, second)
    return [sets.root(item) for item in range(count)]


def members_of(keys: Sequence[Sequence[Key]]) -> dict[Key, list[int]]:
    """Indices of the slices that have each key, given the keys of each of N slices."""
    members: dict[Key, list[int]] = {}
    for index, own in enumerate(keys):
        for key in own:
            members.setdefault(key, []).append(index)
    return members


def connected(keys: Sequence[Sequence[Key]]) -> list[int]:
    """For each of N slices the smallest index that shared keys connect it with."""
    pairs = ((own[0], other) for own in members_of(keys).values() for other in own[1:])
    return clusters(len(keys), pairs)


def group_names(keys: Sequence[Sequence[Key]]) -> list[str]:
    """Name of the group of each of N slices with at least one key, after the smallest key in it.

    Slices that share a key, directly or through others, are a group.
    """
    roots = connected(keys)
    smallest: dict[int, Key] = {}
    for root, own in zip(roots, keys, strict=True):
        smallest[root] = min(*own, smallest.get(root, own[0]))
    return [smallest[root].group for root in roots]
