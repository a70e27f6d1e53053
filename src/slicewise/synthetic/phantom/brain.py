"""What the skull of a phantom holds: cerebrum, ventricles, cerebellum, membranes, vessels."""

from __future__ import annotations

import numpy as np

from slicewise.synthetic.phantom.geometry import (
    Array,
    Path,
    Points,
    ellipsoid,
    inside,
    join,
    paint,
    ramp,
    tube,
)
from slicewise.synthetic.phantom.tissue import (
    DURA,
    FIELD_WAVELENGTHS_MM,
    FLUID,
    GLAND,
    GREY,
    VESSEL,
    WHITE,
    Scene,
)

LATERAL_VENTRICLE: Path = (
    ((9, -36, 9), 2.2),
    ((9, -16, 20), 4.6),
    ((11, 10, 25), 4.6),
    ((19, 32, 17), 6.0),
    ((24, 50, 8), 3.5),
    ((24, 62, 6), 1.5),
)
TEMPORAL_HORN: Path = (((22, 32, 14), 5.0), ((30, 16, -12), 2.6), ((29, -8, -23), 1.8))
CALLOSUM: Path = (
    ((0, -30, 2), 3.0),
    ((0, -42, 12), 5.0),
    ((0, -30, 26), 4.0),
    ((0, -4, 33), 3.6),
    ((0, 22, 28), 4.0),
    ((0, 34, 16), 5.5),
)
BRAINSTEM: Path = (
    ((0, 4, -8), 10.0),
    ((0, 11, -20), 9.0),
    ((0, 13, -34), 12.0),
    ((0, 18, -46), 9.0),
    ((0, 25, -62), 6.5),
    ((0, 30, -84), 5.0),
    ((0, 30, -220), 5.0),
)
ARTERIES: tuple[Path, ...] = (
    (((14, -12, -40), 1.6), ((14, -14, -30), 1.8), ((10, -15, -19), 1.6), ((36, -16, -15), 1.1)),
    (((9, -15, -19), 1.2), ((2, -28, -15), 1.0), ((2, -46, -4), 0.9), ((2, -52, 12), 0.8)),
    (((2, -52, 12), 0.8), ((2, -42, 30), 0.8), ((2, -20, 40), 0.7)),
    (((0, 0, -44), 1.5), ((0, -1, -18), 1.5), ((18, 10, -16), 1.0), ((24, 34, -8), 0.8)),
)
DEEP_VEINS: tuple[Path, ...] = (
    (((3, -12, 9), 0.7), ((3, 14, 8), 0.9), ((0, 28, 6), 1.8), ((0, 46, -16), 2.2)),
    (((0, 46, -16), 2.2), ((0, 72, -25), 2.8)),
)
JUGULAR: Path = (((26, 72, -28), 2.8), ((52, 46, -34), 3.0), ((44, 26, -50), 3.0))


def paint_brain(scene: Scene) -> Array:
    """Draw brain and fluid; returns the depth below the surface of the folded brain, mm."""
    image, points, fields = scene.image, scene.points, scene.fields
    dura = DURA - 0.3 * ramp(fields["medium"], 0.8, -1.2)
    paint(image, dura, inside(scene.cavity))
    paint(image, FLUID + 0.015 * fields["medium"], inside(scene.cavity + 1.0))
    above = points.z - _tentorium(points)
    cerebrum, cortex = _cerebrum(scene, above)
    grey = WHITE - (WHITE - GREY) * scene.head.contrast + 0.012 * fields["fine"]
    paint(image, grey, inside(-cortex))
    paint(image, WHITE + 0.008 * fields["fine"] + 0.01 * fields["medium"], inside(3 - cortex, 1.2))
    callosum = tube(Points(points.x * 0.3, points.y, points.z), CALLOSUM)
    paint(image, WHITE + 0.035, inside(callosum, 1.2) * inside(-cerebrum - 3))
    for center, radii in (((9, 5, 5), (8, 15, 9)), ((25, -8, 5), (5, 17, 9))):
        paint(image, grey, inside(ellipsoid(scene.folded, center, radii), 1.5))
    _paint_ventricles(scene)
    hindbrain = _paint_hindbrain(scene, above)
    _paint_membranes(scene, above)
    return np.maximum(cortex, hindbrain)


