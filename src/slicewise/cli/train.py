"""`slicewise train`: from a manifest to a bundle, and the metrics of what was trained."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slicewise.cli.options import require_extra, show

if TYPE_CHECKING:
    from slicewise.training.config import RunConfig

SECTIONS = {"weights": "model", "boxes": "data"}  # of the configuration, by the option of a file


def train(
    path: Annotated[
        Path, typer.Argument(help="The configuration of the run, a YAML file.", metavar="CONFIG")
    ],
    folds: Annotated[
        bool,
        typer.Option("--folds", help="Hold out each fold once, then train a model on all folds."),
    ] = False,
    fold: Annotated[
        list[str] | None, typer.Option(help="Hold out only this fold. The option may be repeated.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="A .safetensors file to start from. The default is what CONFIG starts from."
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(help="Take tumor boxes from this table. The default is data.boxes of CONFIG."),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="Only fit the rules of finished runs and write their bundles again."
        ),
    ] = False,
) -> None:
    """Train a model and write its bundle. Run the same command again to resume."""
    require_extra("training", "train", "torch")
    from slicewise.data.tasks import parse_task
    from slicewise.training.config import load_config

    if fold and folds:
        raise typer.BadParameter("give --fold or --folds, not both")
    config = load_config(path)
    task = parse_task(config.data.task)
    from slicewise.training.crossval.folds import (
        cross_validate,
        headlines,
        require_folds,
        train_fold,
    )
    from slicewise.training.loop.train import train as run

    config, command = _overridden(config, path, {"weights": weights, "boxes": boxes})
    if fold:
        require_folds(config, task, fold)
        bundles = [
            train_fold(config, task, one, shlex.join([*command, "--fold", one]), refit=refit)
            for one in fold
        ]
    elif folds:
        bundles = [cross_validate(config, task, shlex.join([*command, "--folds"]), refit=refit)]
    else:
        bundles = [run(config, task, shlex.join(command), refit=refit)]
    for bundle in bundles:
        show(headlines(bundle))


def _overridden(
    config: RunConfig, path: Path, files: Mapping[str, Path | None]
) -> tuple[RunConfig, list[str]]:
    """The configuration with the files of the options in it, and the command for the model card.

    The command names files only, not the folders of this machine.
    """
    command = ["slicewise", "train", path.name]
    for name, file in files.items():
        if file is not None:
            others = {"pretrained": False, "start": None} if name == "weights" else {}
            section = getattr(config, SECTIONS[name]).model_copy(update={**others, name: file})
            config = config.model_copy(update={SECTIONS[name]: section})
            command += [f"--{name}", file.name]
    return config, command
