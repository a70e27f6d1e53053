"""Cross-validation: each fold is held out once, then one model is trained on all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path

import numpy as np

from slicewise.data.build.splits import deal
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import Task, parse_task
from slicewise.errors import ConfigError, TrainingError
from slicewise.inference.bundle import load_bundle
from slicewise.predictions.files import read_predictions
from slicewise.predictions.table import pooled
from slicewise.text import figure_text
from slicewise.training.config import DEALT_COLUMN, RunConfig
from slicewise.training.crossval.pooled_report import FOLDER, pool
from slicewise.training.export.decision_fit import fit_decision
from slicewise.training.loop.checks import require_trainable
from slicewise.training.loop.measure import leaked, summary
from slicewise.training.loop.train import EVALUATION, answerable, train_manifest

HEADLINES = (
    *("accuracy", "balanced_accuracy", "macro_auroc", "ece", "memorisation_1nn"),
    *("tumor sensitivity", "tumor specificity"),
)
POOLED = (
    "Cross-validation: each fold was predicted by a model trained on the other folds, whose "
    "calibration, threshold, prediction sets, acceptance and out-of-distribution limits were "
    "fitted on groups of those folds too; predictions are pooled. The model in this bundle was "
    "trained by the same recipe on {trained} of the {everything} slices of all folds; the other "
    "{watching}, in whole groups, watched over its training and fitted its out-of-distribution "
    "limits. Its own calibration, threshold, prediction sets and acceptance were fitted on the "
    "pooled held-out answers."
)


def train_fold(
    config: RunConfig, task: Task, fold: str, command: str, *, refit: bool = False
) -> Path:
    """Train without one fold and evaluate on it, as `train`, in `runs/NAME/fold-FOLD`.

    Raises:
        ConfigError: There is no such fold.
        TrainingError: Training failed.
    """
    manifest = read_with_folds(config)
    _require_known(config, manifest, [fold])
    split, folder = held_out(config, manifest, fold), config.fold_folder(fold)
    return train_manifest(config, task, split, folder, command, refit=refit)


def require_folds(config: RunConfig, task: Task, names: Sequence[str | None]) -> None:
    """Check folds (None: the model on all) before the first is trained, as `require_trainable`.

    Raises:
        SliceWiseError: There is no such fold, or one of them would fail.
    """
    manifest = read_with_folds(config)
    _require_known(config, manifest, names)
    parts = {
        config.fold_folder(name): answerable(held_out(config, manifest, name), task)
        for name in names
    }
    require_trainable(config, task, parts)


def cross_validate(config: RunConfig, task: Task, command: str, *, refit: bool = False) -> Path:
    """Train every fold and a final model on all of them; finished parts are not trained again.

    The bundle of the final model carries the pooled metrics of the folds, in which each fold was
    decided by what was fitted on the others. Its own calibration, threshold, prediction sets and
    acceptance are fitted on all pooled answers, which are many more than one validation split has.

    Raises:
        TrainingError: The folds are not as expected, or training failed.
    """
    manifest = read_with_folds(config)
    names = fold_names(config, manifest)
    require_folds(config, task, [*names, None])
    for name in names:
        train_fold(config, task, name, command, refit=refit)
    tables = [
        read_predictions(
            config.fold_folder(name) / EVALUATION / "predictions.csv", task.negative_class
        )
        for name in names
    ]
    report = pool(config, manifest, tables, names, command)
    final = held_out(config, manifest, None)
    everything, trained = len(final.rows), len(final.subset("train").rows)
    words = POOLED.format(trained=trained, everything=everything, watching=everything - trained)
    described = "the pooled held-out answers of cross-validation"
    words += leaked(report)
    decision = fit_decision(pooled(tables), described, config.bundle)
    metrics, folder = summary(report, words), config.fold_folder(None)
    return train_manifest(config, task, final, folder, command, decision, metrics, refit=refit)


def _require_known(config: RunConfig, manifest: Manifest, names: Sequence[str | None]) -> None:
    known = fold_names(config, manifest)
    unknown = [name for name in names if name is not None and name not in known]
    if unknown:
        raise ConfigError(f"fold {unknown[0]!r}: the manifest has {', '.join(known)}")


def headlines(bundle: Path) -> str:
    """Where a bundle and its report lie, and its main metrics with their intervals."""
    info = load_bundle(bundle).info
    own, pooled = bundle.parent / EVALUATION, bundle.parent.parent / FOLDER
    metrics = info.evaluation.as_json()
    rows = [
        (name.replace("_", " "), figure_text(reduce(getitem, name.split(), metrics)))
        for name in HEADLINES
        if not name.startswith("tumor") or info.task.negative_class is not None
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        [
            f"bundle: {bundle}",
            f"report: {own if own.is_dir() else pooled}",
            f"{metrics['split']}: {metrics['n']} slices in {metrics['groups']} groups; "
            "95 % intervals resample groups",
            *(f"  {name:{width}}  {text}" for name, text in rows),
        ]
    )


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
        ConfigError: The fold column is missing or empty somewhere, or names fewer than two folds.
    """
    column = config.folds.name
    names = sorted({row.extra.get(column, "") for row in manifest.rows})
    if "" in names or len(names) < 2:
        got = ", ".join(names)
        if not any(names):
            got = "none. Give folds.count, such as 5, to deal whole groups into folds"
        raise ConfigError(
            f"folds.column {column!r}: expected a fold in every row and at least two folds; "
            f"got {got}"
        )
    return names


def held_out(config: RunConfig, manifest: Manifest, fold: str | None) -> Manifest:
    """The manifest with one fold as test split, and whole groups of the others as validation.

    The splits of the manifest itself are ignored; where no fold is named, all are trained on.
    Slices of a tumor whose type is unknown follow their groups; none is counted for validation.
    """
    column, rows = config.folds.name, manifest.rows
    inside = [row for row in rows if fold is None or row.extra[column] != fold]
    task = parse_task(config.data.task)
    typed = [row for row in inside if len(task.possible(row.label)) <= 1]
    by_source = config.folds.validation_by == "label_and_source"
    choose = _groups_by_source if by_source else _groups_by_label
    chosen = choose(typed, config.folds.validation_share, config.seed)

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
    groups: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        groups[row.label].add(row.group)
    for label, found in sorted(groups.items()):
        if len(found) < count:
            raise TrainingError(
                f"folds.count {count}: expected at least {count} groups of every class; "
                f"{label} has {len(found)}"
            )
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


def _groups_by_label(rows: Sequence[ManifestRow], share: float, seed: int) -> set[str]:
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


def _groups_by_source(rows: Sequence[ManifestRow], share: float, seed: int) -> set[str]:
    """Groups holding about `share` of the slices of each class, and of each source within it.

    A source that has `1 / share` groups of a class or more is never left out of it.
    """
    rows = sorted(rows, key=lambda row: row.path)
    labels, sources = [row.label for row in rows], [row.source for row in rows]
    groups, shares = [row.group for row in rows], {"train": 1 - share, "val": share}
    splits = deal(groups, labels, sources, shares=shares, seed=seed)
    chosen = {group for group, split in zip(groups, splits, strict=True) if split == "val"}
    sizes, strata = Counter(groups), defaultdict(set)
    for label, source, group in zip(labels, sources, groups, strict=True):
        strata[label, source].add(group)
    for _, found in sorted(strata.items()):
        if len(found) >= 1 / share and not found & chosen:
            chosen.add(min(found, key=lambda group: (sizes[group], group)))
    return chosen
