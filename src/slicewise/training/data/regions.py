"""Where tumors lie on preprocessed slices: masks and boxes on the square that a network sees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.data.manifest import MASK_COLUMN, Manifest, ManifestRow
from slicewise.data.tasks import Task
from slicewise.evaluation.explanations.regions import Boxes, read_boxes, tumor_region
from slicewise.imaging.preprocess import Placement, PreprocessSpec, preprocess
from slicewise.imaging.read import read_slice
from slicewise.progress import track
from slicewise.training.data.dataset import Images, cache_key, cached

_INSIDE = 255


def load_regions(
    manifest: Manifest, task: Task, spec: PreprocessSpec, boxes: Path | None, cache: Path
) -> Images:
    """(N, size, size) uint8, 255 inside of a tumor and 0 elsewhere, one for each row.

    A slice without a tumor, and one whose tumor has neither mask nor box, is 0 all over.

    Args:
        manifest: Rows; those with a mask use it.
        spec: The pixel pipeline, which says where the square lies.
        boxes: Table of boxes for slices without a mask; None where there is none.
        cache: Folder for `.npy` files named by the hash of what is in them.

    Raises:
        ManifestError: If the table is not as expected.
        InputError: If a slice or mask cannot be read.
    """
    table = None if boxes is None else read_boxes(boxes)
    known = hashlib.sha256(b"" if boxes is None else boxes.read_bytes()).hexdigest()
    masks = " ".join(row.extra.get(MASK_COLUMN, "").rpartition("/")[2] for row in manifest.rows)
    key = cache_key(manifest.rows, spec, f"regions {known} {masks}")
    return cached(cache / f"{key}.npy", lambda: _drawn(manifest, task, spec, table))


def _drawn(manifest: Manifest, task: Task, spec: PreprocessSpec, boxes: Boxes | None) -> Images:
    regions = np.zeros((len(manifest.rows), spec.size, spec.size), dtype=np.uint8)
    rows = track(manifest.rows, "Drawing tumor regions")
    for index, row in enumerate(rows):
        if row.label != task.negative_class and _has_region(row, boxes):
            regions[index] = _region(manifest, row, spec, boxes)
    return regions


def _has_region(row: ManifestRow, boxes: Boxes | None) -> bool:
    by_box = boxes is not None and boxes.name_of(row.path) is not None
    return by_box or bool(row.extra.get(MASK_COLUMN))


def _region(
    manifest: Manifest, row: ManifestRow, spec: PreprocessSpec, boxes: Boxes | None
) -> NDArray[np.uint8]:
    pixels = read_slice(manifest.resolve(row)).pixels
    shape = (pixels.shape[0], pixels.shape[1])
    region = tumor_region(manifest, row, shape, boxes)
    if region is None:
        return np.zeros((spec.size, spec.size), dtype=np.uint8)
    return placed(region, preprocess(pixels, spec).placement, spec.size)


def placed(region: NDArray[np.bool_], placement: Placement, size: int) -> NDArray[np.uint8]:
    """A region of a slice on the preprocessed square.

    Args:
        region: (H, W) of the slice.
        placement: Where the square lies on it.
        size: Side of the square, pixels.

    Returns:
        (size, size), 255 inside; in between along the rim.
    """
    picture = Image.fromarray(region.astype(np.uint8) * _INSIDE)
    top, left, side = placement.top, placement.left, placement.side
    square = picture.crop((left, top, left + side, top + side))  # 0 where it lies outside
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)
