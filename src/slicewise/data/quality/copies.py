"""Copies among slices: groups of them, and where they cross splits, sources and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Ints
from slicewise.data.build.collection import Item
from slicewise.data.build.splits import crossings
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.groups import Bond, connected
from slicewise.data.tasks import contradicted
from slicewise.stats.intervals import Share, share_by_group

Group = list[int]


@dataclass(frozen=True, slots=True)
class Sides:
    """In which split each slice stands before the audit.

    Args:
        names: (N,) split or fold; empty where there is none.
        said: Where they come from, in words; empty where there are none.
    """

    names: tuple[str, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Crossed:
    """Slices of one side that have a copy in another.

    Args:
        side: Their split, fold or source.
        other: The other one.
        n: Slices of `side`.
        hits: Indices of those with a copy in `other`.
        share: Hits among the slices, with an interval by leak-free group: patients where
            they are known, else groups of copies.
    """

    side: str
    other: str
    n: int
    hits: Group
    share: Share


@dataclass(frozen=True, slots=True)
class Copies:
    """What was found about copies; groups hold indices and at least two slices.

    Args:
        distinct: How many different slices there are.
        exact: Groups of equal pixels.
        near: Groups that hold the same picture more than once, not all of equal pixels.
        cross_split: For each ordered pair of splits.
        cross_source: For each ordered pair of sources.
        groups: All sets of copies, exact and near, the largest first.
        conflicts: Of each group the slices whose labels contradict each other.
        torn: By bond (patient, group, volume): how many units stand in several splits.
    """

    distinct: int
    exact: list[Group]
    near: list[Group]
    cross_split: list[Crossed]
    cross_source: list[Crossed]
    groups: list[Group]
    conflicts: list[Group]
    torn: dict[str, int]


def sides_of(items: Sequence[Item], of_manifest: bool) -> Sides:
    """The splits that a publisher's folders, a manifest or the user's folds give.

    Args:
        items: (N) slices.
        of_manifest: Whether a manifest is audited, rather than folders.
    """
    published = tuple(item.found.published_split for item in items)
    if any(published):
        return Sides(published, "the published folders")
    folds = tuple(item.fold for item in items)
    if any(folds):
        return Sides(folds, "the manifest's splits" if of_manifest else "the folds given")
    return Sides(folds, "")


def leak_free(items: Sequence[Item]) -> Ints:
    """(N,) a number for each leak-free group: shared copies, patient, volume or group.

    Args:
        items: (N) slices with their copies known.
    """
    return np.array(connected([item.ties for item in items]), dtype=np.int64)


def find_copies(items: Sequence[Item], prints: Fingerprints, sides: Sides) -> Copies:
    """All that is said about copies.

    Args:
        items: (N) slices with their copies known.
        prints: Their fingerprints.
        sides: Their splits.
    """
    groups = _gathered([item.cluster for item in items])
    exact = _gathered([digest.tobytes() for digest in prints.digests])
    same = {tuple(group) for group in exact}
    clusters = [item.cluster for item in items]
    ties = leak_free(items)
    sources = [item.found.source for item in items]
    keys = [item.keys for item in items]
    torn = crossings(keys, sides.names) if sides.said else []
    bonds = Counter(crossing.key.bond for crossing in torn)
    return Copies(
        distinct=len(set(clusters)),
        exact=exact,
        near=[group for group in groups if tuple(group) not in same],
        cross_split=_crossed(clusters, sides.names, ties),
        cross_source=_crossed(clusters, sources, ties),
        groups=groups,
        conflicts=[odd for group in groups if (odd := _contradicting(group, items))],
        torn={bond.name.lower(): n for bond, n in sorted(bonds.items()) if bond != Bond.COPIES},
    )


def _contradicting(group: Group, items: Sequence[Item]) -> Group:
    """Those that cannot be what another of the group is said to be; the build leaves them out."""
    odd = contradicted({items[index].found.label for index in group})
    return [index for index in group if items[index].found.label in odd]


def _gathered(names: Sequence[object]) -> list[Group]:
    """Groups of at least two equal names, the largest first."""
    groups: dict[object, Group] = {}
    for index, name in enumerate(names):
        groups.setdefault(name, []).append(index)
    several = [group for group in groups.values() if len(group) > 1]
    return sorted(several, key=lambda group: (-len(group), group[0]))


def _crossed(clusters: Sequence[int], sides: Sequence[str], groups: Ints) -> list[Crossed]:
    where: dict[int, set[str]] = {}
    for cluster, side in zip(clusters, sides, strict=True):
        where.setdefault(cluster, set()).add(side)
    names = sorted(set(sides) - {""})
    found = []
    for side in names:
        own = [index for index, name in enumerate(sides) if name == side]
        for other in names:
            if other != side:
                hit = [other in where[clusters[index]] for index in own]
                share = share_by_group(hit, groups[own])
                hits = [index for index, yes in zip(own, hit, strict=True) if yes]
                found.append(Crossed(side, other, len(own), hits, share))
    return found
