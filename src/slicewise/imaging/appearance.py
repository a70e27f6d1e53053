"""What a picture looks like, apart from what it shows: border, levels, sharpness, shape, symmetry.

A few dozen plain statistics of a shrunken copy. They tell MR slices of heads from photographs,
screens, noise and other body parts, and they tell data sets apart. None of them knows a class.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array

SIDE = 96
"""Longest side of the shrunken copy; the shorter one keeps the aspect."""

_BAND = 4
_FOREGROUND = 0.12
_EDGE = 0.15
_RINGS = (0.3, 0.55, 0.75, 0.9, 1.05)


@dataclass(frozen=True, slots=True)
class Appearance:
    """Statistics of one picture whose 1st and 99th percentiles were scaled to 0 and 1.

    Args:
        log_aspect: Logarithm of height over width.
        border_level: Median of a band along the edge.
        border_spread: Standard deviation of that band.
        border_range: Its 95th minus its 5th percentile.
        dark_share: Share of pixels below 0.1.
        bright_share: Share of pixels above 0.9.
        entropy: Of the histogram in 32 bins, bits.
        top_level_share: Share of the most common of 64 levels.
        foreground_share: Share of pixels that differ from the border by more than 0.12.
        lower_quartile: Of the foreground.
        median: Of the foreground.
        upper_quartile: Of the foreground.
        fill: Foreground within its own ellipse of equal moments, share.
        spill: Foreground outside of twice that ellipse's area, share of the foreground.
        elongation: Logarithm of the vertical over the horizontal extent of the foreground.
        offset_down: Centre of the foreground below the middle, share of the height.
        offset_across: Centre of the foreground right of the middle, share of the width.
        mirror_symmetry: Correlation with the mirrored foreground.
        flip_symmetry: Correlation with the upside-down foreground.
        down_tilt: Brightness of the lower minus the upper half of the foreground.
        rings: Mean level in five elliptic rings from the centre of the foreground outwards.
        smooth_share: Share of neighbouring pixels in the foreground that hardly differ.
        edge_share: Share of pixels on strong edges.
        straightness: Share of strong gradients that are horizontal or vertical to 3 degrees.
        noise: Median absolute Laplacian in the foreground.
        background_noise: Median absolute Laplacian outside of it.
        detail: High over low spatial frequencies, logarithm of energies.
        grain: Highest quarter over the middle of spatial frequencies, logarithm of energies.
    """

    log_aspect: float
    border_level: float
    border_spread: float
    border_range: float
    dark_share: float
    bright_share: float
    entropy: float
    top_level_share: float
    foreground_share: float
    lower_quartile: float
    median: float
    upper_quartile: float
    fill: float
    spill: float
    elongation: float
    offset_down: float
    offset_across: float
    mirror_symmetry: float
    flip_symmetry: float
    down_tilt: float
    rings: tuple[float, ...]
    smooth_share: float
    edge_share: float
    straightness: float
    noise: float
    background_noise: float
    detail: float
    grain: float

    def vector(self) -> NDArray[np.float64]:
        """All statistics in the order of `APPEARANCE_NAMES`."""
        parts = [part if isinstance(part, tuple) else (part,) for part in astuple(self)]
        return np.array([number for part in parts for number in part], dtype=np.float64)


APPEARANCE_NAMES = tuple(
    name
    for field in fields(Appearance)
    for name in (
        [f"ring_{i}" for i in range(len(_RINGS))] if field.name == "rings" else [field.name]
    )
)
"""Names of the numbers in `Appearance.vector`, in order."""


def appearance(pixels: Array) -> Appearance:
    """Measure a picture.

    Args:
        pixels: (H, W) finite values of any scale.
    """
    small = _scaled(_shrunk(pixels))
    band = _band(small)
    border = float(np.median(band))
    mask = np.abs(small - border) > _FOREGROUND
    if not mask.any():
        mask = np.ones_like(mask)
    inside = small[mask]
    shape = _moments(mask)
    histogram = np.bincount((small * 31.999).astype(int).ravel(), minlength=32) / small.size
    levels = np.bincount((small * 63.999).astype(int).ravel(), minlength=64) / small.size
    radius = shape.radius(small.shape)
    quartiles = np.percentile(inside, (25, 50, 75))
    down, across = _gradient(small)
    strength = np.hypot(down, across)
    laplacian = _laplacian(small)
    outside = ~mask[1:-1, 1:-1]
    spectrum = _radial_energy(small)
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
        lower_quartile=float(quartiles[0]),
        median=float(quartiles[1]),
        upper_quartile=float(quartiles[2]),
        fill=_share(mask[radius <= 1]),
        spill=float((mask & (radius > np.sqrt(2))).sum() / mask.sum()),
        elongation=float(np.log(shape.tall / shape.wide)),
        offset_down=shape.row / small.shape[0] - 0.5,
        offset_across=shape.column / small.shape[1] - 0.5,
        mirror_symmetry=_symmetry(small, mask, shape, axis=1),
        flip_symmetry=_symmetry(small, mask, shape, axis=0),
        down_tilt=_tilt(small, mask, shape.row),
        rings=_ring_levels(small, radius),
        smooth_share=_share(strength[mask] < 0.02),
        edge_share=float((strength > _EDGE).mean()),
        straightness=_straightness(down, across, strength),
        noise=float(np.median(np.abs(laplacian[~outside]))) if (~outside).any() else 0.0,
        background_noise=float(np.median(np.abs(laplacian[outside]))) if outside.any() else 0.0,
        detail=float(np.log((spectrum[1] + spectrum[2] + 1e-9) / (spectrum[0] + 1e-9))),
        grain=float(np.log((spectrum[2] + 1e-9) / (spectrum[1] + 1e-9))),
    )


@dataclass(frozen=True, slots=True)
class _Ellipse:
    """Centre and half axes, in pixels, of the ellipse with the moments of a mask."""

    row: float
    column: float
    tall: float
    wide: float

    def radius(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(H, W) distance from the centre; 1 on the ellipse."""
        rows = (np.arange(shape[0])[:, None] - self.row) / self.tall
        columns = (np.arange(shape[1])[None, :] - self.column) / self.wide
        return np.asarray(np.hypot(rows, columns))


