"""Everything of a phantom head outside the brain: skin, fat, muscle, bone, face and neck."""

from __future__ import annotations

from functools import reduce

import numpy as np

from slicewise.synthetic.phantom.geometry import (
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
from slicewise.synthetic.phantom.tissue import AIR, BONE, FAT, MARROW, MUSCLE, Scene

SINUSES: tuple[tuple[Vector, Vector], ...] = (
    ((0, -24, -45), (12, 11, 8)),
    ((7, -90, -4), (7, 4, 9)),
    ((27, -56, -64), (12, 16, 13)),
    ((9, -48, -34), (6, 18, 7)),
    ((56, 24, -46), (8, 9, 9)),
)
PHARYNX: Path = (((0, -28, -62), 6.0), ((0, -12, -84), 5.0), ((0, -8, -220), 5.5))
CLIVUS: Path = (((0, -3, -36), 3.0), ((0, 1, -48), 4.0), ((0, 9, -64), 3.0))
PETROUS: Path = (((15, 2, -42), 4.0), ((36, 13, -41), 8.0), ((58, 20, -42), 11.0))


def cranial_cavity(points: Points) -> Array:
    """Signed distance to the inside of the skull, mm."""
    folded = points.mirrored()
    vault = np.maximum(ellipsoid(points, (0, 2, 8), (66, 86, 66)), -(points.z + 21 + points.y / 18))
    temporal = ellipsoid(folded, (36, -10, -22), (25, 34, 24))
    posterior = ellipsoid(points, (0, 42, -36), (53, 39, 33))
    sella = ellipsoid(points, (0, -14, -24), (9, 7, 9))
    canal = tube(points, (((0, 26, -60), 10.0), ((0, 30, -90), 8.5), ((0, 30, -220), 8.0)))
    base = join(temporal, posterior, 6.0)
    space = join(join(join(vault, base, 6.0), sella, 3.0), canal, 6.0)
    return np.maximum(space, -tube(folded, PETROUS))


def head_outline(points: Points, scalp_mm: float) -> Array:
    """Signed distance to the skin, mm."""
    folded = points.mirrored()
    crown = ellipsoid(points, (0, 2, 8), (73 + scalp_mm, 93 + scalp_mm, 73 + scalp_mm))
    parts = (
        ellipsoid(points, (0, 36, -30), (66, 57, 50)),
        ellipsoid(points, (0, -36, -36), (67, 56, 44)),
        ellipsoid(points, (0, -42, -72), (58, 52, 56)),
        ellipsoid(points, (0, -56, -112), (42, 38, 30)),
        ellipsoid(points, (0, -88, -94), (22, 13, 15)),
        tube(points, (((0, -88, -36), 6.0), ((0, -103, -63), 9.0))),
        tube(points, (((0, 10, -70), 56.0), ((0, 18, -220), 54.0))),
        ellipsoid(folded, (80, 14, -36), (4, 12, 20)),
    )
    return reduce(lambda a, b: join(a, b, 14.0), parts, crown)


def paint_outside(scene: Scene) -> None:
    """Draw skin, fat, muscle, face, neck and skull; the brain comes on top."""
    image, points, fields = scene.image, scene.points, scene.fields
    skin = head_outline(points, scene.head.scalp_mm) + 0.6 * fields["coarse"]
    paint(image, 0.5, inside(skin))
    paint(image, FAT + 0.05 * fields["medium"] + 0.03 * fields["fine"], inside(skin + 1.3))
    flesh = MUSCLE + 0.05 * fields["medium"] + 0.04 * fields["fine"]
    septa = ramp(np.abs(fields["fold"]), 0.5, 0.0) * ramp(fields["vessel"], -0.6, 1.2)
    paint(image, flesh + 0.24 * septa, inside(np.maximum(skin + 8.0, points.z + 24), 2.5))
    temporalis = ellipsoid(scene.folded, (70, -34, -20), (6.0, 30, 42))
    paint(image, flesh, inside(np.maximum(temporalis, skin + 3.0)))
    _paint_face(scene, flesh)
    _paint_skull(scene)


def _paint_skull(scene: Scene) -> None:
    image, points, fields = scene.image, scene.points, scene.fields
    thick = scene.head.skull_mm * (0.45 + 0.55 * ramp(points.z, -36, -6))
    paint(image, BONE, inside(scene.cavity - thick))
    paint(image, BONE + 0.03 * fields["fine"], inside(tube(scene.folded, PETROUS)))
    diploe = np.abs(scene.cavity - thick / 2) - thick / 5
    marrow = 0.24 + 0.06 * fields["fine"]
    paint(image, marrow, inside(diploe) * ramp(fields["medium"], -1.6, 0.4))
    paint(image, MARROW + 0.05 * fields["fine"], inside(tube(points, CLIVUS)))
    for center, radii in SINUSES:
        sinus = ellipsoid(scene.folded, center, radii)
        outside = inside(-scene.cavity)
        paint(image, 0.5, inside(sinus) * outside)
        paint(image, AIR, inside(sinus + 1.2) * outside)


def _paint_face(scene: Scene, flesh: Array) -> None:
    image, points, fields = scene.image, scene.points, scene.fields
    tongue = ellipsoid(points, (0, -54, -106), (23, 32, 19))
    paint(image, flesh + 0.08, inside(tongue, 2.0))
    gap = np.maximum(np.abs(tongue - 1.5) - 0.7, -96 - points.z)
    paint(image, 0.08, inside(gap, 1.2))
    for center, radii in (((14, -76, -124), (14, 7, 7)), ((44, -40, -104), (5, 10, 26))):
        jaw = ellipsoid(scene.folded, center, radii)
        paint(image, BONE, inside(jaw - 1.8, 1.2))
        paint(image, 0.55, inside(jaw, 1.2))
    paint(image, BONE, inside(ellipsoid(points, (0, -82, -94), (20, 5, 9)), 1.5))
    nose = ellipsoid(points, (0, -62, -58), (15, 34, 18))
    paint(image, 0.07 + 0.45 * ramp(fields["fold"], 0.0, 0.7), inside(nose, 1.5))
    paint(image, AIR, inside(tube(points, PHARYNX), 1.0))
    _paint_orbit(scene)
    _paint_spine(scene)


def _paint_orbit(scene: Scene) -> None:
    image, folded = scene.image, scene.folded
    paint(image, FAT, inside(ellipsoid(folded, (29, -54, -37), (16, 25, 14))))
    for side in (-9.0, 9.0):
        muscle: Path = (((31 + side, -68, -37), 1.6), ((26 + side / 2, -46, -37), 2.4))
        paint(image, 0.52, inside(tube(folded, (*muscle, ((18, -32, -33), 1.2)))))
    paint(image, 0.34, inside(tube(folded, (((32, -64, -37), 2.2), ((14, -26, -27), 2.2)))))
    eye = ellipsoid(folded, (32, -73, -37), (12, 12, 12))
    paint(image, 0.5, inside(eye))
    paint(image, 0.13, inside(eye + 1.3))
    paint(image, 0.3, inside(ellipsoid(folded, (32, -81, -37), (5, 2, 5))))


def _paint_spine(scene: Scene) -> None:
    image, points = scene.image, scene.points
    below = points.z + 98.0
    level = below - 17.0 * np.round(below / 17.0)
    stacked = Points(points.x, points.y, level)
    cervical = inside(points.z + 76)
    body = np.maximum(ellipsoid(stacked, (0, 14, 0), (12, 8.5, 40)), np.abs(level) - 7.0)
    paint(image, 0.2, cervical * inside(ellipsoid(stacked, (0, 14, 0), (13, 9, 200))))
    paint(image, MARROW, cervical * inside(body, 1.0))
    paint(image, MARROW, cervical * inside(ellipsoid(stacked, (0, 50, 0), (5, 12, 4.5)), 1.5))
