"""From the raw map of the network to a heat map on the slice: values, and where they peak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Array, Floats
from slicewise.errors import BundleError, ConfigError
from slicewise.imaging.preprocess import Placement
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Answer

LEVEL = 0.5
"""Share of a map's maximum from which on a pixel counts as evidence."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels of a slice: its upper left corner and its extent."""

    x: int
    y: int
    width: int
    height: int

    def scaled(self, shape: tuple[int, int], size: tuple[int, int]) -> Box:
        """The smallest that covers the same on a picture of (columns, rows) of a slice (H, W)."""
        (columns, rows), (height, width) = size, shape
        left, top = self.x * columns // width, self.y * rows // height
        right = -(-(self.x + self.width) * columns // width)
        bottom = -(-(self.y + self.height) * rows // height)
        return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """Evidence for one class on a slice."""

    values: Array  # (H, W) in [0, 1], relative to the strongest evidence on this slice
    peak: tuple[int, int] | None  # row and column of the strongest; None where there is none at all

    def box(self) -> Box | None:
        """Round the peak and all pixels of at least `LEVEL` that hang together with it.

        None where there is no evidence. It grows from the peak as long as such pixels lie along one
        of its sides.
        """
        if self.peak is None:
            return None
        hot = np.pad(self.values >= LEVEL, 1)  # with a rim that is never hot
        top, left = self.peak[0] + 1, self.peak[1] + 1
        bottom, right = top + 1, left + 1
        grown = True
        while grown:
            up, down = int(hot[top - 1, left:right].any()), int(hot[bottom, left:right].any())
            back, on = int(hot[top:bottom, left - 1].any()), int(hot[top:bottom, right].any())
            top, bottom, left, right = top - up, bottom + down, left - back, right + on
            grown = bool(up or down or back or on)
        return Box(left - 1, top - 1, right - left, bottom - top)


def heat_map(cam: Array, placement: Placement, shape: tuple[int, int]) -> HeatMap:
    """Lay a raw Grad-CAM smoothly over the slice it was computed for; 0 outside the square.

    Args:
        cam: (h, w) finite values of at least 0, on the preprocessed square.
        placement: Where that square lies on the slice.

    Raises:
        BundleError: `cam` is no map: wrong dimensions, negative or not finite.
    """
    if cam.ndim != 2 or not np.isfinite(cam).all() or (cam < 0).any():
        got = f"{cam.shape} values from {np.min(cam, initial=0)} to {np.max(cam, initial=0)}"
        raise BundleError(f"heat map: expected (h, w) finite values of at least 0, got {got}")
    rows = _weights(shape[0], placement.top, placement.side, cam.shape[0])
    columns = _weights(shape[1], placement.left, placement.side, cam.shape[1])
    values = rows @ cam.astype(np.float64) @ columns.T
    highest = values.max()
    if highest <= 0:
        return HeatMap(np.zeros(shape, dtype=np.float32), None)
    row, column = np.unravel_index(int(values.argmax()), shape)
    return HeatMap((values / highest).astype(np.float32), (int(row), int(column)))


def heat_map_of(slice_: Slice, answer: Answer, target: str | None = None) -> HeatMap:
    """Heat map of one class on the slice that was answered for; None for the answered class.

    Raises:
        ConfigError: The model has no such class.
    """
    classes = list(answer.prediction.probabilities)
    if (wanted := target or answer.prediction.label) not in classes:
        raise ConfigError(f"class {wanted!r}: expected one of {', '.join(classes)}")
    return heat_map(answer.cam[classes.index(wanted)], answer.placement, slice_.shape)


def _weights(pixels: int, start: int, side: int, cells: int) -> Floats:
    """(pixels, cells) weights of a cubic B-spline; rows outside the square are 0.

    It peaks between cells where the neighbours pull it; linear interpolation always peaks in the
    middle of a cell. Its weights are never negative. Beyond the rim the outermost cell goes on.
    """
    inside = np.flatnonzero((np.arange(pixels) >= start) & (np.arange(pixels) < start + side))
    where = (inside - start + 0.5) * cells / side - 0.5
    below = np.floor(where).astype(int)
    t = where - below
    cubic = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((pixels, cells))
    for step, weight in enumerate(cubic, start=-1):
        np.add.at(weights, (inside, np.clip(below + step, 0, cells - 1)), weight / 6)
    return weights
