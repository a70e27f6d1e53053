"""Whether heat maps look at the tumor: measured against boxes or masks, beside plain guesses.

Pointing game: Zhang et al., IJCV 126 (2018). Energy: Wang et al., CVPR Workshops 2020 (Score-CAM).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy.ndimage import binary_erosion, distance_transform_edt

from slicewise.arrays import Array, Bools, Floats
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError
from slicewise.evaluation.compare import Direction, direction_of
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.explanations.regions import Boxes, head_region, tumor_region
from slicewise.evaluation.summary import counts_of, nested
from slicewise.explain.heatmap import LEVEL, heat_map_of
from slicewise.explain.overlay import display, overlay, stamped
from slicewise.files import whole
from slicewise.imaging.batches import batched
from slicewise.imaging.preprocess import Placement
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Answer, Classifier
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, HATCHES, drawing, grid, whiskers
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import mean_of, share_of
from slicewise.text import class_text, figure_text, percent_text, signed_text

BATCH = 16
NEAR = 0.05
"""Tolerance of the pointing game, share of the slice's longer side."""
CENTRE_SPREAD = 0.25
"""Standard deviation of the central Gaussian, share of the square round the head."""
_LATTICE = 50
TARGETS = ("true", "answered")
ALL = "all"
NO_REGION = "a figure needs a slice of this kind with a region"

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
VERDICTS: dict[Direction, str] = {
    "no_interval": "There is no interval to judge by.",
    "better": "The maps point better than the middle of the picture.",
    "worse": "The maps point worse than the middle of the picture.",
    "not_shown": "The maps do not point measurably better than the middle of the picture.",
}
METHODS = tuple(METHOD_TITLES)
_TILE, _CAPTION, _ACROSS = 240, 34, 3
_RIM = (0, 230, 255)
_PAPER, _INK = (17, 24, 39), (243, 244, 246)


class Measures(NamedTuple):
    """How well one map fits one region.

    Args:
        pointing: 1 where the peak lies in the region, else 0.
        near: 1 where it lies in the region or within the tolerance of it, else 0.
        energy: Share of the heat that lies in the region.
        iou: Intersection over union of the region with the pixels of at least half the maximum.
    """

    pointing: float
    near: float
    energy: float
    iou: float


MEASURES = Measures._fields
NO_EVIDENCE = Measures(0.0, 0.0, 0.0, 0.0)
"""What a map without any heat scores: it points nowhere."""


class Scored(NamedTuple):
    """How well each map of one slice fits its region, by target (`true`, `answered`) and method.

    `answered` stands only where a tumor was; `empty` are targets whose heat map is 0 everywhere.
    """

    label: str
    group: str
    measures: Mapping[str, Mapping[str, Measures]]
    empty: frozenset[str] = frozenset()


class Localised(NamedTuple):
    """One slice with its answer, the region (H, W) of its tumor, and how well each map fits it."""

    path: str
    slice_: Slice
    answer: Answer
    region: Bools
    scored: Scored


class Localisation(NamedTuple):
    """Metrics of N slices.

    Args:
        estimates: By (target, class or `all`, method, measure); method `gain` is heat map minus
            centre.
        counts: Slices, groups and maps without evidence, by (target, class or `all`).
    """

    estimates: Mapping[Key, Estimate]
    counts: Mapping[tuple[str, str], Mapping[str, int]]


