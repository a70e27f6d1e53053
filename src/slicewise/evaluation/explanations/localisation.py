"""Whether heat maps look at the tumor: measured against boxes or masks, beside plain guesses.

Pointing game: Zhang et al., IJCV 126 (2018). Energy: Wang et al., CVPR Workshops 2020 (Score-CAM).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from slicewise.arrays import Array, Bools, Floats
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError
from slicewise.evaluation.explanations.regions import Boxes, head_region, tumor_region
from slicewise.explain.heatmap import heat_map_of
from slicewise.imaging.batches import batched
from slicewise.imaging.preprocess import Placement
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Answer, Classifier
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import mean_of, share_of

BATCH = 16
NEAR = 0.05
"""Tolerance of the pointing game, share of the slice's longer side."""
LEVEL = 0.5
"""Share of a map's maximum from which on a pixel counts for the overlap."""
CENTRE_SPREAD = 0.25
"""Standard deviation of the central Gaussian, share of the square round the head."""
METHODS = ("heat_map", "centre", "brightest", "random")
TARGETS = ("true", "answered")
ALL = "all"
_LATTICE = 50


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

NO_REGION = "a figure needs a slice of this kind with a region"


@dataclass(frozen=True, slots=True)
class Scored:
    """How well each map of one slice fits its region.

    Args:
        measures: By target (`true`, `answered`) and method; `answered` only where a tumor was.
        empty: Targets whose heat map is 0 everywhere.
    """

    label: str
    group: str
    measures: Mapping[str, Mapping[str, Measures]]
    empty: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Localised:
    """One slice with its answer, the region (H, W) of its tumor, and how well each map fits it."""

    path: str
    slice_: Slice
    answer: Answer
    region: Bools
    scored: Scored


@dataclass(frozen=True, slots=True, eq=False)
class Localisation:
    """Metrics of N slices.

    Args:
        estimates: From (target, class or `all`, method, measure) to a metric, and from
            (target, class or `all`, `gain`, measure) to heat map minus centre.
        counts: From (target, class or `all`) to slices, groups and maps without evidence.
    """

    estimates: Mapping[Key, Estimate]
    counts: Mapping[tuple[str, str], Mapping[str, int]]


def measure(heat: Array, region: Bools) -> Measures:
    """Hold a map against a region.

    Args:
        heat: (H, W) finite values of at least 0.
        region: (H, W) where the tumor is; at least one pixel.

    Raises:
        EvaluationError: If the shapes differ or the region is empty.
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
    """Every slice whose tumor's place is known, with its measures.

    Raises:
        InputError: If a slice or its mask cannot be read.
    """

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
                "n": int(rows.sum()),
                "groups": int(np.unique(groups[rows]).size),
                "without_evidence": int(empty[rows].sum()),
            }
            for name, table in values.items():
                mean = mean_of if name == "gain" else share_of
                for column, measured in enumerate(MEASURES):
                    key = (target, class_, name, measured)
                    quantities[key] = mean(table[:, column], rows, NO_REGION)
    return Localisation(group_intervals(quantities, groups, labels, bootstrap), counts)


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
    missing = Measures(*[np.nan] * len(MEASURES))
    return np.array([one.measures[target][method] if target in one.measures else missing
                     for one in found])  # fmt: skip
