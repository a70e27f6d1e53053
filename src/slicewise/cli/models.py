"""`slicewise models`: networks that a run can train, and their published weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slicewise.cli.options import AsJson, require_extra, show, show_json

models = typer.Typer(
    help="List networks to train and fetch their published weights.", no_args_is_help=True
)


@models.command("zoo")
def models_zoo(json_: AsJson = False) -> None:
    """List the networks that model.name of a configuration knows."""
    from dataclasses import asdict

    from slicewise.zoo.catalogue import CATALOGUE

    if json_:
        show_json({"models": [asdict(row) for row in CATALOGUE.values()]})
        return
    titles = ("name", "size", "parameters", "stages", "heat maps by", "weights", "what it is")
    rows = [
        (
            *(row.name, f"{row.size}", f"{row.parameters / 1e6:.1f} M", f"{row.stages}"),
            *(row.heat_map.value, row.weights_licence, row.note),
        )
        for row in CATALOGUE.values()
    ]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command("fetch")
def models_fetch(
    name: Annotated[str, typer.Argument(help="A network of models zoo, or of timm.")],
    cache: Annotated[
        Path | None,
        typer.Option(help="The folder of the cache. The default is that of Hugging Face."),
    ] = None,
) -> None:
    """Fetch the published weights of a network into a cache.

    The path of their file is printed. On a machine without internet, name a copy of the file in
    model.weights, or let HF_HUB_CACHE be a copy of the folder and use model.pretrained.
    """
    require_extra("published weights", "train", "timm")
    from slicewise.training.network.config import ModelConfig
    from slicewise.training.network.start import published, start_in_words

    path = published(name, cache)
    described, _ = start_in_words(ModelConfig(name=name, pretrained=True))
    show(described, err=True)
    show(str(path))
