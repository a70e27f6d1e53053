"""Pictures of a localisation: overlays with the tumor outlined, and bars beside plain guesses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from slicewise.evaluation.explanations.localisation import (
    ALL,
    MEASURES,
    METHODS,
    Localisation,
    Localised,
)
from slicewise.evaluation.explanations.regions import outline
from slicewise.explain.heatmap import heat_map_of
from slicewise.explain.overlay import display, overlay, stamped
from slicewise.files import whole
from slicewise.reports.plots import COLOURS, HATCHES, drawing, grid, whiskers
from slicewise.text import percent_text

TITLES = {
    "pointing": "peak in the region",
    "near": "peak within 5 %",
    "energy": "share of heat inside",
    "iou": "overlap (IoU)",
}
METHOD_TITLES = {
    "heat_map": "heat map",
    "centre": "central Gaussian",
    "brightest": "brightest pixels",
    "random": "random point",
}
_TILE = 240
_CAPTION = 34
_ACROSS = 3
_RIM = (0, 230, 255)
_PAPER, _INK = (17, 24, 39), (243, 244, 246)


def tile(found: Localised) -> Image.Image:
    """One slice: as it is and with the heat map of its true class, the tumor outlined; RGB."""
    true = found.scored.label
    heat = heat_map_of(found.slice_, found.answer, true)
    plain = Image.fromarray(display(found.slice_)).convert("RGB")
    panels = [_outlined(picture, found) for picture in (plain, overlay(found.slice_, heat))]
    sheet = Image.new("RGB", (2 * _TILE, _TILE + _CAPTION), _PAPER)
    for number, panel in enumerate(panels):
        sheet.paste(panel, (number * _TILE, 0))
    measured = found.scored.measures["true"]["heat_map"]
    hit = "peak inside" if measured.pointing else "peak near" if measured.near else "peak elsewhere"
    caption = (
        f"{true}, answered {found.answer.prediction.label}\n"
        f"{hit}, {percent_text(measured.energy)} of the heat inside"
    )
    place, font = (4, _TILE + 2), ImageFont.load_default(13)
    ImageDraw.Draw(sheet).text(place, caption, fill=_INK, font=font, spacing=2)
    return sheet


def contact_sheet(tiles: Sequence[Image.Image], path: Path, notice: str | None = None) -> Path:
    """Write tiles, at least one, beside and below each other, under a line of warning."""
    across = min(_ACROSS, len(tiles))
    width, height = tiles[0].size
    sheet = Image.new("RGB", (across * width, -(-len(tiles) // across) * height), _PAPER)
    for number, picture in enumerate(tiles):
        sheet.paste(picture, (number % across * width, number // across * height))
    with whole(path) as draft:
        stamped(sheet, notice).save(draft)
    return path


def draw_bars(found: Localisation, path: Path, notice: str | None = None) -> Path:
    """Write bars of every measure, all slices and each class, beside the plain guesses."""
    classes = [class_ for target, class_ in found.counts if target == "true"]
    title = "Heat map of the true class against the tumor's place"
    with drawing(path, 8.4, 6.6, title, notice) as figure:
        for number, measured in enumerate(MEASURES):
            axes = figure.add_subplot(2, 2, number + 1)
            for place, method in enumerate(METHODS):
                bars = [found.estimates["true", class_, method, measured] for class_ in classes]
                axes.bar(
                    np.arange(len(classes)) + 0.2 * (place - 1.5),
                    [bar.value or 0.0 for bar in bars],
                    width=0.19,
                    color=COLOURS[(0, 4, 3, 5)[place]],
                    hatch=HATCHES[place],
                    edgecolor="white",
                    label=METHOD_TITLES[method],
                    yerr=np.transpose(
                        [whiskers(bar.value or 0.0, bar.ci_low, bar.ci_high) for bar in bars]
                    ),
                    error_kw={"ecolor": "0.25", "elinewidth": 1, "capsize": 2},
                )
            axes.set_xticks(range(len(classes)), [_named(found, class_) for class_ in classes])
            axes.tick_params(axis="x", labelsize=8)
            axes.set_title(TITLES[measured], fontsize=10)
            axes.set_ylim(0, _top(found, measured, classes))
            grid(axes, "y")
        drawn = figure.axes[0].get_legend_handles_labels()
        figure.legend(*drawn, loc="outside lower center", ncols=len(METHODS), fontsize=8)
    return path


def _top(found: Localisation, measured: str, classes: Sequence[str]) -> float:
    """Upper end of an axis: shares that stay small are drawn larger."""
    heights = [
        estimate.value or 0.0
        for class_ in classes
        for method in METHODS
        if (estimate := found.estimates["true", class_, method, measured])
    ]
    return 1.0 if max(heights) > 0.4 else 0.5


def _named(found: Localisation, class_: str) -> str:
    name = "all" if class_ == ALL else class_.replace("_", " ")
    return f"{name}\n{found.counts['true', class_]['n']}"


def _outlined(picture: Image.Image, found: Localised) -> Image.Image:
    """The picture at the size of a tile, with the rim of the region."""
    side = (_TILE, _TILE)
    small = ImageOps.pad(picture, side, Image.Resampling.LANCZOS)
    mask = ImageOps.pad(Image.fromarray(found.region).convert("L"), side, Image.Resampling.NEAREST)
    pixels = np.asarray(small).copy()
    pixels[outline(np.asarray(mask) > 0)] = _RIM
    return Image.fromarray(pixels)
