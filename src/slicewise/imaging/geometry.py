"""Where slices lie: their normal, how far along it, and their plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slicewise.arrays import Floats
from slicewise.imaging.slice import Orientation, Position

SAME_ORIENTATION = 0.02
"""Two orientations are the same where no direction cosine differs by this: about one degree."""
_MOSTLY_ALONG = 0.8  # cosine of 37 degrees: tilted head scans still have a plane
_PLANES = ("sagittal", "coronal", "axial")  # by the patient axis (L, P, S) of the normal


def heights_of(
    positions: Sequence[Position | None], orientation: Orientation | None
) -> list[float] | None:
    """How far along the normal slices lie, mm; None where the position of one is not known.

    Args:
        orientation: Of all of them; without one, the normal is taken to run from the first of them
            to that which lies farthest from it.
    """
    known = [position for position in positions if position is not None]
    if not known or len(known) < len(positions):
        return None
    points = np.asarray(known, dtype=np.float64)
    if orientation is None:
        shifts = points - points[0]
        normal = _unit(shifts[np.argmax(np.linalg.norm(shifts, axis=1))])
    else:
        normal = normal_of(orientation)
    return [float(height) for height in points @ normal]


def first_near(points: Sequence[tuple[float, ...]], within: float) -> list[tuple[float, ...]]:
    """For each point the first of them that is nearer than `within` in every coordinate."""
    kept: dict[int, list[tuple[float, ...]]] = {}
    found: list[tuple[float, ...]] = []
    for point in points:
        others = kept.setdefault(len(point), [])
        near = np.abs(np.asarray(others).reshape(-1, len(point)) - point) < within
        first = np.flatnonzero(near.all(axis=1))
        if not first.size:
            others.append(point)
        found.append(others[first[0]] if first.size else point)
    return found


def normal_of(orientation: Orientation) -> Floats:
    """Unit normal of a slice (PS3.3 C.7.6.2.1.1), made to point left, posterior or superior.

    Returns:
        (3,) float64. Its largest component is positive, so the order of the slices does not depend
        on which way their rows run.
    """
    return _unit(np.cross(np.asarray(orientation[:3]), np.asarray(orientation[3:])))


def plane_of(orientation: Orientation | None) -> str | None:
    """`axial`, `coronal`, `sagittal` or `oblique`; None where the orientation is unknown."""
    if orientation is None:
        return None
    along = np.abs(normal_of(orientation))
    axis = int(np.argmax(along))
    return _PLANES[axis] if along[axis] >= _MOSTLY_ALONG else "oblique"


def _unit(vector: Floats) -> Floats:
    """(3,) of length 1, its largest component positive; as it is where it has no length."""
    largest = vector[np.argmax(np.abs(vector))]
    length = float(np.linalg.norm(vector)) or 1.0
    return np.asarray(vector / (length if largest > 0 else -length), dtype=np.float64)
