"""What `slicewise train` does with its configuration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from slicewise.data.tasks import parse_task
from slicewise.training.config import load_config
from slicewise.training.folds import cross_validate, train_fold
from slicewise.training.train import train


def run_train(path: Path, *, folds: bool, only: Sequence[str], weights: Path | None) -> list[Path]:
    """Train one model, some folds, or all folds and a final model; returns the bundles.

    Args:
        path: YAML of the run.
        folds: Every fold, then a model on all of them.
        only: Just these folds.
        weights: Start weights instead of those in the configuration.

    The command that reports and card carry names files only, not the folders of this machine.
    """
    config = load_config(path)
    task = parse_task(config.data.task)
    command = ["slicewise", "train", path.name]
    if weights is not None:
        config = config.model_copy(
            update={"model": config.model.model_copy(update={"weights": weights})}
        )
        command += ["--weights", weights.name]
    if only:
        return [
            train_fold(config, task, fold, shlex.join([*command, "--fold", fold])) for fold in only
        ]
    if folds:
        return [cross_validate(config, task, shlex.join([*command, "--folds"]))]
    return [train(config, task, shlex.join(command))]