def _tentorium(points: Points) -> Array:
    """Height of the tent over the cerebellum, mm; far below everything in front of it."""
    slope = -9 - 0.34 * np.maximum(points.y - 20, 0) - 0.22 * np.abs(points.x)
    height: Array = np.where(points.y > 11, slope, slope - 6 * (11 - points.y))
    return height


def _within_sagittal(points: Points, length_mm: float, height_mm: float) -> Array:
    """Signed distance to an oval seen from the side, whatever the distance from the midline, mm."""
    flat = Points(np.zeros_like(points.x), points.y, points.z)
    return ellipsoid(flat, (0, -3, 6), (1e3, length_mm, height_mm))


def _cerebrum(scene: Scene, above: Array) -> tuple[Array, Array]:
    """Depth below the smooth surface of the cerebrum, and below its folded one, mm."""
    points, opening = scene.points, scene.head.sulci_mm * scene.open_sulci
    cisterns = join(
        ellipsoid(points, (0, -6, -25), (17, 25, 14)),
        ellipsoid(points, (0, 20, -10), (13, 7, 7)),
        3,
    )
    stem = ellipsoid(points, (0, 20, -60), (60, 60, 34))
    tent = np.where(points.y > -6, above - 1.2, 99.0)
    middle = -_within_sagittal(points, 42, 28)
    fissure = np.maximum(np.abs(points.x) - (0.9 + 0.5 * scene.head.sulci_mm), middle)
    smooth = np.minimum.reduce(
        [-scene.cavity - 1.8, tent, cisterns, np.maximum(stem, above), fissure]
    )
    bend = 0.3 * points.y - 0.25 * (scene.folded.x - 45) + 2.0 * scene.fields["medium"]
    tilted = Points(scene.folded.x, points.y, points.z - bend)
    sylvian = ellipsoid(tilted, (50, -6, -2), (19, 29, 1.2 + scene.head.sulci_mm))
    to_wall = np.abs(scene.fields["fold"]) * (FIELD_WAVELENGTHS_MM["fold"] / (2 * np.pi))
    sulcus = to_wall + 0.55 * np.maximum(smooth - 11, 0) - opening
    deep = ellipsoid(points, (0, -3, 6), (26, 46, 30))
    sulcus += 2 * np.maximum(-deep, 0)
    return smooth, np.minimum.reduce([smooth, sylvian, sulcus])


def _paint_ventricles(scene: Scene) -> None:
    image, points, folded = scene.image, scene.points, scene.folded
    growth = 4.0 * (scene.head.ventricles - 1)
    # Frontal horns lean outwards and are higher than wide: look them up in leaning coordinates.
    lean = Points(1.35 * (folded.x - 0.45 * (points.z - 16)), points.y, 0.85 * points.z)
    horns = tuple(
        ((1.35 * (x - 0.45 * (z - 16)), y, 0.85 * z), radius)
        for (x, y, z), radius in LATERAL_VENTRICLE
    )
    lateral = np.maximum(tube(lean, horns) - growth, 0.9 - folded.x)
    paint(image, FLUID, inside(np.minimum(lateral, tube(folded, TEMPORAL_HORN) - growth / 2)))
    third = ellipsoid(points, (0, -1, 0), (1.6 * scene.head.ventricles, 13, 10))
    paint(image, FLUID, inside(third))
    plexus = tube(folded, (((12, 12, 20), 1.0), ((20, 32, 13), 2.4), ((28, 22, -2), 1.2)))
    fine = scene.fields["fine"]
    paint(image, 0.62 + 0.1 * fine, inside(plexus + 0.6 * fine))


