"""Splits without leaks: whole groups are dealt, or a user's folds are kept as hard boundaries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.data.groups import Bond, Key, members_of
from slicewise.errors import ConfigError, LeakageError, ManifestError
from slicewise.text import counted

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
_SOURCE_WEIGHT = 0.25
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Crossing:
    """What a boundary of folds runs through.

    Args:
        key: What the slices share.
        sides: Number of its slices in each fold.
        home: The fold that holds most of them.
    """

    key: Key
    sides: dict[str, int]
    home: str


def deal(
    groups: Sequence[str],
    labels: Sequence[str],
    sources: Sequence[str],
    *,
    shares: Mapping[str, float],
    seed: int,
) -> list[str]:
    """Deal whole groups to splits so that each class, and each source of it, has its share.

    Large groups first, each to the split where it does most good (least squared deviation from the
    wanted counts); groups of one size in an order drawn from the seed.

    Args:
        groups: (N) names.
        labels: (N) class names.
        sources: (N) names of data sets.
        shares: From split to its share; they add up to one.
        seed: Of the order.

    Returns:
        (N) names of splits.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    strata = [_strata(label, source) for label, source in zip(labels, sources, strict=True)]
    totals = Counter(stratum for own in strata for stratum in own)
    filled: dict[str, Counter[tuple[str, ...]]] = {split: Counter() for split in shares}
    chosen: dict[str, str] = {}
    for group in _large_first(members, seed):
        counts = Counter(stratum for index in members[group] for stratum in strata[index])
        best = min(shares, key=lambda split: _cost(counts, filled[split], totals, shares[split]))
        filled[best].update(counts)
        chosen[group] = best
    return [chosen[group] for group in groups]


def named_folds(folds: Sequence[str], test_fold: str | None, val_fold: str | None) -> list[str]:
    """Splits from a user's folds: one is test, one is validation, the rest is train.

    Args:
        folds: (N) names.
        test_fold: Name of the test fold; None for `test`, or else the first in sorted order.
        val_fold: Name of the validation fold; None for `val`, or else the first that is left.

    Raises:
        ManifestError: If there are fewer than three folds. Two will do where both are named: then
            nothing is left to train on.
        ConfigError: If none has that name.
    """
    test, val = held_out(folds, test_fold, val_fold)
    return ["test" if fold == test else "val" if fold == val else "train" for fold in folds]


def held_out(folds: Sequence[str], test_fold: str | None, val_fold: str | None) -> tuple[str, str]:
    """The names of the test and of the validation fold; arguments and errors as `named_folds`.

    A fold that is named like a split is that split.
    """
    names = sorted(set(folds))
    both_named = bool(test_fold and val_fold) or {"test", "val"} <= set(names)
    if len(names) < (2 if both_named else 3) or "" in names:
        raise ManifestError(
            f"expected a fold for every slice and at least three of them; got "
            f"{dict(sorted(Counter(folds).items()))}"
        )
    for split, name in (("test", test_fold), ("val", val_fold)):
        _require_fold(name, names, split)
    free = [name for name in names if name not in SHARES and name not in (test_fold, val_fold)]
    test = test_fold or _first("test", names, free)
    val = val_fold or _first("val", names, [name for name in free if name != test])
    if test == val:
        raise ConfigError(f"fold {test!r} cannot be both test and validation")
    return test, val


def _require_fold(name: str | None, names: Sequence[str], split: str) -> None:
    if name is None:
        return
    if name not in names:
        raise ConfigError(f"fold {name!r}: expected one of {', '.join(names)}")
    if name != split and (name in SHARES or split in names):
        raise ConfigError(
            f"fold {name!r} cannot be {split}: a fold named train, val or test is that split"
        )


def _first(split: str, names: Sequence[str], free: Sequence[str]) -> str:
    """The fold named like the split, else the first of those that mean no other split."""
    return split if split in names else free[0]


def crossings(keys: Sequence[Sequence[Key]], folds: Sequence[str]) -> list[Crossing]:
    """Patients, groups, volumes and copies that stand in more than one fold.

    Args:
        keys: The keys of each of N slices.
        folds: (N) names.
    """
    found = []
    for key, members in sorted(members_of(keys).items()):
        sides = Counter(folds[member] for member in members)
        if len(sides) > 1 and key.bond != Bond.FOLD:
            home = min(sides, key=lambda fold: (-sides[fold], fold))
            found.append(Crossing(key, dict(sorted(sides.items())), home))
    return found


def refuse(found: Sequence[Crossing], option: str = "--on-conflict ") -> None:
    """Raise what a crossed boundary means.

    Args:
        found: What crosses.
        option: How to ask for another answer, up to its value.

    Raises:
        LeakageError: If anything crosses; names how many, the first few, and what can be done.
    """
    if not found:
        return
    kinds = Counter(crossing.key.bond.name.lower() for crossing in found)
    bonds = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
    shown = "; ".join(f"{c.key.shown} ({_sides(c.sides)})" for c in found[:_SHOWN])
    stray = sum(sum(c.sides.values()) - c.sides[c.home] for c in found)
    verb = "stands" if len(found) == 1 else "stand"
    raise LeakageError(
        f"{counted(len(found), 'leak-free unit')} {verb} in more than one fold ({bonds}): {shown}. "
        f"{option}drop leaves out the slices outside of each unit's largest fold "
        f"(at most {stray}); {option}move moves whole groups into it"
    )


def _strata(label: str, source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (label,), (label, source)


def _large_first(members: Mapping[str, Sequence[int]], seed: int) -> list[str]:
    names = sorted(members)
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    return sorted(shuffled, key=lambda name: -len(members[name]))


def _cost(
    counts: Counter[tuple[str, ...]],
    filled: Counter[tuple[str, ...]],
    totals: Counter[tuple[str, ...]],
    share: float,
) -> float:
    """Change of the squared deviation if a group of these counts went to a split."""
    cost = 0.0
    for stratum, count in counts.items():
        wanted = share * totals[stratum]
        before, after = filled[stratum] - wanted, filled[stratum] + count - wanted
        weight = 1.0 if len(stratum) == 1 else _SOURCE_WEIGHT
        cost += weight * (after**2 - before**2) / (share * totals[stratum])
    return cost


def _sides(sides: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {fold}" for fold, count in sides.items())