def _moments(mask: NDArray[np.bool_]) -> _Ellipse:
    """A full ellipse has a standard deviation of half its half axis along each axis."""
    rows, columns = np.nonzero(mask)
    return _Ellipse(
        float(rows.mean()),
        float(columns.mean()),
        max(2.0 * float(rows.std()), 1.0),
        max(2.0 * float(columns.std()), 1.0),
    )


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


def _band(small: Array) -> Array:
    edge = np.ones(small.shape, dtype=bool)
    edge[_BAND:-_BAND, _BAND:-_BAND] = False
    return small[edge]


def _share(part: NDArray[np.bool_]) -> float:
    return float(part.mean()) if part.size else 0.0


def _symmetry(small: Array, mask: NDArray[np.bool_], shape: _Ellipse, axis: int) -> float:
    """Correlation of the foreground with itself turned over its own centre line."""
    centre = (shape.row, shape.column)[axis]
    index = np.rint(2 * centre - np.arange(small.shape[axis])).astype(int)
    valid = (index >= 0) & (index < small.shape[axis])
    turned = np.take(small, np.clip(index, 0, small.shape[axis] - 1), axis=axis)
    there = np.take(mask, np.clip(index, 0, small.shape[axis] - 1), axis=axis)
    both = (mask | there) & (valid[:, None] if axis == 0 else valid[None, :])
    one, two = small[both], turned[both]
    if both.sum() < 10 or one.std() < 1e-6 or two.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])


def _tilt(small: Array, mask: NDArray[np.bool_], row: float) -> float:
    lower = np.arange(small.shape[0])[:, None] > row
    below, above = small[mask & lower], small[mask & ~lower]
    if not (below.size and above.size):
        return 0.0
    return float(below.mean() - above.mean())


def _ring_levels(small: Array, radius: NDArray[np.float64]) -> tuple[float, ...]:
    rings = [small[(radius >= a) & (radius < b)] for a, b in pairwise((0.0, *_RINGS))]
    return tuple(float(ring.mean()) if ring.size else 0.0 for ring in rings)


def _straightness(down: Array, across: Array, strength: Array) -> float:
    strong = strength > _EDGE
    if not strong.any():
        return 0.0
    small, large = np.abs(down[strong]), np.abs(across[strong])
    return float((np.minimum(small, large) < 0.05 * np.maximum(small, large)).mean())


def _gradient(small: Array) -> tuple[Array, Array]:
    """Central differences down and across, as `numpy.gradient` has them."""
    return np.asarray(np.gradient(small, axis=0)), np.asarray(np.gradient(small, axis=1))


def _laplacian(small: Array) -> Array:
    inner = small[1:-1, 1:-1]
    around = small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:]
    return np.asarray(around - 4 * inner, dtype=np.float32)


def _radial_energy(small: Array) -> tuple[float, float, float]:
    """Spectral energy below 0.08, from 0.08 to 0.25, and above 0.25 cycles a pixel; no mean."""
    spectrum = np.abs(np.fft.rfft2(small - small.mean())) ** 2
    rows = np.fft.fftfreq(small.shape[0])[:, None]
    columns = np.fft.rfftfreq(small.shape[1])[None, :]
    frequency = np.hypot(rows, columns)
    total = float(spectrum.sum()) or 1.0
    bands = (frequency < 0.08, (frequency >= 0.08) & (frequency < 0.25), frequency >= 0.25)
    low, middle, high = (float(spectrum[band].sum()) / total for band in bands)
    return low, middle, high
