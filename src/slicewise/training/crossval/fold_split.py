"""Which slices a fold holds out: by a column of the manifest, or by dealing whole groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slicewise.data.build.splits import deal
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import parse_task
from slicewise.errors import TrainingError
from slicewise.training.config import DEALT_COLUMN, RunConfig


def read_with_folds(config: RunConfig) -> Manifest:
    """The manifest of a run with a fold in every row: its own, or dealt by `folds.count`.

    Dealt folds hold whole groups, each class and each source of it spread evenly; the same seed
    deals the same folds, whatever the order of the rows.

    Raises:
        TrainingError: The manifest brings folds of its own and `folds.count` is given, or a class
            has fewer groups than there are to be folds.
    """
    manifest = Manifest.read(config.data.manifest)
    count = config.folds.count
    return manifest if count is None else _dealt(manifest, count, config.seed)


def fold_names(config: RunConfig, manifest: Manifest) -> list[str]:
    """The folds a manifest names, sorted.

    Raises:
        TrainingError: The fold column is missing or empty somewhere, or names fewer than two folds.
    """
    column = config.folds.name
    names = {row.extra.get(column, "") for row in manifest.rows}
    if not names - {""}:
        raise TrainingError(
            f"folds.column {column!r}: expected a fold in every row and at least two folds; got "
            "none. Give folds.count, such as 5, to deal whole groups into folds"
        )
    if "" in names or len(names) < 2:
        raise TrainingError(
            f"folds.column {column!r}: expected a fold in every row and at least two folds; "
            f"got {', '.join(sorted(names))}"
        )
    return sorted(names)


def held_out(config: RunConfig, manifest: Manifest, fold: str | None) -> Manifest:
    """The manifest with one fold as test split, and some groups of each class as validation.

    Args:
        config: Names the fold column and the share of validation groups.
        manifest: Rows with folds; their own splits are ignored.
        fold: The fold to hold out; None to train on all.

    Slices of a tumor whose type is not told follow their groups; none is counted for validation.
    """
    column, rows = config.folds.name, manifest.rows
    inside = [row for row in rows if fold is None or row.extra[column] != fold]
    task = parse_task(config.data.task)
    typed = [row for row in inside if len(task.possible(row.label)) <= 1]
    chosen = _validation_groups(typed, config.folds.validation_share, config.seed)

    def split_of(row: ManifestRow) -> str:
        if fold is not None and row.extra[column] == fold:
            return "test"
        return "val" if row.group in chosen else "train"

    return replace(manifest, rows=tuple(replace(row, split=split_of(row)) for row in rows))


def _dealt(manifest: Manifest, count: int, seed: int) -> Manifest:
    rows = manifest.rows
    if any(row.extra.get(DEALT_COLUMN) for row in rows):
        raise TrainingError(
            f"folds.count {count}: the manifest has folds of its own in column {DEALT_COLUMN!r}, "
            "which are a hard boundary; leave out folds.count"
        )
    _require_groups(rows, count)
    names = deal(
        [row.group for row in rows],
        [row.label for row in rows],
        [row.source for row in rows],
        shares={str(number): 1 / count for number in range(1, count + 1)},
        seed=seed,
    )
    dealt = (
        replace(row, extra={**row.extra, DEALT_COLUMN: name})
        for row, name in zip(rows, names, strict=True)
    )
    return replace(manifest, rows=tuple(dealt))


def _require_groups(rows: Sequence[ManifestRow], count: int) -> None:
    groups: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        groups[row.label].add(row.group)
    for label, names in sorted(groups.items()):
        if len(names) < count:
            raise TrainingError(
                f"folds.count {count}: expected at least {count} groups of every class; "
                f"{label} has {len(names)}"
            )


def _validation_groups(rows: Sequence[ManifestRow], share: float, seed: int) -> set[str]:
    """Groups holding about `share` of the slices of each class."""
    sizes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        sizes[row.label][row.group] += 1
    chosen: set[str] = set()
    generator = np.random.default_rng(seed)
    for label in sorted(sizes):
        groups = sorted(sizes[label])
        taken = sum(size for group, size in sizes[label].items() if group in chosen)
        wanted = share * sum(sizes[label].values()) - taken
        for index in generator.permutation(len(groups)):
            if wanted <= 0:
                break
            if groups[index] not in chosen:
                wanted -= sizes[label][groups[index]]
                chosen.add(groups[index])
    return chosen
