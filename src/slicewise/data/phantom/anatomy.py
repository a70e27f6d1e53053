"""A phantom head without lesion: a cartoon of healthy anatomy as T1 after contrast shows it.

Shapes are ellipsoids, tubes and random fields in millimetres, so that any cut through one head
fits its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slicewise.data.phantom.brain import paint_brain, paint_vessels
from slicewise.data.phantom.geometry import Array, Cut, Points, Vector, ellipsoid, ramp
from slicewise.data.phantom.skull import cranial_cavity, paint_outside
from slicewise.data.phantom.tissue import AIR, Head, draw_fields


@dataclass(frozen=True, slots=True)
class Mass:
    """How a lesion displaces what is around it.

    Args:
        center: Middle of the lesion, mm.
        push_mm: Largest displacement, mm.
        reach_mm: Distance over which it fades, mm.
    """

    center: Vector
    push_mm: float
    reach_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A picture in the making and the shapes that a lesion must know of.

    Args:
        image: (H, W) float32 signal.
        points: Position of every pixel in the standard head, mm.
        cavity: (H, W) float32 signed distance to the inside of the skull, mm.
        brain: (H, W) float32 depth below the surface of the brain, sulci included, mm.
        fields: Random fields on this cut by feature size: `coarse`, `fold`, `medium`, `fine`.
    """

    image: Array
    points: Points
    cavity: Array
    brain: Array
    fields: dict[str, Array]


def paint_head(cut: Cut, head: Head, mass: Mass | None) -> Canvas:
    """Draw a head without lesion on a cut."""
    fields = draw_fields(cut, head.texture_seed)
    raw = cut.points()
    points = Points(raw.x / head.stretch[0], raw.y / head.stretch[1], raw.z / head.stretch[2])
    cavity = cranial_cavity(points) + head.lopsided_mm * fields["coarse"]
    image = np.full(points.x.shape, AIR, dtype=np.float32)
    paint_outside(image, points, cavity, head, fields)
    moved = points if mass is None else points.pushed_from(mass.center, mass.push_mm, mass.reach_mm)
    brain = paint_brain(image, moved, cavity, head, fields, _openness(points, mass))
    paint_vessels(image, moved, cavity, fields)
    return Canvas(image, points, cavity, brain, fields)


def _openness(points: Points, mass: Mass | None) -> float | Array:
    """1 where sulci are open, towards 0 where a mass presses them shut."""
    if mass is None:
        return 1.0
    away = ellipsoid(points, mass.center, (1.0, 1.0, 1.0))
    return ramp(away, 0.5 * mass.reach_mm, 1.6 * mass.reach_mm)
