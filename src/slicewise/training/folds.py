"""Cross-validation: each fold is held out once, then one model is trained on all of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.evaluation.checks import Bools
from slicewise.evaluation.neighbour import neighbour_correct, thumbnail
from slicewise.evaluation.predictions import PredictionTable, pooled
from slicewise.evaluation.predictions_csv import read_predictions
from slicewise.evaluation.report import Refusals, ReportContext, report_from_predictions
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Failure
from slicewise.inference.bundle import load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.training.config import RunConfig
from slicewise.training.decision_fit import fit_decision
from slicewise.training.train import Figures, own_figures, summary, train_manifest

POOLED = (
    "Cross-validation: each fold was predicted by a model trained on the other folds, whose "
    "temperature and threshold were fitted on groups of those folds too; predictions are pooled. "
    "The model in this bundle was trained by the same recipe on {trained} of the {everything} "
    "slices of all folds; the other {watching}, in whole groups, watched over its training. Its "
    "own temperature and threshold were fitted on the pooled held-out answers."
)


def fold_names(config: RunConfig, manifest: Manifest) -> list[str]:
    """The folds a manifest names, sorted.

    Raises:
        TrainingError: The fold column is missing or empty somewhere, or names fewer than two folds.
    """
    column = config.folds.column
    names = {row.extra.get(column, "") for row in manifest.rows}
    if "" in names or len(names) < 2:
        raise TrainingError(
            f"folds.column {column!r}: expected a fold in every row and at least two folds; "
            f"got {', '.join(sorted(names)) or 'none'}"
        )
    return sorted(names)


def train_fold(config: RunConfig, task: Task, fold: str, command: str) -> Path:
    """Train without one fold and evaluate on it; its folder is `runs/NAME/fold-FOLD`.

    Raises:
        TrainingError: There is no such fold, or training failed.
    """
    manifest = Manifest.read(config.data.manifest)
    known = fold_names(config, manifest)
    if fold not in known:
        raise TrainingError(f"fold {fold!r}: the manifest has {', '.join(known)}")
    split = held_out(config, manifest, fold)
    folder = config.folder / f"fold-{fold}"
    return train_manifest(config, task, split, folder, command, own_figures(command))


def cross_validate(config: RunConfig, task: Task, command: str) -> Path:
    """Train every fold and a final model on all of them; finished parts are not trained again.

    The bundle of the final model carries the pooled figures of the folds, in which each fold was
    decided by what was fitted on the others. Its own temperature and threshold are fitted on all
    pooled answers, which are many more than one validation split has.
    """
    manifest = Manifest.read(config.data.manifest)
    names = fold_names(config, manifest)
    for name in names:
        train_fold(config, task, name, command)
    tables = held_out_answers(config, task, names)
    report = pool(config, tables, names, command)
    everything = held_out(config, manifest, None)
    return train_manifest(
        config,
        task,
        everything,
        config.folder / "final",
        command,
        lambda _: _given(summary(report, pooled_words(everything))),
        fit_decision(pooled(tables), "the pooled held-out answers of cross-validation"),
    )


def pooled_words(final: Manifest) -> str:
    """How the pooled figures came about and on how much the final model was trained."""
    everything, trained = len(final.rows), len(final.subset("train").rows)
    return POOLED.format(trained=trained, everything=everything, watching=everything - trained)


def held_out_answers(config: RunConfig, task: Task, names: Sequence[str]) -> list[PredictionTable]:
    """What the model of each fold answered for the fold it was not trained on."""
    return [
        read_predictions(
            config.folder / f"fold-{name}" / "evaluation" / "predictions.csv", task.negative_class
        )
        for name in names
    ]


def held_out(config: RunConfig, manifest: Manifest, fold: str | None) -> Manifest:
    """The manifest with one fold as test split, and some groups of each class as validation.

    Args:
        config: Names the fold column and the share of validation groups.
        manifest: Rows with folds; their own splits are ignored.
        fold: The fold to hold out; None to train on all.
    """
    column, rows = config.folds.column, manifest.rows
    inside = [row for row in rows if fold is None or row.extra[column] != fold]
    chosen = _validation_groups(inside, config.folds.validation_share, config.seed)

    def split_of(row: ManifestRow) -> str:
        if fold is not None and row.extra[column] == fold:
            return "test"
        return "val" if row.group in chosen else "train"

    return replace(manifest, rows=tuple(replace(row, split=split_of(row)) for row in rows))


def pool(
    config: RunConfig, tables: Sequence[PredictionTable], names: Sequence[str], command: str
) -> dict[str, Any]:
    """One report over the held-out answers of every fold, in `runs/NAME/cross_validation`."""
    reports = [_fold_report(config, name) for name in names]
    context = ReportContext(
        split=f"cross-validation over {config.folds.column} {', '.join(names)}",
        command=command,
        bundle=None,
        threshold_rule=_threshold_rule(config, tables[0].negative_class, names),
        refusals=_refusals(reports, names),
    )
    return report_from_predictions(
        pooled(tables),
        config.folder / "cross_validation",
        context,
        neighbour=_neighbours(config, tables),
    )


def _fold_report(config: RunConfig, name: str) -> dict[str, Any]:
    """What was written when a fold was evaluated."""
    path = config.folder / f"fold-{name}" / "evaluation" / "metrics.json"
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: expected the report of fold {name}; got {error}") from error
    return report


def _refusals(reports: Sequence[dict[str, Any]], names: Sequence[str]) -> Refusals:
    """What the folds left out, together."""
    refused = [report["refused"] for report in reports]
    checks = (f"fold {n}: {each['seen']['check']}" for n, each in zip(names, refused, strict=True))
    return Refusals(
        tuple(path for each in refused for path in each["seen"]["paths"]),
        "; ".join(checks),
        tuple(Failure(**error) for each in refused for error in each["failed"]["errors"]),
    )


def _threshold_rule(config: RunConfig, negative: str | None, names: Sequence[str]) -> str:
    """The rule, and the folds whose validation slices could not give a threshold."""
    if negative is None:
        return "the task has no class without a tumor"
    rule = config.bundle.operating_point
    bundles = {name: load_bundle(config.folder / f"fold-{name}" / "bundle") for name in names}
    unfitted = [n for n, b in bundles.items() if b.info.decision.operating_point is None]
    return f"{rule}; not fitted in fold {', '.join(unfitted)}: 0.5 assumed" if unfitted else rule


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


def _neighbours(config: RunConfig, tables: Sequence[PredictionTable]) -> Bools:
    """Whether the nearest slice of the other folds has the same label, fold by fold."""
    manifest = Manifest.read(config.data.manifest)
    small = {
        row.path: thumbnail(read_slice(str(manifest.resolve(row))).pixels)
        for row in track(manifest.rows, "Nearest neighbours", console=Console(stderr=True))
    }
    labels = {row.path: row.label for row in manifest.rows}
    parts = []
    for table in tables:
        asked = [str(path) for path in table.paths]
        own = {row.extra[config.folds.column] for row in manifest.rows if row.path in set(asked)}
        known = [r.path for r in manifest.rows if r.extra[config.folds.column] not in own]
        parts.append(
            neighbour_correct(
                _stack(small, asked),
                [labels[p] for p in asked],
                _stack(small, known),
                [labels[p] for p in known],
            )
        )
    return np.concatenate(parts)


def _stack(small: dict[str, NDArray[np.float32]], paths: Sequence[str]) -> NDArray[np.float32]:
    return np.stack([small[path] for path in paths])


def _given(figures: dict[str, Any]) -> Figures:
    def measure(classifier: Classifier, manifest: Manifest) -> dict[str, Any]:
        return figures

    return measure
