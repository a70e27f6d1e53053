"""Where tumors lie on preprocessed slices: masks and boxes on the square that a network sees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.data.manifest import MASK_COLUMN
from slicewise.data.tasks import Task
from slicewise.evaluation.explanations.regions import Boxes, read_boxes, tumor_region
from slicewise.imaging.preprocess import Placement, PreprocessSpec
from slicewise.progress import track
from slicewise.training.data.dataset import DecodedSlices, Images, cache_key, cached

_INSIDE = 255


def load_regions(
    slices: DecodedSlices, task: Task, spec: PreprocessSpec, boxes: Path | None, cache: Path
) -> Images:
    """(N, size, size) uint8, 255 inside of a tumor and 0 elsewhere, one for each slice.

    A slice without a tumor, and one whose tumor has neither mask nor box, is 0 all over.

    Args:
        spec: The pixel pipeline, which says where the square lies.
        boxes: Table of boxes for slices without a mask; None where there is none.
        cache: Folder for `.npy` files named by the hash of what is in them.

    Raises:
        ManifestError: If the table is not as expected.
        InputError: If a mask cannot be read.
    """
    table = None if boxes is None else read_boxes(boxes)
    known = hashlib.sha256(b"" if boxes is None else boxes.read_bytes()).hexdigest()
    rows = slices.manifest.rows
    masks = " ".join(row.extra.get(MASK_COLUMN, "").rpartition("/")[2] for row in rows)
    key = cache_key(rows, spec, f"regions {known} {masks}")
    return cached(cache / f"{key}.npy", lambda: _drawn(slices, task, spec.size, table))


def _drawn(slices: DecodedSlices, task: Task, size: int, boxes: Boxes | None) -> Images:
    manifest = slices.manifest
    regions = np.zeros((len(manifest.rows), size, size), dtype=np.uint8)
    for index, row in enumerate(track(manifest.rows, "Drawing tumor regions")):
        if row.label == task.negative_class:
            continue
        region = tumor_region(manifest, row, slices.shape(index), boxes)
        if region is not None:
            regions[index] = placed(region, slices.placement(index), size)
    return regions


def placed(region: NDArray[np.bool_], placement: Placement, size: int) -> NDArray[np.uint8]:
    """A region of a slice on the preprocessed square.

    Args:
        region: (H, W) of the slice.
        size: Side of the square, pixels.

    Returns:
        (size, size), 255 inside; in between along the rim.
    """
    picture = Image.fromarray(region.astype(np.uint8) * _INSIDE)
    top, left, side = placement.top, placement.left, placement.side
    square = picture.crop((left, top, left + side, top + side))  # 0 where it lies outside
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)
