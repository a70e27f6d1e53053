"""Groups that must not be torn apart: what shares a patient, a volume, a copy, a user's group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from slicewise.data.build.clusters import UnionFind


class Bond(IntEnum):
    """Why slices belong together; the lowest names the group."""

    PATIENT = 0
    GROUP = 1
    FOLD = 2
    VOLUME = 3
    COPIES = 4


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What slices of one group share.

    Args:
        bond: Of which kind.
        name: Unique within its kind.
    """

    bond: Bond
    name: str

    @property
    def shown(self) -> str:
        """What to call it in a message, which never names a patient."""
        return "a patient" if self.bond == Bond.PATIENT else self.name


def members_of(keys: Sequence[Sequence[Key]]) -> dict[Key, list[int]]:
    """Which slices have each key.

    Args:
        keys: The keys of each of N slices.
    """
    members: dict[Key, list[int]] = defaultdict(list)
    for index, own in enumerate(keys):
        for key in own:
            members[key].append(index)
    return dict(members)


def connected(keys: Sequence[Sequence[Key]]) -> list[int]:
    """For each slice the smallest index that shared keys connect it with, itself included.

    Args:
        keys: The keys of each of N slices.
    """
    sets = UnionFind(len(keys))
    for members in members_of(keys).values():
        for member in members[1:]:
            sets.join(members[0], member)
    return [int(root) for root in sets.roots()]


def group_names(keys: Sequence[Sequence[Key]]) -> list[str]:
    """Name of the group of each slice: slices that share a key, directly or through others.

    Args:
        keys: The keys of each of N slices, at least one each.

    Returns:
        N names; that of the smallest key in the group.
    """
    roots = connected(keys)
    smallest: dict[int, Key] = {}
    for root, own in zip(roots, keys, strict=True):
        smallest[root] = min([*own, *([smallest[root]] if root in smallest else [])])
    return [_written(smallest[root]) for root in roots]


COPIES_PREFIX = f"{Bond.COPIES.name.lower()}:"
"""Begins the name of a group of which nothing but copies of one slice is known."""


def _written(key: Key) -> str:
    return key.name if key.bond == Bond.GROUP else f"{key.bond.name.lower()}:{key.name}"
