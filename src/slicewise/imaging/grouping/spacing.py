"""Distances between the slices of a stack, in plain numbers: repeated positions, gaps, evenness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Floats

_SAME_MM = 0.05  # apart: rounding of positions is below, distances of slices are above
_NOISE = 0.01  # of a distance, beside `_SAME_MM`
_GAP = 1.5  # times the usual distance
_FEWEST = 3  # slices whose distances can be even


@dataclass(frozen=True, slots=True)
class Levels:
    """Where slices lie along their normal; slices at one position share a level."""

    heights: Floats  # (L,) mm, rising
    counts: Sequence[int]  # (L,) slices at each
    of: Sequence[int]  # (N,) level of each slice, in the order in which they were given

    @property
    def most(self) -> int:
        """Slices at the position that has most of them."""
        return max(self.counts)

    @property
    def repeated(self) -> int:
        """Slices beyond the first at every position."""
        return sum(self.counts) - len(self.counts)

    @property
    def is_even(self) -> bool:
        """Whether each slice has a position of its own and all lie equally far apart."""
        enough = len(self.counts) >= _FEWEST and not self.repeated
        return enough and bool(_usual(np.diff(self.heights)).all())

    @property
    def typical(self) -> float:
        """The usual distance, mm; there are two levels at least."""
        return _typical(np.diff(self.heights))


def levels_of(heights: Sequence[float]) -> Levels:
    """Put slices (N, at least one) at levels; `heights` in mm along the normal, in any order."""
    values = np.asarray(heights, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    rising = values[order]
    level = np.concatenate([[0], np.cumsum(np.diff(rising) > _SAME_MM)])
    of = np.empty_like(level)
    of[order] = level
    starts = np.flatnonzero(np.diff(level, prepend=-1))
    return Levels(rising[starts], np.bincount(level).tolist(), of.tolist())


def distance_notes(levels: Levels) -> list[str]:
    """What is unusual of the distances in a stack, in sentences; nothing where they are even."""
    return [*_repeated_note(levels), *_distance_note(np.diff(levels.heights))]


def _repeated_note(levels: Levels) -> list[str]:
    shared = [count for count in levels.counts if count > 1]
    if not shared:
        return []
    places = "one position" if len(shared) == 1 else f"{len(shared)} positions"
    return [f"{sum(shared)} slices share {places}"]


def _distance_note(distances: Floats) -> list[str]:
    """Slices are missing where some distances are longer and all others are even."""
    if len(distances) < _FEWEST - 1 or (usual := _usual(distances)).all():
        return []
    typical, others = _typical(distances), distances[~usual]
    multiples = np.abs(others / typical - np.round(others / typical)) < 0.05
    if others.min() < _GAP * typical or not (2 * len(others) < len(distances) or multiples.all()):
        return [f"distances between slices vary from {_range(distances)} mm"]
    gaps = "1 gap" if len(others) == 1 else f"{len(others)} gaps"
    return [f"{gaps} of {_range(others)} mm where slices lie {_mm(typical)} mm apart"]


def _usual(distances: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which distances are the typical one, but for rounding."""
    typical = _typical(distances)
    return np.asarray(np.abs(distances - typical) <= _SAME_MM + _NOISE * typical)


def _typical(distances: Floats) -> float:
    """The median, of two the shorter: where every other slice is missing, that is not the gap."""
    return float(np.sort(distances)[(len(distances) - 1) // 2])


def _range(distances: Floats) -> str:
    shortest, longest = _mm(distances.min()), _mm(distances.max())
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _mm(distance: float) -> str:
    return f"{distance:.1f}" if distance < 1e4 else f"{distance:.1e}"
