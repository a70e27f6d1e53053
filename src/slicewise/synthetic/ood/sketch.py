"""Soft shapes on a warped plane: what body parts that are no brain are drawn with.

The plane reaches from -1 to 1 down the picture, further or less far across it; its coordinates are
bent by a smooth random field, so that no outline is a perfect ellipse. A signed distance is
negative inside a shape. Everything random comes from one generator, so that a picture can be drawn
again from its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from slicewise.synthetic.ood.picture import resized

Array = NDArray[np.floating[Any]]

Point = tuple[float, float]
"""Across, down."""


def smooth_field(rng: Generator, shape: tuple[int, int], feature_px: float) -> Array:
    """A random field of about zero mean and unit spread whose features are `feature_px` wide."""
    rows, columns = (int(np.ceil(length / feature_px)) + 3 for length in shape)
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    height, width = (round(cells * feature_px) for cells in (rows, columns))
    fine = resized(coarse, width, height)
    top, left = (height - shape[0]) // 2, (width - shape[1]) // 2
    cut = fine[top : top + shape[0], left : left + shape[1]]
    return np.asarray((cut - cut.mean()) / max(float(cut.std()), 1e-6), dtype=np.float32)


class Sketch:
    """A picture in the making."""

    def __init__(
        self, rng: Generator, side: int = 192, aspect: float = 1.0, bend: float = 0.05
    ) -> None:
        """Start with a black picture.

        Args:
            rng: Source of chance.
            side: Rows.
            aspect: Columns for each row.
            bend: How far coordinates are bent, in half heights.
        """
        self.rng = rng
        self.shape = (side, max(8, round(side * aspect)))
        self.image: Array = np.zeros(self.shape, dtype=np.float32)
        down = np.linspace(-1, 1, self.shape[0], dtype=np.float32)
        across = np.linspace(-aspect, aspect, self.shape[1], dtype=np.float32)
        x, y = np.meshgrid(across, down)
        cos, sin = _cos_sin(rng.normal(0, 0.05))
        self.x: Array = x * cos + y * sin + np.float32(bend) * self.field(0.6)
        self.y: Array = y * cos - x * sin + np.float32(bend) * self.field(0.6)

    def field(self, feature: float) -> Array:
        """A smooth random field; features in half heights."""
        return smooth_field(self.rng, self.shape, max(1.0, feature * self.shape[0] / 2))

    def vary(self, value: float, share: float = 0.1) -> float:
        """A number near `value`, by about `share` of it."""
        return value * float(np.exp(self.rng.normal(0, share)))

    def near(self, point: Point, spread: float = 0.03) -> Point:
        """A point near another."""
        dx, dy = self.rng.normal(0, spread, 2)
        return float(point[0] + dx), float(point[1] + dy)

    def ellipse(self, center: Point, radii: Point, turn: float = 0.0) -> Array:
        """Approximate signed distance to an ellipse turned by `turn` radians."""
        return _to_ellipse(*self._turned(center, turn), radii)

    def blob(self, center: Point, radii: Point, rough: float = 0.12, turn: float = 0.0) -> Array:
        """An ellipse whose outline swells and shrinks by about `rough` of its size."""
        u, v = self._turned(center, turn)
        around = (u + 1j * v) / (np.sqrt(u * u + v * v) + np.float32(1e-6))
        waves: NDArray[np.complexfloating[Any, Any]] = np.zeros_like(around)
        for k in (5, 4, 3, 2):  # a sum of waves, k to the turn, as a polynomial of the direction
            angle = self.rng.uniform(0, 2 * np.pi)
            height = self.rng.normal(0, rough / k)
            waves = (waves + np.complex64(height * np.exp(1j * angle))) * around
        size = np.float32(np.sqrt(radii[0] * radii[1]))
        return np.asarray(_to_ellipse(u, v, radii) - size * (waves * around).real)

    def box(self, center: Point, half: Point, corner: float = 0.03, turn: float = 0.0) -> Array:
        """Signed distance to a rectangle with rounded corners."""
        u, v = self._turned(center, turn)
        du, dv = np.abs(u) - half[0] + corner, np.abs(v) - half[1] + corner
        outside = _length(np.maximum(du, 0), np.maximum(dv, 0))
        return np.asarray(outside + np.minimum(np.maximum(du, dv), 0) - corner, dtype=np.float32)

    def rod(self, points: Sequence[Point], radii: Sequence[float]) -> Array:
        """Signed distance to a bent rod through points, with a radius at each of them."""
        stations = list(zip(points, radii, strict=True))
        return reduce(np.minimum, (self._capsule(a, b) for a, b in pairwise(stations)))

    def _capsule(self, start: tuple[Point, float], end: tuple[Point, float]) -> Array:
        (ax, ay), ra = start
        (bx, by), rb = end
        dx, dy = float(bx - ax), float(by - ay)
        px, py = self.x - np.float32(ax), self.y - np.float32(ay)
        long = dx * dx + dy * dy + 1e-9
        share = np.clip(px * (dx / long) + py * (dy / long), 0, 1)
        gap = _length(px - share * dx, py - share * dy)
        return np.asarray(gap - (float(ra) + share * float(rb - ra)))

    def _turned(self, center: Point, turn: float) -> tuple[Array, Array]:
        px, py = self.x - np.float32(center[0]), self.y - np.float32(center[1])
        if turn == 0.0:
            return px, py
        cos, sin = _cos_sin(turn)
        return px * cos + py * sin, py * cos - px * sin

    def paint(self, value: float | Array, distance: Array, soft: float = 0.02) -> None:
        """Mix `value` into the picture inside a shape, with a soft border."""
        self.image += (_single(value) - self.image) * coverage(distance, soft)

    def add(self, value: float | Array, distance: Array, soft: float = 0.02) -> None:
        """Add `value` inside a shape, as in a projection."""
        self.image += _single(value) * coverage(distance, soft)


def _to_ellipse(u: Array, v: Array, radii: Point) -> Array:
    a, b = np.float32(1 / radii[0]), np.float32(1 / radii[1])
    level = _length(u * a, v * b) + np.float32(1e-6)
    slope = _length(u * (a * a), v * (b * b)) + np.float32(1e-6)
    return np.asarray(level * (level - 1) / slope)


def _length(u: Array, v: Array) -> Array:
    return np.asarray(np.sqrt(u * u + v * v))


def _single(value: float | Array) -> Array:
    return np.asarray(value, dtype=np.float32)


def _cos_sin(turn: float) -> tuple[np.float32, np.float32]:
    return np.float32(np.cos(turn)), np.float32(np.sin(turn))


def coverage(distance: Array, soft: float) -> Array:
    """1 inside, 0 outside, a smooth step of width 2 `soft` between."""
    share = np.clip(np.float32(0.5) - distance * np.float32(0.5 / soft), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), dtype=np.float32)


def joined(*shapes: Array, rounding: float = 0.1) -> Array:
    """Union of shapes whose meeting edges are rounded."""

    def join(first: Array, second: Array) -> Array:
        close = np.maximum(rounding - np.abs(first - second), 0) / rounding
        return np.asarray(np.minimum(first, second) - close * close * (rounding / 4))

    return reduce(join, shapes)
