"""Shapes in millimetres that phantoms are drawn from: cuts, signed distances, random fields.

Coordinates are patient coordinates as DICOM has them (LPS): x to the patient's left, y to the
back, z to the top of the head, with the origin in the middle of the brain. A signed distance is
negative inside a shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Vector = tuple[float, float, float]
Path = tuple[tuple[Vector, float], ...]
"""A tube: centre and radius of each station, mm."""

AXES: dict[str, tuple[Vector, Vector, Vector]] = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
}
"""Per plane: direction along a row, direction down a column, and the normal."""


@dataclass(frozen=True, slots=True)
class Points:
    """Where the pixels of a cut lie: three (H, W) float32 arrays of millimetres."""

    x: Array
    y: Array
    z: Array

    def mirrored(self) -> Points:
        """The same points with left folded onto right, for paired structures."""
        return Points(np.abs(self.x), self.y, self.z)

    def pushed_from(self, center: Vector, push_mm: float, reach_mm: float) -> Points:
        """Points at which to look up anatomy that a mass at `center` has pushed outwards."""
        dx, dy, dz = self.x - center[0], self.y - center[1], self.z - center[2]
        distance = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-3
        pull = push_mm * np.exp(-((distance / reach_mm) ** 2)) / np.maximum(distance, push_mm)
        return Points(self.x - dx * pull, self.y - dy * pull, self.z - dz * pull)


@dataclass(frozen=True, slots=True)
class Cut:
    """A square picture plane through the head.

    Args:
        plane: `axial`, `coronal` or `sagittal`.
        offset_mm: Where it lies along its normal, mm.
        middle_mm: Centre of the picture along the row and down the column, mm.
        field_of_view_mm: Side of the square, mm.
        turn_degrees: How far the head is turned within the picture.
        size: Pixels a side.
    """

    plane: str
    offset_mm: float
    middle_mm: tuple[float, float]
    field_of_view_mm: float
    turn_degrees: float
    size: int

    @property
    def spacing_mm(self) -> float:
        """Distance between neighbouring pixels, mm."""
        return self.field_of_view_mm / self.size

    def frame(self) -> tuple[Array, Array, Array]:
        """Corner point, step along a row and step down a column: (3,) float32 each, mm."""
        row, column, normal = (np.array(axis, dtype=np.float32) for axis in AXES[self.plane])
        angle = np.deg2rad(self.turn_degrees)
        across = (np.cos(angle) * row + np.sin(angle) * column).astype(np.float32)
        down = (np.cos(angle) * column - np.sin(angle) * row).astype(np.float32)
        middle = self.middle_mm[0] * row + self.middle_mm[1] * column + self.offset_mm * normal
        corner = middle - (across + down) * (self.field_of_view_mm - self.spacing_mm) / 2
        return corner.astype(np.float32), across * self.spacing_mm, down * self.spacing_mm

    def points(self) -> Points:
        """Position of every pixel."""
        corner, across, down = self.frame()
        steps = np.arange(self.size, dtype=np.float32)
        grid = [corner[i] + across[i] * steps + (down[i] * steps)[:, None] for i in range(3)]
        return Points(*(axis.astype(np.float32) for axis in grid))


@dataclass(frozen=True, slots=True, eq=False)
class WaveField:
    """A smooth random function of space with unit variance: a sum of plane waves.

    Args:
        vectors: (N, 3) float32 wave vectors, radians per mm.
        phases: (N,) float32 radians.
    """

    vectors: Array
    phases: Array

    @classmethod
    def draw(cls, rng: np.random.Generator, wavelength_mm: float, waves: int = 40) -> WaveField:
        """A field whose features are about half of `wavelength_mm` wide."""
        directions = rng.normal(size=(waves, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = wavelength_mm * rng.uniform(0.75, 1.35, size=(waves, 1))
        vectors = directions * (2 * np.pi / lengths)
        phases = rng.uniform(0, 2 * np.pi, waves)
        return cls(vectors.astype(np.float32), phases.astype(np.float32))

    def on(self, cut: Cut) -> Array:
        """Values on a cut, (H, W) float32.

        A plane wave on a plane is an outer product, so all waves together are one matrix product.
        """
        corner, across, down = cut.frame()
        steps = np.arange(cut.size, dtype=np.float32)
        along = np.outer(steps, self.vectors @ across)
        below = np.outer(steps, self.vectors @ down) + self.vectors @ corner + self.phases
        left = np.concatenate([np.cos(below), -np.sin(below)], axis=1)
        right = np.concatenate([np.cos(along), np.sin(along)], axis=1)
        scale = np.float32(np.sqrt(2 / len(self.phases)))
        values: Array = left @ right.T * scale
        return values


def ellipsoid(points: Points, center: Vector, radii: Vector) -> Array:
    """Approximate signed distance to an ellipsoid with axes along x, y and z, mm."""
    qx = (points.x - center[0]) / radii[0]
    qy = (points.y - center[1]) / radii[1]
    qz = (points.z - center[2]) / radii[2]
    level = np.sqrt(qx * qx + qy * qy + qz * qz)
    slope = np.sqrt((qx / radii[0]) ** 2 + (qy / radii[1]) ** 2 + (qz / radii[2]) ** 2)
    distance: Array = level * (level - 1) / np.maximum(slope, 1e-4)
    return distance


def capsule(points: Points, start: Vector, end: Vector, radii: tuple[float, float]) -> Array:
    """Signed distance to a rod whose radius changes from `start` to `end`, mm."""
    ax, ay, az = (end[i] - start[i] for i in range(3))
    px, py, pz = points.x - start[0], points.y - start[1], points.z - start[2]
    share = np.clip((px * ax + py * ay + pz * az) / (ax * ax + ay * ay + az * az), 0, 1)
    gap = (px - share * ax) ** 2 + (py - share * ay) ** 2 + (pz - share * az) ** 2
    distance: Array = np.sqrt(gap) - (radii[0] + share * (radii[1] - radii[0]))
    return distance


def tube(points: Points, path: Path) -> Array:
    """Signed distance to a tube through the given (centre, radius) stations, mm."""
    pieces = [capsule(points, a, b, (ra, rb)) for (a, ra), (b, rb) in pairwise(path)]
    return reduce(np.minimum, pieces)


def join(first: Array, second: Array, rounding_mm: float) -> Array:
    """Union of two shapes whose meeting edge is rounded."""
    near = np.maximum(rounding_mm - np.abs(first - second), 0) / rounding_mm
    distance: Array = np.minimum(first, second) - near * near * (rounding_mm / 4)
    return distance


def ramp(values: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    eased: Array = share * share * (3 - 2 * share)
    return eased


def inside(distance: Array, softness_mm: float = 0.7) -> Array:
    """How much of each pixel lies in a shape: 1 inside, 0 outside, soft at the border."""
    return ramp(-distance, -softness_mm, softness_mm)


def paint(image: Array, value: float | Array, coverage: Array) -> None:
    """Mix `value` into `image`, in place, where `coverage` (0 to 1) says so."""
    image += (value - image) * coverage
