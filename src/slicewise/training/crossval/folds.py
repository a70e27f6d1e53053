"""Cross-validation: each fold is held out once, then one model is trained on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.inference.bundle import load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.predictions.files import read_predictions
from slicewise.predictions.table import PredictionTable, pooled
from slicewise.text import figure_text
from slicewise.training.config import RunConfig
from slicewise.training.crossval.fold_split import fold_names, held_out, read_with_folds
from slicewise.training.crossval.pooled_report import FOLDER, pool
from slicewise.training.export.decision_fit import fit_decision
from slicewise.training.loop.checks import require_trainable
from slicewise.training.loop.train import (
    EVALUATION,
    Figures,
    answerable,
    own_figures,
    summary,
    train_manifest,
)

HEADLINES = (
    ("accuracy",),
    ("balanced_accuracy",),
    ("macro_auroc",),
    ("ece",),
    ("memorisation_1nn",),
    ("tumor", "sensitivity"),
    ("tumor", "specificity"),
)

POOLED = (
    "Cross-validation: each fold was predicted by a model trained on the other folds, whose "
    "calibration, threshold, prediction sets, acceptance and outlier limits were fitted on groups "
    "of those folds too; predictions are pooled. The model in this bundle was trained by the same "
    "recipe on {trained} of the {everything} slices of all folds; the other {watching}, in whole "
    "groups, watched over its training and fitted its outlier limits. Its own calibration, "
    "threshold, prediction sets and acceptance were fitted on the pooled held-out answers."
)


def train_fold(
    config: RunConfig, task: Task, fold: str, command: str, *, refit: bool = False
) -> Path:
    """Train without one fold and evaluate on it; its folder is `runs/NAME/fold-FOLD`.

    Args:
        refit: Write the bundle of a finished fold anew from its checkpoint.

    Raises:
        TrainingError: There is no such fold, or training failed.
    """
    manifest = read_with_folds(config)
    _require_known(config, manifest, [fold])
    split = held_out(config, manifest, fold)
    folder = _folder(config, fold)
    figures = own_figures(command)
    return train_manifest(config, task, split, folder, command, figures, refit=refit)


def require_folds(config: RunConfig, task: Task, names: Sequence[str | None]) -> None:
    """Check all folds before the first of them is trained, as `require_trainable` does.

    Args:
        config: The run.
        task: The classes.
        names: Folds; None for the model on all of them.

    Raises:
        SliceWiseError: There is no such fold, or one of them would fail.
    """
    manifest = read_with_folds(config)
    _require_known(config, manifest, names)
    parts = {
        _folder(config, name): answerable(held_out(config, manifest, name), task) for name in names
    }
    require_trainable(config, task, parts)


def cross_validate(config: RunConfig, task: Task, command: str, *, refit: bool = False) -> Path:
    """Train every fold and a final model on all of them; finished parts are not trained again.

    The bundle of the final model carries the pooled figures of the folds, in which each fold was
    decided by what was fitted on the others. Its own calibration, threshold, prediction sets and
    acceptance are fitted on all pooled answers, which are many more than one validation split has.

    Args:
        refit: Write the bundles of finished parts anew from their checkpoints.

    Raises:
        TrainingError: The folds are not as expected, or training failed.
    """
    manifest = read_with_folds(config)
    names = fold_names(config, manifest)
    require_folds(config, task, [*names, None])
    for name in names:
        train_fold(config, task, name, command, refit=refit)
    tables = held_out_answers(config, task, names)
    report = pool(config, manifest, tables, names, command)
    described = "the pooled held-out answers of cross-validation"
    everything = held_out(config, manifest, None)
    return train_manifest(
        config,
        task,
        everything,
        _folder(config, None),
        command,
        lambda _: _given(summary(report, pooled_words(everything))),
        fit_decision(pooled(tables), described, config.bundle),
        refit=refit,
    )


def pooled_words(final: Manifest) -> str:
    """How the pooled figures came about and on how much the final model was trained."""
    everything, trained = len(final.rows), len(final.subset("train").rows)
    return POOLED.format(trained=trained, everything=everything, watching=everything - trained)


def held_out_answers(config: RunConfig, task: Task, names: Sequence[str]) -> list[PredictionTable]:
    """What the model of each fold answered for the fold it was not trained on."""
    return [
        read_predictions(
            _folder(config, name) / "evaluation" / "predictions.csv", task.negative_class
        )
        for name in names
    ]


def _require_known(config: RunConfig, manifest: Manifest, names: Sequence[str | None]) -> None:
    known = fold_names(config, manifest)
    unknown = [name for name in names if name is not None and name not in known]
    if unknown:
        raise TrainingError(f"fold {unknown[0]!r}: the manifest has {', '.join(known)}")


def _folder(config: RunConfig, fold: str | None) -> Path:
    """Of one fold, or of the model on all of them."""
    return config.folder / ("final" if fold is None else f"fold-{fold}")


def _given(figures: dict[str, Any]) -> Figures:
    def measure(classifier: Classifier, manifest: Manifest) -> dict[str, Any]:
        return figures

    return measure


def headlines(bundle: Path) -> str:
    """Where a bundle and its report lie, and its main metrics with their intervals."""
    info = load_bundle(bundle).info
    own, pooled = bundle.parent / EVALUATION, bundle.parent.parent / FOLDER
    metrics = info.evaluation.as_json()
    rows = [
        (" ".join(key).replace("_", " "), figure_text(_at(metrics, *key)))
        for key in HEADLINES
        if key[0] != "tumor" or info.task.negative_class is not None
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


def _at(metrics: Mapping[str, Any], *key: str) -> Mapping[str, Any]:
    for part in key:
        metrics = metrics[part]
    return metrics
