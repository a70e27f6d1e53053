"""What memory alone would score: each test slice takes the label of its nearest training slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Array, Ints
from slicewise.data.duplicates.neighbour import nearest
from slicewise.data.quality.copies import Sides
from slicewise.stats.intervals import Share, share_by_group

RANDOM_SEED = 42
_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Memorisation:
    """The nearest neighbour's score, on a split and without the slices of a test slice's group.

    Args:
        split: Which split, in words.
        train: Indices of the training slices.
        test: Indices of the test slices.
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


def memorisation(
    thumbnails: Array, labels: Sequence[str], groups: Ints, sides: Sides
) -> Memorisation | None:
    """Score the nearest neighbour; None where one side would be empty.

    Args:
        thumbnails: (N, 1024) from `slicewise.data.duplicates.neighbour.thumbnail`.
        labels: (N) class names.
        groups: (N,) numbers of leak-free groups.
        sides: Splits, if any.
    """
    train, test, said = _split(sides, len(labels))
    if not (len(train) and len(test)):
        return None
    names = np.array(labels)
    known, asked = names[train], names[test]
    near = nearest(thumbnails[test], thumbnails[train])
    apart = nearest(thumbnails[test], thumbnails[train], (groups[test], groups[train]))
    common = Counter(known.tolist()).most_common(1)[0][0]
    right, right_apart = ((at >= 0) & (known[at] == asked) for at in (near, apart))
    return Memorisation(
        split=said,
        train=train,
        test=test,
        neighbours=np.where(near >= 0, train[near], -1),
        accuracy=share_by_group(right, groups[test]),
        grouped=share_by_group(right_apart, groups[test]),
        majority=share_by_group(asked == common, groups[test]),
    )


def _split(sides: Sides, count: int) -> tuple[Ints, Ints, str]:
    """Training slices, test slices, and which split that is; an empty name is no side."""
    names = np.array(sides.names)
    given = sorted(set(sides.names) - {""}) if sides.said else []
    rest = "" if all(sides.names) else "; slices without a split take no part"
    if "train" in given:
        for test in ("test", "val"):
            if test in given:
                said = f"from train to {test}, as {sides.said} say{rest}"
                return np.flatnonzero(names == "train"), np.flatnonzero(names == test), said
    if len(given) > 1:
        first = given[0]
        said = f"from the other folds to fold {first}, as {sides.said} say{rest}"
        others = np.flatnonzero((names != first) & (names != ""))
        return others, np.flatnonzero(names == first), said
    return _at_random(
        count, f"{sides.said} name {given[0]} only" if given else "no split was given"
    )


def _at_random(count: int, why: str) -> tuple[Ints, Ints, str]:
    order = np.random.default_rng(RANDOM_SEED).permutation(count)
    cut = round(count * _TEST_SHARE)
    said = f"a random 80/20 split by slice, seed {RANDOM_SEED}, since {why}"
    return np.sort(order[cut:]), np.sort(order[:cut]), said
