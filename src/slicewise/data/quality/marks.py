"""Marks that tell a CT slice and burnt-in text by pixels: a bright even ring, letters in a row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array
from slicewise.errors import MissingExtraError

_RING_SIDE = 128
_FOREGROUND = 0.12
_RAYS = 72
_STEPS = 96
_REACH = 1.35
"""How far rays go, in half axes of the head's ellipse."""
_RIM = 0.55
_SATURATED = 0.9
_THICK = 0.04
_INSIDE = 0.6

_TEXT_SIDE = 256
_LIT = 0.25
_CLEAR = 0.4
_OUTSIDE = 1.15
_HEIGHTS = (3, 14)
_WIDTHS = (1, 16)
_SAME_LINE = 1.5
_SAME_HEIGHT = 2
_GAPS = (-1.0, 12.0)

MARKS = ("ring_cover", "ring_inside", "ring_inside_bright", "letters")
"""Names of the numbers in `mark_vector`, in order."""

Box = tuple[float, float, int, int]
"""Centre row, centre column, height and width, pixels."""


@dataclass(frozen=True, slots=True)
class Ring:
    """What 72 rays from the centre of the head meet.

    Args:
        cover: Share of rays that cross a run of nearly the largest value near the rim, at least 4 %
            of the head's half axis long. Bone in CT; in MR fat is as bright, but seldom all around.
        inside: Median level inside, 1 being nearly the largest value.
        inside_bright: Share of the inside that is as bright as the ring.
    """

    cover: float
    inside: float
    inside_bright: float


def bright_ring(pixels: Array) -> Ring:
    """Measure the ring around a head.

    Args:
        pixels: (H, W) finite values of any scale.
    """
    levels = _levels(pixels, _RING_SIDE)
    rays, radii = _along_rays(levels)
    bright = (rays >= _SATURATED) & (radii > _RIM)
    thickness = _longest_runs(bright) / _STEPS * _REACH
    inside = rays[:, radii < _INSIDE]
    return Ring(
        cover=float((thickness >= _THICK).mean()),
        inside=float(np.median(inside)),
        inside_bright=float((inside > _SATURATED).mean()),
    )


def letters_in_row(pixels: Array) -> int:
    """The longest row of small bright marks of one height outside of the head's ellipse.

    Args:
        pixels: (H, W) finite values of any scale.

    Raises:
        MissingExtraError: If SciPy, which comes with scikit-learn, is not installed.
    """
    marks = _small_marks(_levels(pixels, _TEXT_SIDE))
    longest = 0
    for row, _, height, _ in marks:
        line = [
            mark
            for mark in marks
            if abs(mark[0] - row) <= _SAME_LINE and abs(mark[2] - height) <= _SAME_HEIGHT
        ]
        longest = max(longest, _longest_chain(sorted(line, key=lambda mark: mark[1])))
    return longest


def mark_vector(pixels: Array) -> Array:
    """(4,) float32: ring and letters of one slice, in the order of `MARKS`.

    Args:
        pixels: (H, W) finite values of any scale.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    ring = bright_ring(pixels)
    numbers = (ring.cover, ring.inside, ring.inside_bright, letters_in_row(pixels))
    return np.array(numbers, dtype=np.float32)


def _levels(pixels: Array, side: int) -> Array:
    """The picture shrunk to a longest side, from its 1st to its 99.5th percentile."""
    factor = side / max(pixels.shape)
    size = tuple(max(8, round(length * factor)) for length in pixels.shape[::-1])
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    small = np.asarray(picture.resize((size[0], size[1]), how), dtype=np.float32)
    low, high = np.percentile(small, (1, 99.5))
    if high <= low:
        return np.zeros_like(small)
    return np.asarray(np.clip((small - low) / (high - low), 0, 1), dtype=np.float32)


def _ellipse(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Centre row and column, half axes; a full ellipse has half of each as deviation."""
    rows, columns = np.nonzero(mask if mask.any() else np.ones_like(mask))
    return (
        float(rows.mean()),
        float(columns.mean()),
        max(2 * float(rows.std()), 1.0),
        max(2 * float(columns.std()), 1.0),
    )


def _along_rays(levels: Array) -> tuple[Array, NDArray[np.float64]]:
    """(rays, steps) levels and (steps,) radii in half axes; 0 outside of the picture."""
    row, column, tall, wide = _ellipse(levels > _FOREGROUND)
    angles = np.arange(_RAYS)[:, None] / _RAYS * 2 * np.pi
    radii = (np.arange(_STEPS) + 0.5) / _STEPS * _REACH
    y = np.rint(row + tall * radii * np.sin(angles)).astype(int)
    x = np.rint(column + wide * radii * np.cos(angles)).astype(int)
    height, width = levels.shape
    there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    found = levels[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.asarray(np.where(there, found, 0), dtype=np.float32), radii


def _longest_runs(bright: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(rays,) length of the longest run of True along each row."""
    run = np.zeros(len(bright))
    longest = np.zeros(len(bright))
    for column in bright.T:
        run = np.where(column, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest


def _small_marks(levels: Array) -> list[Box]:
    """Connected bright marks of the size of letters, outside of the largest one's ellipse."""
    try:
        from scipy import ndimage
    except ModuleNotFoundError:
        raise MissingExtraError("an audit", "evaluate") from None
    numbers, count = ndimage.label(levels > _LIT, structure=np.ones((3, 3)))
    if count < 2:
        return []
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    head = int(sizes.argmax())
    row, column, tall, wide = _ellipse(numbers == head)
    marks = []
    for number, (down, across) in enumerate(ndimage.find_objects(numbers), start=1):
        height, width = down.stop - down.start, across.stop - across.start
        y, x = (down.start + down.stop) / 2, (across.start + across.stop) / 2
        if number == head or not _is_letter_sized(height, width):
            continue
        own = levels[down, across][numbers[down, across] == number]
        if np.hypot((y - row) / tall, (x - column) / wide) >= _OUTSIDE and own.max() >= _CLEAR:
            marks.append((y, x, height, width))
    return marks


def _is_letter_sized(height: int, width: int) -> bool:
    return _HEIGHTS[0] <= height <= _HEIGHTS[1] and _WIDTHS[0] <= width <= _WIDTHS[1]


def _longest_chain(line: list[Box]) -> int:
    """How many marks of a line, from left to right, follow each other closely; 0 if none do."""
    longest = run = 1
    for left, right in pairwise(line):
        gap = (right[1] - right[3] / 2) - (left[1] + left[3] / 2)
        run = run + 1 if _GAPS[0] <= gap <= _GAPS[1] else 1
        longest = max(longest, run)
    return longest if longest > 1 else 0
