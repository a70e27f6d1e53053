"""Where a manifest is split: the user's folds, the published folders, or groups that are dealt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from slicewise.data.build.collection import Item
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.report import Excluded
from slicewise.data.build.splits import (
    SHARES,
    Crossing,
    crossings,
    deal,
    held_out,
    named_folds,
    refuse,
)
from slicewise.data.groups import Bond, Key, connected, group_names
from slicewise.errors import ConfigError, ManifestError
from slicewise.text import counted


def keys_of(item: Item) -> list[Key]:
    """What a slice shares with others; always its copies, at least with itself."""
    found, known = item.found, item.known
    keys = [Key(Bond.COPIES, item.cluster_name)]
    if known.patient:
        keys.append(Key(Bond.PATIENT, f"{found.source}:{known.patient}"))
    elif found.patient:
        keys.append(Key(Bond.PATIENT, found.patient))
    if known.group:
        keys.append(Key(Bond.GROUP, f"{found.source}:{known.group}"))
    if found.index is not None:
        keys.append(Key(Bond.VOLUME, found.sha256[:12]))
    if known.fold and len(keys) == 1:
        keys.append(Key(Bond.FOLD, item.fold))
    return [*keys, *item.inherited]


def inherit(kept: Sequence[Item], left_out: Sequence[Item]) -> list[Item]:
    """The kept items, tied to each other where only a slice that was left out tied them.

    Args:
        kept: Items that stay.
        left_out: Items that go. What shares a copy, patient, group or volume with one of them, or
            with several that are connected, must not be torn apart for their sake.
    """
    keys = [[key for key in keys_of(item) if key.bond != Bond.FOLD] for item in left_out]
    ties: dict[Key, Key] = {}
    names: dict[int, Key] = {}
    roots = connected(keys)
    for root, own in zip(roots, keys, strict=True):
        copies = min(key for key in own if key.bond == Bond.COPIES)
        names[root] = min(copies, names.get(root, copies))
    for root, own in zip(roots, keys, strict=True):
        ties.update((key, names[root]) for key in own)
    return [_tied(item, ties) for item in kept]


def _tied(item: Item, ties: Mapping[Key, Key]) -> Item:
    own = keys_of(item)
    more = sorted({ties[key] for key in own if key in ties} - set(own))
    return replace(item, inherited=(*item.inherited, *more)) if more else item


def within_folds(
    items: Sequence[Item], config: BuildConfig
) -> tuple[list[Item], list[Excluded], int]:
    """Items of which no group crosses a fold, what was dropped for it, how many were moved.

    Args:
        items: With their copies known.
        config: Says whether to refuse, drop or move.

    Raises:
        LeakageError: If a group crosses a fold and the configuration says refuse.
    """
    folds = [item.fold for item in items]
    if not any(folds):
        return list(items), [], 0
    keys = [keys_of(item) for item in items]
    found = crossings(keys, folds)
    if config.on_conflict == "refuse":
        refuse(found, config.wording_of("on_conflict"))
    if config.on_conflict == "drop":
        kept, dropped = _dropped(items, keys, folds, found)
        return kept, dropped, 0
    return _moved(items, keys, folds)


def split_names(items: Sequence[Item], groups: Sequence[str], config: BuildConfig) -> list[str]:
    """The split of each item.

    Args:
        items: (N) of which no group crosses a fold.
        groups: (N) names of their groups.
        config: Names the folds.

    Raises:
        ManifestError: If folds or published splits are not as expected.
        ConfigError: If a fold is named that is not there.
    """
    labels = [item.found.label for item in items]
    sources = [item.found.source for item in items]
    folds = [item.fold for item in items]
    if config.published_splits:
        return _published(groups, labels, sources, folds, config.seed)
    if any(folds):
        return named_folds(folds, config.test_fold, config.val_fold)
    if config.test_fold or config.val_fold:
        raise ConfigError("test_fold and val_fold: expected slices with folds, got none")
    return deal(groups, labels, sources, shares=SHARES, seed=config.seed)


def boundary(items: Sequence[Item], config: BuildConfig) -> str:
    """Where the splits come from, in words."""
    if config.published_splits:
        return "as published in the folders"
    folds = sorted({item.fold for item in items})
    if any(folds):
        test, val = held_out(folds, config.test_fold, config.val_fold)
        if set(folds) <= set(SHARES) and (test, val) == ("test", "val"):
            return f"as {fold_column(config)} says ({', '.join(folds)})"
        return f"by {fold_column(config)} (test {test}, validation {val}, train the others)"
    return f"70/15/15 by group, stratified by class and source, seed {config.seed}"


def kept_splits(items: Sequence[Item], groups: Sequence[str], seed: int) -> list[str]:
    """The splits that items have; whole groups without one are dealt among themselves.

    Args:
        items: (N) whose folds are splits or empty, and alike within a group.
        groups: (N) names of their groups.
        seed: Of the dealing.
    """
    labels = [item.found.label for item in items]
    sources = [item.found.source for item in items]
    return _redealt([item.fold for item in items], "", groups, labels, sources, SHARES, seed)


def kept_boundary(items: Sequence[Item], seed: int) -> str:
    """Where kept splits come from, in words."""
    splits = sorted({item.fold for item in items} - {""})
    dealt = sum(not item.fold for item in items)
    kept = f"as given ({', '.join(splits) or 'none'})"
    rest = f"; {counted(dealt, 'slice')} without one dealt 70/15/15 by group, seed {seed}"
    return kept + rest if dealt else kept


def fold_column(config: BuildConfig) -> str:
    """Name of the column that keeps the fold: the user's own."""
    named = (source.table.fold_column for source in config.sources if source.table)
    return next((name for name in named if name), "fold")


