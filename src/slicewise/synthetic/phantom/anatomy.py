"""A phantom head without lesion: a cartoon of healthy anatomy as T1 after contrast shows it.

Shapes are ellipsoids, tubes and random fields in millimetres, so that any cut through one head
fits its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from slicewise.synthetic.phantom.brain import paint_brain, paint_vessels
from slicewise.synthetic.phantom.geometry import Array, Cut, Points, Vector, ellipsoid, ramp
from slicewise.synthetic.phantom.skull import cranial_cavity, paint_outside
from slicewise.synthetic.phantom.tissue import AIR, Head, Scene, draw_fields


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
class Anatomy:
    """A drawn head and what a lesion must know of it.

    Args:
        scene: The picture with its shapes, undisplaced.
        brain: (H, W) float32 depth below the surface of the folded brain, mm.
    """

    scene: Scene
    brain: Array


def paint_head(cut: Cut, head: Head, mass: Mass | None) -> Anatomy:
    """Draw a head without lesion, its brain displaced by `mass`."""
    raw = cut.points()
    points = Points(raw.x / head.stretch[0], raw.y / head.stretch[1], raw.z / head.stretch[2])
    fields = draw_fields(cut, head.texture_seed)
    scene = Scene(
        image=np.full(points.x.shape, AIR, dtype=np.float32),
        points=points,
        folded=points.mirrored(),
        cavity=cranial_cavity(points) + head.lopsided_mm * fields["coarse"],
        open_sulci=_open_sulci(points, mass),
        fields=fields,
        head=head,
    )
    paint_outside(scene)
    moved = points if mass is None else points.pushed_from(mass.center, mass.push_mm, mass.reach_mm)
    displaced = replace(scene, points=moved, folded=moved.mirrored())
    brain = paint_brain(displaced)
    paint_vessels(displaced)
    return Anatomy(scene, brain)


def _open_sulci(points: Points, mass: Mass | None) -> Array:
    if mass is None:
        return np.ones_like(points.x)
    away = ellipsoid(points, mass.center, (1.0, 1.0, 1.0))
    return ramp(away, 0.5 * mass.reach_mm, 1.6 * mass.reach_mm)
