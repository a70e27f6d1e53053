"""Leakage: copies and units across splits, sources and labels; what memory alone would score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Array, Ints
from slicewise.data.build.sources import Item
from slicewise.data.build.splits import crossings
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.duplicates.neighbour import nearest
from slicewise.data.groups import Bond, connected
from slicewise.data.tasks import contradicted
from slicewise.stats.intervals import Share, share_by_group

RANDOM_SEED = 42
RANDOM_SPLIT = f"a random 80/20 split by slice, seed {RANDOM_SEED}"
_TEST_SHARE = 0.2

Group = list[int]


@dataclass(frozen=True, slots=True)
class Sides:
    """The split or fold of each of N slices, empty where it has none, and their origin in words."""

    names: tuple[str, ...]
    origin: str | None


@dataclass(frozen=True, slots=True)
class Crossed:
    """Slices of one side (split, fold or source) that have a copy in another.

    `hits` are their indices; their share among the n slices has an interval by leak-free group.
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
        exact: Groups of equal pixels.
        near: Groups that hold the same picture more than once, not all of equal pixels.
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


@dataclass(frozen=True, slots=True, eq=False)
class Memorisation:
    """The nearest neighbour's score, on a split and without the slices of a test slice's group.

    Args:
        split: Which split, in words.
        neighbours: (T,) index of the nearest training slice of each test slice; -1 where none is
            alike, as of a slice of one single value.
        accuracy: Share of test slices whose neighbour has their label; without one it is wrong.
        grouped: The same where training slices of a test slice's leak-free group do not count.
        majority: Share of test slices of the most common training class.
    """

    split: str
    train: Ints
    test: Ints
    neighbours: Ints
    accuracy: Share
    grouped: Share
    majority: Share

    def as_json(self) -> dict[str, object]:
        """As `audit.json` holds it."""
        return {
            "split": self.split,
            "n_train": len(self.train),
            "n_test": len(self.test),
            "accuracy": self.accuracy.as_json(),
            "accuracy_without_own_group": self.grouped.as_json(),
            "majority_class": self.majority.as_json(),
        }


def sides_of(items: Sequence[Item], of_manifest: bool) -> Sides:
    """The splits that a publisher's folders, a manifest or the user's folds give."""
    published = tuple(item.published_split for item in items)
    if any(published):
        return Sides(published, "the published folders")
    folds = tuple(item.fold for item in items)
    if any(folds):
        return Sides(folds, "the manifest's splits" if of_manifest else "the folds given")
    return Sides(folds, None)


def leak_free(items: Sequence[Item]) -> Ints:
    """(N,) a number for each leak-free group of slices whose copies are known."""
    return np.array(connected([item.ties for item in items]), dtype=np.int64)


def find_copies(items: Sequence[Item], prints: Fingerprints, sides: Sides) -> Copies:
    """What is said about the copies among N slices whose copies are known."""
    clusters = [item.cluster for item in items]
    groups = _gathered(clusters)
    exact = _gathered([digest.tobytes() for digest in prints.digests])
    same = {tuple(group) for group in exact}
    ties = leak_free(items)
    labels = [contradicted({items[index].label for index in group}) for group in groups]
    contradicting = [
        [index for index in group if items[index].label in odd]
        for group, odd in zip(groups, labels, strict=True)
    ]
    torn = crossings([item.keys for item in items], sides.names) if sides.origin else []
    bonds = Counter(crossing.key.bond for crossing in torn)
    return Copies(
        distinct=len(set(clusters)),
        exact=exact,
        near=[group for group in groups if tuple(group) not in same],
        cross_split=_crossed(clusters, sides.names, ties),
        cross_source=_crossed(clusters, [item.source for item in items], ties),
        groups=groups,
        conflicts=[odd for odd in contradicting if odd],
        torn={bond.name.lower(): n for bond, n in sorted(bonds.items()) if bond != Bond.COPIES},
    )


def memorisation(
    thumbnails: Array, labels: Sequence[str], groups: Ints, sides: Sides
) -> Memorisation | None:
    """Score the nearest neighbour; None where one side would be empty.

    Takes (N, 1024) from `thumbnail`, (N) class names, (N,) numbers of leak-free groups, and splits.
    """
    train, test, split = _split(sides)
    if not (len(train) and len(test)):
        return None
    names = np.array(labels)
    known, asked = names[train], names[test]
    near = nearest(thumbnails[test], thumbnails[train])
    apart = nearest(thumbnails[test], thumbnails[train], (groups[test], groups[train]))
    common = Counter(known.tolist()).most_common(1)[0][0]
    right, right_apart = ((at >= 0) & (known[at] == asked) for at in (near, apart))
    return Memorisation(
        split=split,
        train=train,
        test=test,
        neighbours=np.where(near >= 0, train[near], -1),
        accuracy=share_by_group(right, groups[test]),
        grouped=share_by_group(right_apart, groups[test]),
        majority=share_by_group(asked == common, groups[test]),
    )


def _gathered(names: Sequence[Hashable]) -> list[Group]:
    """Groups of at least two equal names, the largest first."""
    groups: dict[Hashable, Group] = {}
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


def _split(sides: Sides) -> tuple[Ints, Ints, str]:
    """Training slices, test slices, and which split that is; an empty name is no side."""
    names = np.array(sides.names)
    given = sorted(set(sides.names) - {""})
    rest = "" if all(sides.names) else "; slices without a split take no part"
    if "train" in given:
        for test in ("test", "val"):
            if test in given:
                split = f"from train to {test}, as {sides.origin} say{rest}"
                return np.flatnonzero(names == "train"), np.flatnonzero(names == test), split
    if len(given) > 1:
        first = given[0]
        split = f"from the other folds to fold {first}, as {sides.origin} say{rest}"
        others = np.flatnonzero((names != first) & (names != ""))
        return others, np.flatnonzero(names == first), split
    why = f"{sides.origin} name {given[0]} only" if given else "no split was given"
    return *random_split(len(names)), f"{RANDOM_SPLIT}, since {why}"


def random_split(n: int) -> tuple[Ints, Ints]:
    """The training and the test side of N slices, split by slice as `RANDOM_SPLIT` says."""
    order = np.random.default_rng(RANDOM_SEED).permutation(n)
    cut = round(n * _TEST_SHARE)
    return np.sort(order[cut:]), np.sort(order[:cut])