def localisation_report(
    given: PartInput, boxes: Boxes | None, shown: Collection[str]
) -> tuple[dict[str, Any], Section]:
    """Metrics for JSON, and a section; writes `localisation.png` and `localisation_slices.png`.

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
    found, notice = localisation(scored, given.bootstrap), given.notice
    tree: dict[str, Any] = {"definitions": DEFINITIONS, **nested(found.estimates)}
    for (target, class_), counts in found.counts.items():
        tree[target][class_] |= counts
    pictures = [draw_bars(found, given.out_dir / "localisation.png", notice)]
    if tiles:
        pictures.append(contact_sheet(tiles, given.out_dir / "localisation_slices.png", notice))
    columns = ("class", "slices", "map", *MEASURE_TITLES.values())
    return tree, Section.of(TITLE, _text(found), columns, _rows(found), pictures, notice)


def measure(heat: Array, region: Bools) -> Measures:
    """Hold a map, (H, W) and nowhere below 0, against a region (H, W) of at least one pixel.

    `EvaluationError` where the shapes differ or the region is empty.
    """
    if heat.shape != region.shape or not region.any():
        raise EvaluationError(
            f"region: expected shape {heat.shape} and a pixel in it; got {region.shape} with "
            f"{int(region.sum())}"
        )
    highest = float(heat.max())
    if highest <= 0:
        return NO_EVIDENCE
    peak = np.unravel_index(int(heat.argmax()), heat.shape)
    distance = np.hypot(*(np.argwhere(region) - peak).T).min()
    hot = heat >= LEVEL * highest
    return Measures(
        pointing=float(region[peak]),
        near=float(distance <= NEAR * max(heat.shape)),
        energy=float(heat[region].sum(dtype=np.float64) / heat.sum(dtype=np.float64)),
        iou=float((hot & region).sum() / (hot | region).sum()),
    )


def chance(region: Bools, head: Bools) -> Measures:
    """What a point or a map spread evenly over the head is expected to score; both (H, W)."""
    step = max(1, max(head.shape) // _LATTICE)
    points = np.s_[step // 2 :: step, step // 2 :: step]
    distances = np.asarray(distance_transform_edt(~region))[points][head[points]]
    inside, both = float((region & head).sum() / head.sum()), (region & head).sum()
    near = float((distances <= NEAR * max(head.shape)).mean())
    return Measures(inside, near, inside, float(both / (region | head).sum()))


def centre_map(placement: Placement, shape: tuple[int, int]) -> Array:
    """(H, W) a Gaussian in the middle of the square round the head: a guess that sees nothing."""
    spread = CENTRE_SPREAD * placement.side
    y = (np.arange(shape[0]) + 0.5 - placement.top - placement.side / 2) / spread
    x = (np.arange(shape[1]) + 0.5 - placement.left - placement.side / 2) / spread
    return np.exp(-0.5 * (y[:, None] ** 2 + x[None] ** 2)).astype(np.float32)


def localised(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifier: Classifier,
    boxes: Boxes | None,
    step: Callable[[], None],
) -> Iterator[Localised]:
    """Every slice whose tumor's place is known; `InputError` where it or a mask is unreadable."""

    def with_region() -> Iterator[tuple[ManifestRow, Slice, Bools]]:
        for row in rows:
            if row.label != classifier.bundle.negative_class:
                slice_ = read_slice(manifest.resolve(row))
                region = tumor_region(manifest, row, slice_.shape, boxes)
                if region is not None:
                    yield row, slice_, region
            step()

    for batch in batched(with_region(), BATCH):
        answers = classifier.answers([slice_ for _, slice_, _ in batch])
        for (row, slice_, region), answer in zip(batch, answers, strict=True):
            scored = _scored(row, slice_, region, answer, classifier.bundle.negative_class)
            yield Localised(row.path, slice_, answer, region, scored)


def localisation(found: Sequence[Scored], bootstrap: Bootstrap) -> Localisation:
    """Means with group-bootstrap intervals, for all slices (at least one) and each true class."""
    labels = np.array([one.label for one in found])
    groups = np.array([one.group for one in found])
    quantities: dict[Key, Quantity] = {}
    counts = {}
    for target in TARGETS:
        there = np.array([target in one.measures for one in found])
        empty = np.array([target in one.empty for one in found])
        values = {name: _column(found, target, name) for name in METHODS}
        values["gain"] = values["heat_map"] - values["centre"]
        for class_ in (ALL, *sorted(set(labels.tolist()))):
            rows = there & ((labels == class_) | (class_ == ALL))
            counts[target, class_] = {
                **counts_of(rows, groups),
                "without_evidence": int(empty[rows].sum()),
            }
            for name, table in values.items():
                mean = mean_of if name == "gain" else share_of
                for column, measured in enumerate(MEASURES):
                    key = (target, class_, name, measured)
                    quantities[key] = mean(table[:, column], rows, NO_REGION)
    return Localisation(group_intervals(quantities, groups, labels, bootstrap), counts)


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
    inside = f"{percent_text(measured.energy)} of the heat inside"
    caption = f"{true}, answered {found.answer.prediction.label}\n{hit}, {inside}"
    font = ImageFont.load_default(13)
    ImageDraw.Draw(sheet).text((4, _TILE + 2), caption, fill=_INK, font=font, spacing=2)
    return sheet


