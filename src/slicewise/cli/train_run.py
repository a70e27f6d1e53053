"""What `slicewise train` does with its configuration."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicewise.data.tasks import parse_task
from slicewise.inference.bundle import load_bundle
from slicewise.text import figure_text
from slicewise.training.config import load_config
from slicewise.training.crossval.folds import cross_validate, train_fold
from slicewise.training.crossval.pooled_report import FOLDER
from slicewise.training.loop.train import EVALUATION, train

HEADLINES = (
    ("accuracy",),
    ("balanced_accuracy",),
    ("macro_auroc",),
    ("ece",),
    ("memorisation_1nn",),
    ("tumor", "sensitivity"),
    ("tumor", "specificity"),
)


SECTIONS = {"weights": "model", "boxes": "data"}
"""Files that the command line may name, and the section of the configuration they belong to."""


def run_train(
    path: Path,
    files: Mapping[str, Path | None],
    *,
    folds: bool,
    only: Sequence[str],
    refit: bool,
) -> list[Path]:
    """Train one model, some folds, or all folds and a final model; returns the bundles.

    Args:
        path: YAML of the run.
        files: `weights` and `boxes` instead of those in the configuration; None leaves them.
        folds: Every fold, then a model on all of them.
        only: Just these folds.
        refit: Write the bundles of finished runs anew from their checkpoints.

    The command that reports and card carry names files only, not the folders of this machine.
    """
    config = load_config(path)
    task = parse_task(config.data.task)
    command = ["slicewise", "train", path.name]
    for name, file in files.items():
        if file is not None:
            section = getattr(config, SECTIONS[name]).model_copy(update={name: file})
            config = config.model_copy(update={SECTIONS[name]: section})
            command += [f"--{name}", file.name]
    if only:
        return [
            train_fold(config, task, fold, shlex.join([*command, "--fold", fold]), refit=refit)
            for fold in only
        ]
    if folds:
        return [cross_validate(config, task, shlex.join([*command, "--folds"]), refit=refit)]
    return [train(config, task, shlex.join(command), refit=refit)]


def told(bundle: Path) -> str:
    """Where a bundle and its report lie, and its headline figures with their intervals.

    Args:
        bundle: What a run wrote.
    """
    info = load_bundle(bundle).info
    own, pooled = bundle.parent / EVALUATION, bundle.parent.parent / FOLDER
    figures = info.evaluation
    rows = [(" ".join(key).replace("_", " "), figure_text(_at(figures, key))) for key in HEADLINES]
    if info.task.negative_class is None:
        rows = [row for row in rows if not row[0].startswith("tumor")]
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        [
            f"bundle: {bundle}",
            f"report: {own if own.is_dir() else pooled}",
            f"{figures['split']}: {figures['n']} slices in {figures['groups']} groups; "
            "95 % intervals resample groups",
            *(f"  {name:{width}}  {text}" for name, text in rows),
        ]
    )


def _at(figures: dict[str, Any], key: Sequence[str]) -> dict[str, Any]:
    found = figures
    for part in key:
        found = found[part]
    return found