def _dropped(
    items: Sequence[Item],
    keys: Sequence[Sequence[Key]],
    folds: Sequence[str],
    found: Sequence[Crossing],
) -> tuple[list[Item], list[Excluded]]:
    home = {crossing.key: crossing.home for crossing in found}
    kept, dropped = [], []
    for item, own, fold in zip(items, keys, folds, strict=True):
        stray = [key for key in own if home.get(key, fold) != fold]
        if stray:
            reason = f"in fold {fold}, but {stray[0].shown} is mostly in fold {home[stray[0]]}"
            dropped.append(item.excluded(reason))
        else:
            kept.append(item)
    return kept, dropped


def _moved(
    items: Sequence[Item], keys: Sequence[Sequence[Key]], folds: Sequence[str]
) -> tuple[list[Item], list[Excluded], int]:
    sizes: dict[str, Counter[str]] = {}
    names = group_names([[key for key in own if key.bond != Bond.FOLD] for own in keys])
    for name, fold in zip(names, folds, strict=True):
        sizes.setdefault(name, Counter())[fold] += 1
    home = {name: min(counts, key=lambda f: (-counts[f], f)) for name, counts in sizes.items()}
    moved = sum(home[name] != fold for name, fold in zip(names, folds, strict=True))
    return [item.in_fold(home[name]) for item, name in zip(items, names, strict=True)], [], moved


def _published(
    groups: Sequence[str],
    labels: Sequence[str],
    sources: Sequence[str],
    folds: Sequence[str],
    seed: int,
) -> list[str]:
    """The published splits; where none is for validation, groups of the training split are."""
    if "" in folds or "train" not in folds or "test" not in folds:
        raise ManifestError(
            "published splits: expected every slice below a train, val or test folder; got "
            f"{dict(Counter(folds))}"
        )
    if "val" in folds:
        return list(folds)
    shares = {"train": 0.85, "val": 0.15}
    return _redealt(folds, "train", groups, labels, sources, shares, seed)


def _redealt(
    folds: Sequence[str],
    fold: str,
    groups: Sequence[str],
    labels: Sequence[str],
    sources: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
) -> list[str]:
    """The folds, but whole groups of one of them dealt to splits."""
    inside = [index for index, name in enumerate(folds) if name == fold]
    dealt = deal(
        [groups[i] for i in inside],
        [labels[i] for i in inside],
        [sources[i] for i in inside],
        shares=shares,
        seed=seed,
    )
    splits = list(folds)
    for index, split in zip(inside, dealt, strict=True):
        splits[index] = split
    return splits
