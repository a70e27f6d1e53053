"""Slices of one series to volumes: one for each orientation, in order along its normal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from slicewise.imaging.slice import Orientation, Series, Slice

_SAME_ORIENTATION = 0.02  # of a direction cosine, about one degree
_MOSTLY_ALONG = 0.8  # cosine of 37 degrees: tilted head scans still have a plane
_PLANES = ("sagittal", "coronal", "axial")  # by the patient axis (L, P, S) of the normal


def split_series(slices: Sequence[Slice], source: str) -> list[Series]:
    """Divide the slices of one series by orientation and order each part.

    Args:
        slices: Slices that share a Series Instance UID, in order of acquisition. That order stays
            where two slices have one position (echoes, time points) and where there is none.
        source: What to call the series; several parts add their plane to it.

    Returns:
        One series for each orientation, by the order of their first slices.
    """
    parts = _by_orientation(slices)
    planes = [plane_of(part[0].orientation) for part in parts]
    names = [source] if len(parts) == 1 else _numbered(source, planes)
    return [
        Series(along_normal(part), name, is_volume=len(part) > 1, plane=plane)
        for part, name, plane in zip(parts, names, planes, strict=True)
    ]


def _numbered(source: str, planes: Sequence[str | None]) -> list[str]:
    """A name for each part; several parts of one plane are counted."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for plane in planes:
        label = plane or "unknown plane"
        seen[label] += 1
        names.append(f"{source} [{label}{f' {seen[label]}' if seen[label] > 1 else ''}]")
    return names


def along_normal(slices: Sequence[Slice]) -> list[Slice]:
    """Slices of one orientation, from the lowest to the highest along their normal.

    Args:
        slices: Slices of one orientation. They keep their order unless all of them have a position.
    """
    first = slices[0].orientation
    positions = [slice_.position_mm for slice_ in slices if slice_.position_mm is not None]
    if first is None or len(positions) < len(slices):
        return list(slices)
    heights = np.asarray(positions) @ normal_of(first)
    order = np.argsort(np.round(heights, 3), kind="stable")  # a micrometre is no distance
    return [slices[index] for index in order]


def normal_of(orientation: Orientation) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Unit normal of a slice (PS3.3 C.7.6.2.1.1), made to point left, posterior or superior.

    Returns:
        (3,) float64. Its largest component is positive, so the order of the slices does not depend
        on which way their rows run.
    """
    row, column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    normal = np.cross(row, column)
    largest = normal[np.argmax(np.abs(normal))]
    unit = normal / np.linalg.norm(normal)
    return np.asarray(unit if largest > 0 else -unit, dtype=np.float64)


def plane_of(orientation: Orientation | None) -> str | None:
    """`axial`, `coronal`, `sagittal` or `oblique`; None where the orientation is unknown."""
    if orientation is None:
        return None
    along = np.abs(normal_of(orientation))
    axis = int(np.argmax(along))
    return _PLANES[axis] if along[axis] >= _MOSTLY_ALONG else "oblique"


def _by_orientation(slices: Sequence[Slice]) -> list[list[Slice]]:
    parts: list[list[Slice]] = []
    for slice_ in slices:
        part = next((p for p in parts if _same(p[0].orientation, slice_.orientation)), None)
        if part is None:
            parts.append([slice_])
        else:
            part.append(slice_)
    return parts


def _same(a: Orientation | None, b: Orientation | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.max(np.abs(np.subtract(a, b))) < _SAME_ORIENTATION)