def _paint_hindbrain(scene: Scene, above: Array) -> Array:
    """Draw cerebellum and brainstem; returns the depth below their surface, mm."""
    image, points, folded, fields = scene.image, scene.points, scene.folded, scene.fields
    lobes = join(
        ellipsoid(folded, (22, 45, -37), (29, 33, 25)),
        ellipsoid(points, (0, 48, -36), (14, 26, 24)),
        8,
    )
    depth: Array = -np.maximum.reduce([lobes, scene.cavity + 2.0, above + 2.0])
    radius = np.sqrt(folded.x**2 * 0.5 + (points.y - 24) ** 2 + (points.z + 34) ** 2)
    folia = np.abs(np.sin(radius * (np.pi / 4.6) + 1.1 * fields["medium"]))
    leaves = ramp(folia, 0.35, 0.05) * ramp(depth, 15, 3)
    paint(image, GREY + 0.015 - 0.14 * leaves + 0.01 * fields["fine"], inside(-depth))
    core = ellipsoid(folded, (15, 42, -38), (15, 11, 7))
    paint(image, WHITE, inside(core + 1.5 * fields["medium"], 2.5) * inside(-depth))
    stem = tube(points, BRAINSTEM)
    peduncle = tube(folded, (((5, 18, -34), 8.0), ((22, 32, -38), 6.0)))
    paint(image, WHITE - 0.015 + 0.008 * fields["fine"], inside(join(stem, peduncle, 4.0)))
    paint(image, FLUID, inside(ellipsoid(points, (0, 30, -37), (6, 4.5, 9))))
    paint(image, FLUID, inside(tube(points, (((0, 8, -4), 1.2), ((0, 18, -18), 1.2)))))
    return np.maximum(depth, -stem)


def _paint_membranes(scene: Scene, above: Array) -> None:
    """Falx, tentorium, optic chiasm, pituitary stalk and gland."""
    image, points, cavity = scene.image, scene.points, scene.cavity
    arch = -_within_sagittal(points, 50, 38)
    falx = np.maximum.reduce([np.abs(points.x) - 0.6, arch, cavity, 8 - above])
    paint(image, DURA + 0.06, inside(falx))
    notch = ellipsoid(points, (0, 14, -14), (22, 26, 30))
    tent = np.maximum.reduce([np.abs(above) - 0.6, -notch, cavity, 16 - points.y])
    paint(image, DURA, inside(tent))
    paint(image, GREY, inside(ellipsoid(points, (0, -16, -13), (9, 4, 1.8))))
    paint(image, GLAND, inside(tube(points, (((0, -12, -12), 0.9), ((0, -13, -23), 1.1)))))
    paint(image, GLAND, inside(ellipsoid(points, (0, -14, -27), (7, 5, 3.4))))


def paint_vessels(scene: Scene) -> None:
    """Draw enhancing sinuses, arteries and the small vessels that run in the sulci."""
    image, points, fields = scene.image, scene.points, scene.fields
    vault = ellipsoid(points, (0, 2, 8), (66, 86, 66))
    wedge = np.abs(points.x) - np.clip(1.0 - 0.6 * vault, 0.5, 2.6 + points.y / 60)
    sagittal = np.maximum.reduce([wedge, -vault - 5.5, scene.cavity, -4 - points.z])
    paint(image, VESSEL, inside(sagittal))
    paint(image, VESSEL, inside(np.maximum(tube(scene.folded, JUGULAR), scene.cavity - 1)))
    for path in ARTERIES + DEEP_VEINS:
        paint(image, VESSEL - 0.12, inside(tube(scene.folded, path)))
    thread = np.hypot(fields["fold"], fields["vessel"] - 0.3)
    shallow = ramp(-scene.cavity, 0.5, 2.0) * ramp(-scene.cavity, 22, 12)
    paint(image, VESSEL - 0.12, ramp(thread, 0.19, 0.07) * shallow)
