"""What the skull of a phantom holds: cerebrum, ventricles, cerebellum, membranes, vessels."""

from __future__ import annotations

import numpy as np

from slicewise.data.phantom.geometry import (
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
from slicewise.data.phantom.tissue import (
    DURA,
    FIELD_WAVELENGTHS_MM,
    FLUID,
    GLAND,
    GREY,
    VESSEL,
    WHITE,
    Head,
)

LATERAL_VENTRICLE: Path = (
    ((10, -36, 9), 3.0),
    ((9, -16, 20), 5.0),
    ((11, 10, 25), 5.0),
    ((20, 32, 17), 6.0),
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
    ((0, 13, -34), 12.5),
    ((0, 18, -46), 9.0),
    ((0, 25, -62), 6.5),
    ((0, 30, -84), 5.0),
    ((0, 30, -220), 5.0),
)
ARTERIES: tuple[Path, ...] = (
    (((13, -12, -60), 2.2), ((14, -14, -34), 2.4), ((9, -15, -19), 2.2), ((36, -16, -16), 1.6)),
    (((9, -15, -19), 1.8), ((2, -30, -14), 1.4), ((2, -48, 6), 1.2), ((2, -38, 32), 1.2)),
    (((0, 0, -44), 1.8), ((0, 0, -18), 1.8), ((18, 10, -16), 1.3), ((24, 34, -8), 1.1)),
)
JUGULAR: Path = (((26, 70, -28), 3.4), ((52, 46, -34), 3.6), ((44, 26, -50), 3.6))


def paint_brain(
    image: Array,
    points: Points,
    cavity: Array,
    head: Head,
    fields: dict[str, Array],
    openness: float | Array,
) -> Array:
    """Draw what the skull holds; returns the depth below the brain surface, mm."""
    folded = points.mirrored()
    paint(image, DURA, inside(cavity))
    paint(image, FLUID, inside(cavity + 1.0))
    above = points.z - _tentorium(points)
    cerebrum, cortex = _cerebrum(points, folded, cavity, above, head, fields, openness)
    white = WHITE + 0.008 * fields["fine"] + 0.01 * fields["medium"]
    grey = WHITE - (WHITE - GREY) * head.contrast + 0.012 * fields["fine"]
    paint(image, grey, inside(-cortex))
    paint(image, white, inside(3.0 - cortex, 1.2))
    callosum = tube(Points(points.x * 0.3, points.y, points.z), CALLOSUM)
    paint(image, WHITE + 0.04, inside(callosum) * inside(-cerebrum - 3))
    for center, radii in (((9, 5, 5), (8, 15, 9)), ((25, -8, 5), (5, 17, 9))):
        paint(image, grey, inside(ellipsoid(folded, center, radii), 1.5))
    _paint_ventricles(image, points, folded, head.ventricles, fields)
    cerebellum = _paint_hindbrain(image, points, folded, cavity, above, fields)
    _paint_membranes(image, points, cavity, above)
    return np.maximum(cortex, cerebellum)


def _tentorium(points: Points) -> Array:
    """Height of the tent over the cerebellum, mm; far below everything in front of it."""
    slope = -9 - 0.34 * np.maximum(points.y - 20, 0) - 0.22 * np.abs(points.x)
    height: Array = np.where(points.y > 14, slope, slope - 6 * (14 - points.y))
    return height


def _fissure(points: Points, half_width_mm: float | Array) -> Array:
    """Signed distance to the gap between the hemispheres, which ends at the callosum, mm."""
    flat = Points(np.zeros_like(points.x), points.y, points.z)
    middle = ellipsoid(flat, (0, -3, 6), (1e3, 42, 28))
    gap: Array = np.maximum(np.abs(points.x) - half_width_mm, -middle)
    return gap


def _cerebrum(
    points: Points,
    folded: Points,
    cavity: Array,
    above: Array,
    head: Head,
    fields: dict[str, Array],
    openness: float | Array,
) -> tuple[Array, Array]:
    """Depth below the smooth surface of the cerebrum, and below its folded one, mm."""
    cisterns = join(
        ellipsoid(points, (0, -6, -25), (17, 25, 14)),
        ellipsoid(points, (0, 20, -10), (13, 7, 7)),
        3,
    )
    stem = ellipsoid(points, (0, 20, -60), (60, 60, 34))
    tent = np.where(points.y > -6, above - 1.2, 99.0)
    smooth = np.minimum.reduce([-cavity - 1.8, tent, cisterns, np.maximum(stem, above)])
    smooth = np.minimum(smooth, _fissure(points, 0.9 + 0.5 * head.sulci_mm))
    tilted = Points(folded.x, points.y, points.z - 0.3 * points.y)
    sylvian = ellipsoid(tilted, (50, -6, -2), (19, 29, 1.2 + head.sulci_mm))
    to_wall = np.abs(fields["fold"]) * (FIELD_WAVELENGTHS_MM["fold"] / (2 * np.pi))
    sulcus = to_wall + 0.55 * np.maximum(smooth - 11, 0) - head.sulci_mm * openness
    return smooth, np.minimum.reduce([smooth, sylvian, sulcus])


def _paint_ventricles(
    image: Array, points: Points, folded: Points, scale: float, fields: dict[str, Array]
) -> None:
    growth = 4.0 * (scale - 1)
    lateral = np.minimum(tube(folded, LATERAL_VENTRICLE), tube(folded, TEMPORAL_HORN))
    paint(image, FLUID, inside(lateral - growth))
    third = ellipsoid(points, (0, -1, 0), (1.6 * scale, 13, 10))
    paint(image, FLUID, inside(third))
    septum = np.maximum(np.abs(points.x) - 0.5, ellipsoid(points, (0, -8, 17), (40, 26, 9)))
    paint(image, GREY, inside(septum))
    plexus = tube(folded, (((12, 12, 20), 1.0), ((21, 32, 13), 2.6), ((28, 22, -2), 1.2)))
    paint(image, 0.62 + 0.1 * fields["fine"], inside(plexus + 0.6 * fields["fine"]))


def _paint_hindbrain(
    image: Array,
    points: Points,
    folded: Points,
    cavity: Array,
    above: Array,
    fields: dict[str, Array],
) -> Array:
    """Draw cerebellum and brainstem; returns the depth below their surface, mm."""
    lobes = join(
        ellipsoid(folded, (23, 48, -38), (26, 28, 21)),
        ellipsoid(points, (0, 46, -36), (14, 24, 22)),
        8,
    )
    depth: Array = -np.maximum.reduce([lobes, cavity + 2.0, above + 2.0])
    radius = np.sqrt(folded.x**2 * 0.5 + (points.y - 24) ** 2 + (points.z + 34) ** 2)
    folia = np.abs(np.sin(radius * (np.pi / 4.6) + 1.1 * fields["medium"]))
    leaves = ramp(folia, 0.35, 0.05) * ramp(depth, 15, 3)
    paint(image, GREY + 0.01 - 0.15 * leaves + 0.01 * fields["fine"], inside(-depth))
    core = ellipsoid(folded, (15, 42, -38), (15, 11, 7))
    paint(image, WHITE, inside(core + 1.5 * fields["medium"], 2.5) * inside(-depth))
    stem = tube(points, BRAINSTEM)
    peduncle = tube(folded, (((5, 18, -34), 8.0), ((22, 32, -38), 6.0)))
    paint(image, WHITE - 0.015 + 0.008 * fields["fine"], inside(join(stem, peduncle, 4.0)))
    fourth = ellipsoid(points, (0, 30, -37), (6, 4.5, 9))
    paint(image, FLUID, inside(fourth))
    paint(image, FLUID, inside(tube(points, (((0, 8, -4), 1.2), ((0, 18, -18), 1.2)))))
    return np.maximum(depth, -stem)


def _paint_membranes(image: Array, points: Points, cavity: Array, above: Array) -> None:
    """Falx, tentorium, optic chiasm, pituitary stalk and gland."""
    flat = Points(np.zeros_like(points.x), points.y, points.z)
    arch = ellipsoid(flat, (0, -3, 6), (1e3, 50, 38))
    falx = np.maximum.reduce([np.abs(points.x) - 0.6, -arch, cavity, 8 - above])
    paint(image, DURA + 0.06, inside(falx))
    notch = ellipsoid(points, (0, 14, -14), (22, 26, 30))
    tent = np.maximum.reduce([np.abs(above) - 0.6, -notch, cavity, 16 - points.y])
    paint(image, DURA, inside(tent))
    paint(image, GREY, inside(ellipsoid(points, (0, -16, -13), (9, 4, 1.8))))
    paint(image, GLAND, inside(tube(points, (((0, -12, -12), 0.9), ((0, -13, -23), 1.1)))))
    paint(image, GLAND, inside(ellipsoid(points, (0, -14, -27), (7, 5, 3.4))))


def paint_vessels(image: Array, points: Points, cavity: Array, fields: dict[str, Array]) -> None:
    folded = points.mirrored()
    vault = ellipsoid(points, (0, 2, 8), (66, 86, 66))
    wedge = np.abs(points.x) - np.clip(1.2 - 0.7 * vault, 0.5, 5.0)
    sagittal = np.maximum.reduce([wedge, -vault - 6.5, cavity, -4 - points.z])
    paint(image, VESSEL, inside(sagittal))
    paint(image, VESSEL, inside(np.maximum(tube(folded, JUGULAR), cavity - 1)))
    for path in ARTERIES:
        paint(image, VESSEL - 0.1, inside(tube(folded, path)))
    thread = np.hypot(fields["fold"], fields["vessel"] - 0.3)
    shallow = ramp(-cavity, 0.5, 2.0) * ramp(-cavity, 22, 12)
    paint(image, VESSEL - 0.12, ramp(thread, 0.19, 0.07) * shallow)
