"""What a picture looks like, apart from what it shows: border, levels, sharpness, shape, symmetry.

A few dozen plain statistics of a shrunken copy. They tell MR slices of heads from photographs,
screens, noise and other body parts, and they tell data sets apart. None of them knows a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from slicewise.arrays import Array, Bools, Floats

SIDE = 96
"""Longest side of the shrunken copy; the shorter one keeps the aspect."""

_BAND = 4
_FOREGROUND = 0.12
_EDGE = 0.15
_RINGS = (0.3, 0.55, 0.75, 0.9, 1.05)


class Appearance(NamedTuple):
    """Statistics of one picture whose 1st and 99th percentiles were scaled to 0 and 1."""

    log_aspect: float  # logarithm of height over width
    border_level: float  # median of a band along the edge
    border_spread: float  # standard deviation of that band
    border_range: float  # the 95th minus its 5th percentile
    dark_share: float  # share of pixels below 0.1
    bright_share: float  # share of pixels above 0.9
    entropy: float  # of the histogram in 32 bins, bits
    top_level_share: float  # share of the most common of 64 levels
    foreground_share: float  # share of pixels that differ from the border by more than 0.12
    lower_quartile: float  # of the foreground
    median: float  # of the foreground
    upper_quartile: float  # of the foreground
    fill: float  # foreground within its own ellipse of equal moments, share
    spill: float  # foreground outside of twice that ellipse's area, share of the foreground
    elongation: float  # logarithm of the vertical over the horizontal extent of the foreground
    offset_down: float  # centre of the foreground below the middle, share of the height
    offset_across: float  # centre of the foreground right of the middle, share of the width
    mirror_symmetry: float  # correlation with the mirrored foreground
    flip_symmetry: float  # correlation with the upside-down foreground
    down_tilt: float  # brightness of the lower minus the upper half of the foreground
    ring_0: float  # mean level in five elliptic rings from the centre of the foreground outwards
    ring_1: float
    ring_2: float
    ring_3: float
    ring_4: float
    smooth_share: float  # share of neighbouring pixels in the foreground that hardly differ
    edge_share: float  # share of pixels on strong edges
    straightness: float  # share of strong gradients that are horizontal or vertical to 3 degrees
    noise: float  # median absolute Laplacian in the foreground
    background_noise: float  # median absolute Laplacian outside of it
    detail: float  # high over low spatial frequencies, logarithm of energies
    grain: float  # highest quarter over the middle of spatial frequencies, logarithm of energies

    def vector(self) -> Floats:
        """All statistics in the order of `APPEARANCE_NAMES`."""
        return np.array(self, dtype=np.float64)


APPEARANCE_NAMES = Appearance._fields
"""Names of the numbers in `Appearance.vector`, in order."""


def appearance(pixels: Array) -> Appearance:
    """Measure a picture.

    Args:
        pixels: (H, W) finite values of any scale.
    """
    small = _scaled(_shrunk(pixels))
    edge = np.ones(small.shape, dtype=bool)
    edge[_BAND:-_BAND, _BAND:-_BAND] = False
    band = small[edge]
    border = float(np.median(band))
    mask = np.abs(small - border) > _FOREGROUND
    if not mask.any():
        mask = np.ones_like(mask)
    shape = _moments(mask)
    histogram = np.bincount((small * 31.999).astype(int).ravel(), minlength=32) / small.size
    levels = np.bincount((small * 63.999).astype(int).ravel(), minlength=64) / small.size
    radius = shape.radius(small.shape)
    rings = ((radius >= inner) & (radius < outer) for inner, outer in pairwise((0.0, *_RINGS)))
    lower_quartile, median, upper_quartile = map(float, np.percentile(small[mask], (25, 50, 75)))
    down, across = (np.asarray(slope) for slope in np.gradient(small))
    strength = np.hypot(down, across)
    roughness, within = np.abs(_laplacian(small)), mask[1:-1, 1:-1]
    noise, background_noise = (
        float(np.median(part)) if part.size else 0.0
        for part in (roughness[within], roughness[~within])
    )
    low, middle, high = _radial_energy(small)
    return Appearance(
        log_aspect=float(np.log(pixels.shape[0] / pixels.shape[1])),
        border_level=border,
        border_spread=float(band.std()),
        border_range=float(np.subtract(*np.percentile(band, (95, 5)))),
        dark_share=float((small < 0.1).mean()),
        bright_share=float((small > 0.9).mean()),
        entropy=float(-np.sum(histogram * np.log2(np.maximum(histogram, 1e-12)))),
        top_level_share=float(levels.max()),
        foreground_share=float(mask.mean()),
        lower_quartile=lower_quartile,
        median=median,
        upper_quartile=upper_quartile,
        fill=_mean(mask[radius <= 1]),
        spill=float((mask & (radius > np.sqrt(2))).sum() / mask.sum()),
        elongation=float(np.log(shape.tall / shape.wide)),
        offset_down=shape.row / small.shape[0] - 0.5,
        offset_across=shape.column / small.shape[1] - 0.5,
        mirror_symmetry=_symmetry(small, mask, shape, axis=1),
        flip_symmetry=_symmetry(small, mask, shape, axis=0),
        down_tilt=_tilt(small, mask, shape.row),
        **{f"ring_{i}": _mean(small[ring]) for i, ring in enumerate(rings)},
        smooth_share=_mean(strength[mask] < 0.02),
        edge_share=float((strength > _EDGE).mean()),
        straightness=_straightness(down, across, strength),
        noise=noise,
        background_noise=background_noise,
        detail=float(np.log((middle + high + 1e-9) / (low + 1e-9))),
        grain=float(np.log((high + 1e-9) / (middle + 1e-9))),
    )


@dataclass(frozen=True, slots=True)
class _Ellipse:
    """Centre and half axes, in pixels, of the ellipse with the moments of a mask."""

    row: float
    column: float
    tall: float
    wide: float

    def radius(self, shape: tuple[int, ...]) -> Floats:
        """(H, W) distance from the centre; 1 on the ellipse."""
        rows = (np.arange(shape[0])[:, None] - self.row) / self.tall
        columns = (np.arange(shape[1])[None, :] - self.column) / self.wide
        return np.asarray(np.hypot(rows, columns))


def _moments(mask: Bools) -> _Ellipse:
    """A full ellipse has a standard deviation of half its half axis along each axis."""
    rows, columns = np.nonzero(mask)
    tall, wide = (max(2.0 * float(places.std()), 1.0) for places in (rows, columns))
    return _Ellipse(float(rows.mean()), float(columns.mean()), tall, wide)


def _shrunk(pixels: Array) -> Array:
    height, width = pixels.shape
    factor = SIDE / max(height, width)
    side = (max(2 * _BAND, round(width * factor)), max(2 * _BAND, round(height * factor)))
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    return np.asarray(picture.resize(side, how), dtype=np.float32)


def _scaled(small: Array) -> Array:
    low, high = np.percentile(small, (1, 99))
    if high <= low:
        low, high = float(small.min()), float(small.max())
    if high <= low:
        return np.zeros_like(small)
    return np.asarray(np.clip((small - low) / (high - low), 0, 1), dtype=np.float32)


def _mean(part: Array | Bools) -> float:
    return float(part.mean()) if part.size else 0.0


def _symmetry(small: Array, mask: Bools, shape: _Ellipse, axis: int) -> float:
    """Correlation of the foreground with itself turned over its own centre line."""
    centre = (shape.row, shape.column)[axis]
    index = np.rint(2 * centre - np.arange(small.shape[axis])).astype(int)
    valid = (index >= 0) & (index < small.shape[axis])
    within = np.clip(index, 0, small.shape[axis] - 1)
    turned, there = np.take(small, within, axis=axis), np.take(mask, within, axis=axis)
    both = (mask | there) & (valid[:, None] if axis == 0 else valid[None, :])
    one, two = small[both], turned[both]
    if both.sum() < 10 or one.std() < 1e-6 or two.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])


def _tilt(small: Array, mask: Bools, row: float) -> float:
    lower = np.arange(small.shape[0])[:, None] > row
    below, above = small[mask & lower], small[mask & ~lower]
    if not (below.size and above.size):
        return 0.0
    return float(below.mean() - above.mean())


def _straightness(down: Array, across: Array, strength: Array) -> float:
    strong = strength > _EDGE
    if not strong.any():
        return 0.0
    small, large = np.abs(down[strong]), np.abs(across[strong])
    return float((np.minimum(small, large) < 0.05 * np.maximum(small, large)).mean())


def _laplacian(small: Array) -> Array:
    inner = small[1:-1, 1:-1]
    around = small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:]
    return np.asarray(around - 4 * inner, dtype=np.float32)


def _radial_energy(small: Array) -> tuple[float, float, float]:
    """Spectral energy below 0.08, from 0.08 to 0.25, and above 0.25 cycles a pixel; no mean."""
    spectrum = np.abs(np.fft.rfft2(small - small.mean())) ** 2
    rows, columns = np.fft.fftfreq(small.shape[0]), np.fft.rfftfreq(small.shape[1])
    frequency = np.hypot(rows[:, None], columns[None, :])
    total = float(spectrum.sum()) or 1.0
    bands = (frequency < 0.08, (frequency >= 0.08) & (frequency < 0.25), frequency >= 0.25)
    low, middle, high = (float(spectrum[band].sum()) / total for band in bands)
    return low, middle, high
