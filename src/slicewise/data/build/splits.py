"""Splits without leaks: whole groups are dealt, or a user's or publisher's folds are kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from slicewise.data.build.config import BuildConfig
from slicewise.data.build.report import Excluded
from slicewise.data.build.sources import Item
from slicewise.data.groups import Bond, Key, connected, members_of
from slicewise.errors import ConfigError, LeakageError, ManifestError
from slicewise.text import counted

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
_SOURCE_WEIGHT = 0.25
_SHOWN = 3

Unit = TypeVar("Unit", bound=Hashable)
Stratum = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """What slices in several folds share, how many are in each, and which fold holds most."""

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
    """Splits of N slices: whole groups, so that each class and each source of it has its share.

    Large groups first, each to the split where it does most good (least squared deviation from the
    wanted counts); groups of one size in an order drawn from the seed.

    Takes (N) names of groups, classes and data sets. The shares of the splits add up to one.
    """
    sizes, strata = Counter(groups), defaultdict[str, Counter[Stratum]](Counter)
    for group, label, source in zip(groups, labels, sources, strict=True):
        strata[group].update([(label,), (label, source)])
    totals = sum(strata.values(), Counter[Stratum]())
    filled: dict[str, Counter[Stratum]] = {split: Counter() for split in shares}
    chosen: dict[str, str] = {}
    names = sorted(sizes)
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    for group in sorted(shuffled, key=lambda name: -sizes[name]):
        counts = strata[group]
        best = min(shares, key=lambda split: _cost(counts, filled[split], totals, shares[split]))
        filled[best].update(counts)
        chosen[group] = best
    return [chosen[group] for group in groups]


def split_names(
    items: Sequence[Item], groups: Sequence[str], config: BuildConfig, *, keep: bool = False
) -> list[str]:
    """The split of each of N slices, given the names of their groups, of which none crosses a fold.

    With `keep` their folds are splits and stay; whole groups without one are dealt. `ManifestError`
    where folds or published splits are not as expected, `ConfigError` for the name of none.
    """
    folds = [item.fold for item in items]
    if keep:
        return _redealt(items, groups, "", SHARES, config.seed)
    if config.published_splits:
        if "" in folds or "train" not in folds or "test" not in folds:
            raise ManifestError(
                "published splits: expected every slice below a train, val or test folder; got "
                f"{dict(Counter(folds))}"
            )
        # Where none is for validation, groups of the training split are.
        dealt = {"train": 0.85, "val": 0.15}
        return folds if "val" in folds else _redealt(items, groups, "train", dealt, config.seed)
    if any(folds):
        return named_folds(folds, config.test_fold, config.val_fold)
    if config.test_fold or config.val_fold:
        raise ConfigError("test_fold and val_fold: expected slices with folds, got none")
    return _redealt(items, groups, "", SHARES, config.seed)


def boundary(items: Sequence[Item], config: BuildConfig, *, keep: bool = False) -> str:
    """Where the splits of `split_names` come from, in words."""
    folds = sorted({item.fold for item in items} - {""})
    if keep:
        kept = f"as given ({', '.join(folds) or 'none'})"
        dealt = sum(not item.fold for item in items)
        rest = f"{counted(dealt, 'slice')} without one dealt 70/15/15 by group, seed {config.seed}"
        return f"{kept}; {rest}" if dealt else kept
    if config.published_splits:
        return "as published in the folders"
    if folds:
        test, val = held_out(folds, config.test_fold, config.val_fold)
        if set(folds) <= set(SHARES) and (test, val) == ("test", "val"):
            return f"as {config.fold_column} says ({', '.join(folds)})"
        return f"by {config.fold_column} (test {test}, validation {val}, train the others)"
    return f"70/15/15 by group, stratified by class and source, seed {config.seed}"


def named_folds(folds: Sequence[str], test_fold: str | None, val_fold: str | None) -> list[str]:
    """Splits from N folds of a user: one is test, one is validation, the rest is train."""
    test, val = held_out(folds, test_fold, val_fold)
    return ["test" if fold == test else "val" if fold == val else "train" for fold in folds]


def held_out(folds: Sequence[str], test_fold: str | None, val_fold: str | None) -> tuple[str, str]:
    """The names of the test and of the validation fold; one named like a split is that split.

    None stands for `test` or `val`, or else the first that is left in sorted order. `ManifestError`
    with fewer than three folds; two will do where both are named, as nothing is left to train on
    then. `ConfigError` if none has that name.
    """
    names = sorted(set(folds))
    both_named = bool(test_fold and val_fold) or {"test", "val"} <= set(names)
    if len(names) < (2 if both_named else 3) or "" in names:
        raise ManifestError(
            f"expected a fold for every slice and at least three of them; got "
            f"{dict(sorted(Counter(folds).items()))}"
        )
    for split, name in (("test", test_fold), ("val", val_fold)):
        if name is not None and name not in names:
            raise ConfigError(f"fold {name!r}: expected one of {', '.join(names)}")
        if name not in (None, split) and (name in SHARES or split in names):
            raise ConfigError(
                f"fold {name!r} cannot be {split}: a fold named train, val or test is that split"
            )
    free = [name for name in names if name not in SHARES and name not in (test_fold, val_fold)]
    test = test_fold or ("test" if "test" in names else free[0])
    val = val_fold or ("val" if "val" in names else next(name for name in free if name != test))
    if test == val:
        raise ConfigError(f"fold {test!r} cannot be both test and validation")
    return test, val


def within_folds(
    items: Sequence[Item], config: BuildConfig
) -> tuple[list[Item], list[Excluded], int]:
    """Slices whose groups cross no fold, those dropped, how many moved; or a `LeakageError`."""
    folds = [item.fold for item in items]
    if not any(folds):
        return list(items), [], 0
    found = crossings([item.keys for item in items], folds)
    if config.on_conflict == "refuse":
        refuse(found, config.wording_of("on_conflict"))
    if config.on_conflict == "drop":
        home_of = {crossing.key: crossing.home for crossing in found}
        kept, dropped = [], []
        for item in items:
            strays = (key for key in item.keys if home_of.get(key, item.fold) != item.fold)
            if stray := next(strays, None):
                where = f"{stray.shown} is mostly in fold {home_of[stray]}"
                dropped.append(item.excluded(f"in fold {item.fold}, but {where}", "in fold"))
            else:
                kept.append(item)
        return kept, dropped, 0
    units = connected([item.ties for item in items])
    home = homes(zip(units, folds, strict=True))
    at_home = [replace(item, fold=home[unit]) for item, unit in zip(items, units, strict=True)]
    return at_home, [], sum(item.fold != fold for item, fold in zip(at_home, folds, strict=True))


def homes(places: Iterable[tuple[Unit, str]]) -> dict[Unit, str]:
    """Of each unit the fold that holds most of its slices; of equals the first by name."""
    counts: dict[Unit, Counter[str]] = defaultdict(Counter)
    for unit, fold in places:
        counts[unit][fold] += 1
    return {
        unit: min(sides, key=lambda fold: (-sides[fold], fold)) for unit, sides in counts.items()
    }


def crossings(keys: Sequence[Sequence[Key]], folds: Sequence[str]) -> list[Crossing]:
    """Patients, groups, volumes and copies of N slices that stand in more than one fold."""
    found = []
    for key, members in sorted(members_of(keys).items()):
        sides = Counter(folds[member] for member in members)
        if len(sides) > 1 and key.bond != Bond.FOLD:
            home = homes((key, folds[member]) for member in members)[key]
            found.append(Crossing(key, dict(sorted(sides.items())), home))
    return found


def refuse(found: Sequence[Crossing], option: str = "--on-conflict ") -> None:
    """`LeakageError` where anything crosses a fold: the first few, and what `option` can do."""
    if not found:
        return
    kinds = Counter(crossing.key.bond.name.lower() for crossing in found)
    bonds = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
    shown = "; ".join(
        f"{c.key.shown} ({', '.join(f'{n} in fold {fold}' for fold, n in c.sides.items())})"
        for c in found[:_SHOWN]
    )
    stray = sum(sum(c.sides.values()) - c.sides[c.home] for c in found)
    verb = "stands" if len(found) == 1 else "stand"
    raise LeakageError(
        f"{counted(len(found), 'leak-free unit')} {verb} in more than one fold ({bonds}): {shown}. "
        f"{option}drop leaves out the slices outside of each unit's largest fold "
        f"(at most {stray}); {option}move moves whole groups into it"
    )


def inherit(kept: Sequence[Item], left_out: Sequence[Item]) -> list[Item]:
    """The kept slices, tied to each other where only a slice that was left out tied them.

    What shares a copy, patient, group or volume with a slice that was left out, or with several
    that are connected, must not be torn apart for their sake.
    """
    keys = [item.ties for item in left_out]
    roots = connected(keys)
    names: dict[int, Key] = {}
    for root, own in zip(roots, keys, strict=True):
        copies = min(key for key in own if key.bond == Bond.COPIES)
        names[root] = min(copies, names.get(root, copies))
    ties = {key: names[root] for root, own in zip(roots, keys, strict=True) for key in own}
    more = [sorted({ties[key] for key in i.keys if key in ties} - set(i.keys)) for i in kept]
    return [
        replace(item, inherited=(*item.inherited, *own)) if own else item
        for item, own in zip(kept, more, strict=True)
    ]


def _redealt(
    items: Sequence[Item], groups: Sequence[str], fold: str, shares: Mapping[str, float], seed: int
) -> list[str]:
    """The folds of the slices, but whole groups of one of the folds dealt to splits."""
    inside = [index for index, item in enumerate(items) if item.fold == fold]
    dealt = deal(
        [groups[index] for index in inside],
        [items[index].label for index in inside],
        [items[index].source for index in inside],
        shares=shares,
        seed=seed,
    )
    splits = [item.fold for item in items]
    for index, split in zip(inside, dealt, strict=True):
        splits[index] = split
    return splits


def _cost(
    counts: Counter[Stratum], filled: Counter[Stratum], totals: Counter[Stratum], share: float
) -> float:
    """Change of the squared deviation if a group of these counts went to a split."""
    cost = 0.0
    for stratum, count in counts.items():
        wanted = share * totals[stratum]
        before, after = filled[stratum] - wanted, filled[stratum] + count - wanted
        weight = 1.0 if len(stratum) == 1 else _SOURCE_WEIGHT
        cost += weight * (after**2 - before**2) / (share * totals[stratum])
    return cost
