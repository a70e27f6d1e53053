"""A localisation for JSON, in words, as bars, and as overlays with the tumor outlined."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy.ndimage import binary_erosion

from slicewise.evaluation.compare import decided
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.explanations.localisation import (
    ALL,
    CENTRE_SPREAD,
    LEVEL,
    METHODS,
    NEAR,
    Localisation,
    Localised,
    Scored,
    localisation,
    localised,
)
from slicewise.evaluation.explanations.regions import Boxes
from slicewise.evaluation.summary import nested
from slicewise.explain.heatmap import heat_map_of
from slicewise.explain.overlay import display, overlay, stamped
from slicewise.files import whole
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, HATCHES, drawing, grid, whiskers
from slicewise.text import class_text, figure_text, percent_text, signed_text

DEFINITIONS = {
    "pointing": "share of slices whose heat map peaks inside the region",
    "near": f"the same, or within {NEAR:.0%} of the slice's longer side",
    "energy": "mean share of the heat that lies inside the region",
    "iou": f"mean intersection over union of the region and the heat above {LEVEL} of its maximum",
    "heat_map": "of the true class, or of the answered one where a tumor was answered",
    "centre": f"a Gaussian in the middle of the head's square, spread {CENTRE_SPREAD} of its side",
    "brightest": "the pixels themselves, from the darkest up",
    "random": "expectation for a point, or for heat, spread evenly over an ellipse in the head box",
    "gain": "heat map minus centre, paired",
    "without_evidence": "maps that are 0 everywhere; they count as misses",
}
TITLE = "Where the heat maps look"
NO_REGIONS = "not measured: no slice has a tumor box or mask"
MEASURE_TITLES = {
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
VERDICTS = {
    "no interval": "There is no interval to judge by.",
    "better": "The maps point better than the middle of the picture.",
    "worse": "The maps point worse than the middle of the picture.",
    "no difference shown": (
        "The maps do not point measurably better than the middle of the picture."
    ),
}
_TILE, _CAPTION, _ACROSS = 240, 34, 3
_RIM = (0, 230, 255)
_PAPER, _INK = (17, 24, 39), (243, 244, 246)


def localisation_report(
    given: PartInput, boxes: Boxes | None, shown: Collection[str]
) -> tuple[dict[str, Any], Section]:
    """Metrics with intervals for JSON, and the section of the report.

    Writes `localisation.png` and `localisation_slices.png`.

    Args:
        shown: Paths of the slices that the contact sheet shows, where their regions are known.
    """
    step = ProgressCount(given.progress, "localising", len(given.rows))
    scored: list[Scored] = []
    tiles: list[Image.Image] = []
    for one in localised(given.manifest, given.rows, given.classifier, boxes, step):
        scored.append(one.scored)
        if one.path in shown:
            tiles.append(tile(one))
    if not scored:
        return {"reason": NO_REGIONS}, Section.of(TITLE, NO_REGIONS)
    found, folder, notice = (
        localisation(scored, given.bootstrap), given.out_dir, given.notice,
    )  # fmt: skip
    tree: dict[str, Any] = {"definitions": DEFINITIONS, **nested(found.estimates)}
    for (target, class_), counts in found.counts.items():
        tree[target][class_] |= counts
    pictures = [draw_bars(found, folder / "localisation.png", notice)]
    if tiles:
        pictures.append(contact_sheet(tiles, folder / "localisation_slices.png", notice))
    columns = ("class", "slices", "map", *MEASURE_TITLES.values())
    return tree, Section.of(TITLE, _text(found), columns, _rows(found), pictures, notice)


def tile(found: Localised) -> Image.Image:
    """One slice: as it is and with the heat map of its true class, the tumor outlined; RGB."""
    true = found.scored.label
    heat = heat_map_of(found.slice_, found.answer, true)
    plain = Image.fromarray(display(found.slice_)).convert("RGB")
    sheet = Image.new("RGB", (2 * _TILE, _TILE + _CAPTION), _PAPER)
    for number, picture in enumerate((plain, overlay(found.slice_, heat))):
        sheet.paste(_outlined(picture, found), (number * _TILE, 0))
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
    names = [f"{class_text(name)}\n{found.counts['true', name]['n']}" for name in classes]
    title = "Heat map of the true class against the tumor's place"
    with drawing(path, 8.4, 6.6, title, notice) as figure:
        for number, (measured, heading) in enumerate(MEASURE_TITLES.items()):
            axes, highest = figure.add_subplot(2, 2, number + 1), 0.0
            for place, method in enumerate(METHODS):
                bars = [found.estimates["true", class_, method, measured] for class_ in classes]
                heights = [bar.value or 0.0 for bar in bars]
                reach = whiskers((bar.value, bar.ci_low, bar.ci_high) for bar in bars)
                highest = max(highest, *heights)
                axes.bar(np.arange(len(classes)) + 0.2 * (place - 1.5), heights, width=0.19,
                         color=COLOURS[(0, 4, 3, 5)[place]], hatch=HATCHES[place],
                         edgecolor="white", label=METHOD_TITLES[method], yerr=reach,
                         error_kw={"ecolor": "0.25", "elinewidth": 1,
                                   "capsize": 2})  # fmt: skip
            axes.set_xticks(range(len(classes)), names)
            axes.tick_params(axis="x", labelsize=8)
            axes.set_title(heading, fontsize=10)
            axes.set_ylim(0, 1.0 if highest > 0.4 else 0.5)  # small shares are drawn larger
            grid(axes, "y")
        drawn = figure.axes[0].get_legend_handles_labels()
        figure.legend(*drawn, loc="outside lower center", ncols=len(METHODS), fontsize=8)
    return path


def _outlined(picture: Image.Image, found: Localised) -> Image.Image:
    """The picture at the size of a tile, with the rim of the region."""
    side = (_TILE, _TILE)
    small = ImageOps.pad(picture, side, Image.Resampling.LANCZOS)
    mask = ImageOps.pad(Image.fromarray(found.region).convert("L"), side, Image.Resampling.NEAREST)
    pixels, region = np.asarray(small).copy(), np.asarray(mask) > 0
    pixels[region & ~binary_erosion(region)] = _RIM
    return Image.fromarray(pixels)


def _rows(found: Localisation) -> Iterator[tuple[str, ...]]:
    """One line for each class and kind of map, for the true class."""
    for (target, class_), counts in found.counts.items():
        for method, title in METHOD_TITLES.items() if target == "true" else ():
            head = (class_, str(counts["n"])) if method == METHODS[0] else ("", "")
            own = (found.estimates[target, class_, method, name] for name in MEASURE_TITLES)
            yield *head, title, *(figure_text(one.as_json()) for one in own)


def _text(found: Localisation) -> str:
    counts, answered = found.counts["true", ALL], found.counts["answered", ALL]
    gain = found.estimates["true", ALL, "gain", "pointing"].as_json()
    pointing = found.estimates["answered", ALL, "heat_map", "pointing"].as_json()
    lines = [
        f"The heat map of the true class was held against the tumor's box or mask on {counts['n']} "
        f"slices of {counts['groups']} groups; {counts['without_evidence']} maps show no evidence "
        "and count as misses. A peak within 5 % means within 5 % of the slice's longer side. "
        "Beside it stand guesses that know nothing of the model: a map is worth no more than what "
        "it gains over them.",
        f"Against a Gaussian in the middle of the head, the share of peaks inside is "
        f"{signed_text(gain)}. {VERDICTS[decided(gain, falling=False)]} With the map of the "
        f"answered class, where a tumor was answered ({answered['n']} slices), it is "
        f"{figure_text(pointing)}.",
        "The network's map is coarse, and a tumor smaller than one of its cells cannot hold much "
        "of the heat: the share of heat and the overlap stay low even for a map that points well.",
    ]
    return "\n\n".join(lines)