def contact_sheet(tiles: Sequence[Image.Image], path: Path, notice: str | None = None) -> Path:
    """Write at least one tile, beside and below each other, under a line of warning."""
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
    side, region = (_TILE, _TILE), Image.fromarray(found.region).convert("L")
    small = ImageOps.pad(picture, side, Image.Resampling.LANCZOS)
    mask = ImageOps.pad(region, side, Image.Resampling.NEAREST)
    pixels, inside = np.asarray(small).copy(), np.asarray(mask) > 0
    pixels[inside & ~binary_erosion(inside)] = _RIM
    return Image.fromarray(pixels)


def _rows(found: Localisation) -> Iterator[tuple[str, ...]]:
    for (target, class_), counts in found.counts.items():
        for method, title in METHOD_TITLES.items() if target == "true" else ():
            head = (class_, str(counts["n"])) if method == METHODS[0] else ("", "")
            own = (found.estimates[target, class_, method, name] for name in MEASURE_TITLES)
            yield *head, title, *(figure_text(one.as_json()) for one in own)


def _text(found: Localisation) -> str:
    counts, answered = found.counts["true", ALL], found.counts["answered", ALL]
    gain = found.estimates["true", ALL, "gain", "pointing"].as_json()
    pointing = found.estimates["answered", ALL, "heat_map", "pointing"].as_json()
    return (
        f"The heat map of the true class was held against the tumor's box or mask on {counts['n']} "
        f"slices of {counts['groups']} groups; {counts['without_evidence']} maps show no evidence "
        "and count as misses. A peak within 5 % means within 5 % of the slice's longer side. "
        "Beside it stand guesses that know nothing of the model: a map is worth no more than what "
        "it gains over them.\n\n"
        f"Against a Gaussian in the middle of the head, the share of peaks inside is "
        f"{signed_text(gain)}. {VERDICTS[direction_of(gain, falling=False)]} With the map of the "
        f"answered class, where a tumor was answered ({answered['n']} slices), it is "
        f"{figure_text(pointing)}.\n\n"
        "The network's map is coarse, and a tumor smaller than one of its cells cannot hold much "
        "of the heat: the share of heat and the overlap stay low even for a map that points well."
    )


def _scored(
    row: ManifestRow, slice_: Slice, region: Bools, answer: Answer, negative: str | None
) -> Scored:
    guesses = {
        "centre": measure(centre_map(answer.placement, slice_.shape), region),
        "brightest": measure(slice_.pixels - slice_.pixels.min(), region),
        "random": chance(region, head_region(slice_.pixels)),
    }
    wanted = {"true": row.label}
    if answer.prediction.label != negative:
        wanted["answered"] = answer.prediction.label
    maps = {target: heat_map_of(slice_, answer, name).values for target, name in wanted.items()}
    measures = {
        target: {"heat_map": measure(heat, region), **guesses} for target, heat in maps.items()
    }
    empty = frozenset(target for target, heat in maps.items() if heat.max() <= 0)
    return Scored(row.label, row.group, measures, empty)


def _column(found: Sequence[Scored], target: str, method: str) -> Floats:
    """(N, 4) the measures of one method; not a number where the target does not apply."""
    missing = {method: Measures(*[np.nan] * len(MEASURES))}
    return np.array([one.measures.get(target, missing)[method] for one in found])
