"""The one pixel pipeline: slice pixels to the square 8-bit image that a model reads.

Training, evaluation, prediction and screening all call `preprocess`; its parameters travel in the
bundle. Steps: crop to the head, scale by robust percentiles, pad to a square, resize.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby, product
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicewise.arrays import Array, Bools, Bytes

PIPELINE_VERSION = 1
"""Part of the name of cached pixels: raise it whenever the same file would give other pixels."""

_MASK_SIDE = 96
_PERCENTILE_SAMPLES = 65_536
_BAND = 5
_FOREGROUND = 0.1
_SMALLEST_HEAD = 0.1


class PreprocessSpec(BaseModel):
    """Parameters of the pixel pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    size: int = Field(224, ge=32, le=1024, description="Side of the output square, pixels.")
    crop: Literal["head", "none"] = Field("head", description="Crop to the head, or keep all.")
    margin: float = Field(0.03, ge=0, le=0.5, description="Round the head, share of its side.")
    low_percentile: float = Field(1.0, ge=0, lt=100, description="Mapped to 0.")
    high_percentile: float = Field(99.5, gt=0, le=100, description="Mapped to 1.")

    @model_validator(mode="after")
    def _ordered(self) -> PreprocessSpec:
        if self.low_percentile >= self.high_percentile:
            low, high = self.low_percentile, self.high_percentile
            raise ValueError(f"low_percentile {low} must be below high_percentile {high}")
        return self


@dataclass(frozen=True, slots=True)
class Box:
    """Half-open rectangle in slice pixels: rows top to bottom, columns left to right."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the preprocessed square lies on the slice it came from, in pixels of the slice."""

    top: int  # row of its upper edge; negative where padding was added
    left: int  # column of its left edge; negative where padding was added
    side: int

    def to_slice(self, row: float, column: float, size: int) -> tuple[float, float]:
        """Slice row and column of the centre of pixel (row, column) of a size x size image."""
        scale = self.side / size
        return self.top + (row + 0.5) * scale - 0.5, self.left + (column + 0.5) * scale - 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Preprocessed:
    """What a model reads: (size, size) uint8, where it lies, and whether anything is in it."""

    image: Bytes
    placement: Placement
    blank: bool


def preprocess(pixels: Array, spec: PreprocessSpec) -> Preprocessed:
    """Crop, scale, pad and resize the pixels of one slice.

    Args:
        pixels: (H, W) finite modality values.

    Returns:
        With 8 bits, so that a cache on disk and a live request hold the same numbers.
    """
    box = head_box(pixels, spec.margin) if spec.crop == "head" else Box(0, 0, *pixels.shape)
    cropped = pixels[box.top : box.bottom, box.left : box.right]
    scaled, blank = _scale(cropped, spec.low_percentile, spec.high_percentile)
    square, placement = _pad_to_square(scaled, box)
    # Pillow widens the filter when it shrinks, which is antialiased.
    resized = Image.fromarray(square).resize((spec.size, spec.size), Image.Resampling.BILINEAR)
    return Preprocessed(np.asarray(resized, dtype=np.uint8), placement, blank)


def to_batch(images: Bytes) -> Array:
    """Model input (N, 1, size, size) float32 in [0, 1] from (N, size, size) uint8."""
    return images.astype(np.float32)[:, None] / np.float32(255)


def head_box(pixels: Array, margin: float = 0.0) -> Box:
    """Rectangle round the head: the largest connected region that differs from the background.

    The background is the median of a band along the edge, so that white surrounds are cut off as
    black ones are. Thin lines and text beside the head are separate regions and fall away. Where
    no region is a plausible head (less than a tenth of the picture), the whole slice is returned.

    Args:
        pixels: (H, W) finite values.
        margin: Added on each side, as a share of the longer side of the head.
    """
    mask = _largest_region(_foreground(_shrink(pixels)))
    if mask.mean() < _SMALLEST_HEAD:
        return Box(0, 0, *pixels.shape)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = pixels.shape
    fy, fx = height / mask.shape[0], width / mask.shape[1]
    top, bottom = rows[0] * fy, (rows[-1] + 1) * fy
    left, right = columns[0] * fx, (columns[-1] + 1) * fx
    extra = margin * max(bottom - top, right - left)
    return Box(
        max(0, int(np.floor(top - extra))),
        max(0, int(np.floor(left - extra))),
        min(height, int(np.ceil(bottom + extra))),
        min(width, int(np.ceil(right + extra))),
    )


def _shrink(pixels: Array) -> Array:
    height, width = pixels.shape
    factor = max(1.0, max(height, width) / _MASK_SIDE)
    side = (max(1, round(width / factor)), max(1, round(height / factor)))
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(picture.resize(side, Image.Resampling.BOX), dtype=np.float32)


def _foreground(pixels: Array) -> Bools:
    """What differs from the edge, less thin parts: drawn frames and bridges to text."""
    inner = np.zeros(pixels.shape, dtype=bool)
    inner[_BAND:-_BAND, _BAND:-_BAND] = True
    low, high = np.percentile(pixels, (1, 99))
    mask = np.abs(pixels - np.median(pixels[~inner])) > _FOREGROUND * (high - low)
    kept = sliding_window_view(np.pad(mask, 1), (3, 3)).all(axis=(2, 3))  # a 3 x 3 opening
    return np.asarray(sliding_window_view(np.pad(kept, 1), (3, 3)).any(axis=(2, 3)))


def _largest_region(mask: Bools) -> Bools:
    """The largest 4-connected region, found by joining overlapping runs of neighbouring rows."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    ends = zip(np.argwhere(edges == 1).tolist(), np.argwhere(edges == -1).tolist(), strict=True)
    runs = [(row, start, stop) for (row, start), (_, stop) in ends]  # in reading order
    parent = list(range(len(runs)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    above: list[int] = []
    for _, members in groupby(range(len(runs)), key=lambda index: runs[index][0]):
        current = list(members)
        for one, two in product(above, current):
            (row, start, stop), (next_row, next_start, next_stop) = runs[one], runs[two]
            if row + 1 == next_row and start < next_stop and next_start < stop:
                parent[root(one)] = root(two)
        above = current
    sizes: Counter[int] = Counter()
    for index, (_, start, stop) in enumerate(runs):
        sizes[root(index)] += stop - start
    largest = np.zeros_like(mask)
    if sizes:
        winner = sizes.most_common(1)[0][0]
        for index, (row, start, stop) in enumerate(runs):
            largest[row, start:stop] = root(index) == winner
    return largest


def _scale(pixels: Array, low: float, high: float) -> tuple[Bytes, bool]:
    """Percentiles to 0 and 255, clipped; and whether the pixels are all alike."""
    stride = max(1, int(np.sqrt(pixels.size / _PERCENTILE_SAMPLES)))
    floor, ceiling = np.percentile(pixels[::stride, ::stride], (low, high))
    if ceiling <= floor:
        floor, ceiling = pixels.min(), pixels.max()
    if ceiling <= floor:
        return np.zeros(pixels.shape, dtype=np.uint8), True
    scaled = (pixels - np.float32(floor)) * np.float32(255.0 / (float(ceiling) - float(floor)))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8), False


def _pad_to_square(image: Bytes, box: Box) -> tuple[Bytes, Placement]:
    height, width = image.shape
    side = max(height, width)
    above, before = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side), dtype=np.uint8)
    square[above : above + height, before : before + width] = image
    return square, Placement(box.top - above, box.left - before, side)
