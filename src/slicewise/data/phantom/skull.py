"""Everything of a phantom head outside the brain: skin, fat, muscle, bone, face and neck."""

from __future__ import annotations

from functools import reduce

import numpy as np

from slicewise.data.phantom.geometry import (
    Array,
    Path,
    Points,
    Vector,
    ellipsoid,
    inside,
    join,
    paint,
    ramp,
    tube,
)
from slicewise.data.phantom.tissue import AIR, BONE, FAT, MARROW, MUSCLE, Head

SINUSES: tuple[tuple[Vector, Vector], ...] = (
    ((0, -24, -45), (12, 11, 8)),
    ((7, -91, -6), (8, 5, 10)),
    ((27, -60, -62), (12, 16, 14)),
    ((10, -50, -32), (7, 18, 8)),
    ((56, 22, -44), (9, 10, 9)),
)
PHARYNX: Path = (((0, -28, -62), 7.0), ((0, -10, -84), 6.0), ((0, -6, -220), 6.5))


def cranial_cavity(points: Points) -> Array:
    """Signed distance to the inside of the skull, mm."""
    folded = points.mirrored()
    vault = np.maximum(ellipsoid(points, (0, 2, 8), (66, 86, 66)), -(points.z + 21))
    temporal = ellipsoid(folded, (36, -12, -22), (25, 34, 24))
    posterior = ellipsoid(points, (0, 42, -38), (52, 38, 32))
    sella = ellipsoid(points, (0, -14, -24), (9, 7, 9))
    canal = tube(points, (((0, 26, -60), 10.0), ((0, 30, -90), 8.5), ((0, 30, -220), 8.0)))
    base = join(temporal, posterior, 6.0)
    return join(join(join(vault, base, 6.0), sella, 3.0), canal, 6.0)


def head_outline(points: Points, scalp_mm: float) -> Array:
    """Signed distance to the skin, mm."""
    folded = points.mirrored()
    crown = ellipsoid(points, (0, 2, 8), (73 + scalp_mm, 93 + scalp_mm, 73 + scalp_mm))
    parts = (
        ellipsoid(points, (0, 36, -30), (66, 56, 50)),
        ellipsoid(points, (0, -42, -66), (60, 56, 60)),
        ellipsoid(points, (0, -58, -112), (42, 38, 30)),
        ellipsoid(points, (0, -92, -94), (22, 13, 15)),
        tube(points, (((0, -94, -34), 6.0), ((0, -114, -66), 9.0))),
        tube(points, (((0, 12, -70), 54.0), ((0, 20, -220), 52.0))),
        ellipsoid(folded, (80, 12, -36), (5, 12, 22)),
    )
    return reduce(lambda a, b: join(a, b, 14.0), parts, crown)


def paint_outside(
    image: Array, points: Points, cavity: Array, head: Head, fields: dict[str, Array]
) -> None:
    skin = head_outline(points, head.scalp_mm) + 0.6 * fields["coarse"]
    paint(image, 0.5, inside(skin))
    paint(image, FAT + 0.05 * fields["medium"], inside(skin + 1.3))
    flesh = MUSCLE + 0.07 * fields["medium"] + 0.05 * fields["fine"]
    streaks = flesh + (0.35 - 0.1 * fields["fine"]) * ramp(np.abs(fields["fold"]), 0.45, 0.05)
    paint(image, streaks, inside(np.maximum(skin + 9.0, points.z + 24), 2.5))
    folded = points.mirrored()
    paint(image, flesh, inside(ellipsoid(folded, (70, -36, -18), (6.5, 30, 40))))
    _paint_face(image, points, folded, fields)
    bone = cavity - head.skull_mm
    paint(image, BONE, inside(bone))
    diploe = np.abs(cavity - head.skull_mm / 2) - head.skull_mm / 5
    paint(image, 0.22 + 0.06 * fields["fine"], inside(diploe) * ramp(fields["medium"], -1.6, 0.4))
    paint(image, MARROW + 0.06 * fields["fine"], inside(_clivus(points)))
    for center, radii in SINUSES:
        sinus = ellipsoid(folded, center, radii)
        paint(image, 0.5, inside(sinus) * inside(-cavity))
        paint(image, AIR, inside(sinus + 1.0) * inside(-cavity))


def _clivus(points: Points) -> Array:
    return tube(points, (((0, -3, -36), 3.0), ((0, 1, -48), 4.0), ((0, 9, -64), 3.0)))


def _paint_face(image: Array, points: Points, folded: Points, fields: dict[str, Array]) -> None:
    tongue = ellipsoid(points, (0, -54, -106), (24, 32, 19))
    paint(image, 0.36 + 0.05 * fields["medium"], inside(tongue))
    paint(image, AIR, inside(np.abs(ellipsoid(points, (0, -56, -104), (27, 36, 22))) - 0.8))
    for center, radii in (((16, -78, -122), (14, 8, 8)), ((44, -40, -104), (5, 10, 26))):
        jaw = ellipsoid(folded, center, radii)
        paint(image, BONE, inside(jaw - 2.0))
        paint(image, 0.6, inside(jaw))
    paint(image, BONE, inside(ellipsoid(points, (0, -86, -94), (20, 5, 11))))
    nose = ellipsoid(points, (0, -66, -58), (15, 34, 19))
    paint(image, 0.08 + 0.5 * ramp(fields["fold"], 0.0, 0.5), inside(nose, 1.5))
    paint(image, AIR, inside(tube(points, PHARYNX)))
    _paint_orbit(image, folded)
    _paint_spine(image, points)


def _paint_orbit(image: Array, folded: Points) -> None:
    paint(image, FAT, inside(ellipsoid(folded, (29, -60, -36), (16, 25, 15))))
    for side in (-9.0, 9.0):
        muscle: Path = (((31 + side, -74, -36), 1.6), ((26 + side / 2, -52, -36), 2.4))
        paint(image, 0.55, inside(tube(folded, (*muscle, ((18, -36, -32), 1.2)))))
    paint(image, 0.34, inside(tube(folded, (((32, -70, -36), 2.2), ((14, -30, -26), 2.2)))))
    eye = ellipsoid(folded, (32, -79, -36), (12, 12, 12))
    paint(image, 0.5, inside(eye))
    paint(image, 0.13, inside(eye + 1.3))
    paint(image, 0.3, inside(ellipsoid(folded, (32, -87, -36), (5, 2, 5))))


def _paint_spine(image: Array, points: Points) -> None:
    below = points.z + 98.0
    level = below - 17.0 * np.round(below / 17.0)
    stacked = Points(points.x, points.y, level)
    cervical = inside(points.z + 76)
    body = np.maximum(ellipsoid(stacked, (0, 14, 0), (12, 8.5, 40)), np.abs(level) - 7.0)
    paint(image, 0.2, cervical * inside(ellipsoid(stacked, (0, 14, 0), (13, 9, 200))))
    paint(image, MARROW, cervical * inside(body))
    paint(image, MARROW, cervical * inside(ellipsoid(stacked, (0, 50, 0), (5, 12, 4.5))))
