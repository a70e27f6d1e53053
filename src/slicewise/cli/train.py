"""The options of `slicewise train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slicewise.cli.options import require_extra


def train(
    config: Annotated[Path, typer.Argument(help="YAML of the run.", metavar="CONFIG")],
    folds: Annotated[
        bool, typer.Option("--folds", help="Hold out each fold once, then train on all.")
    ] = False,
    fold: Annotated[
        list[str] | None, typer.Option(help="Only hold out this fold; may be repeated.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="safetensors to start from; instead of model.weights.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Table of tumor boxes; instead of data.boxes.")
    ] = None,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Of finished runs: fit the decision, write bundles anew."),
    ] = False,
) -> None:
    """Train a model and write its bundle; run the same command again to go on."""
    require_extra("training", "train", "torch")
    from slicewise.cli.train_run import run_train, told

    files = {"weights": weights, "boxes": boxes}
    for bundle in run_train(config, files, folds=folds, only=fold or [], refit=refit):
        typer.echo(told(bundle))
