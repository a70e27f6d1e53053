"""A synthetic head: a cartoon of anatomy as T1 after contrast shows it, with or without a tumor.

Shapes are ellipsoids, tubes and random fields in mm, in DICOM coordinates (LPS: left, back, top)
from the middle of the brain. No model may be trained, calibrated or judged on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.random import Generator

from slicewise.arrays import Array

Label = Literal["glioma", "meningioma", "no_tumor", "pituitary"]
Plane = Literal["axial", "coronal", "sagittal"]
LABELS: tuple[Label, ...] = get_args(Label)
PLANES: tuple[Plane, ...] = get_args(Plane)
Shape = tuple[float, ...] | tuple[tuple[float, ...], ...]
"""An ellipsoid (x, y, z and three half axes) or a tube (stations of x, y, z and radius), mm."""

_AXES = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
}
"""Per plane: direction along a row, direction down a column, and the normal."""
_AIR, _BONE, _FLUID, _GREY, _WHITE = 0.02, 0.06, 0.11, 0.335, 0.395
_MUSCLE, _FAT, _MARROW, _DURA, _VESSEL, _GLAND = 0.29, 0.82, 0.50, 0.42, 0.66, 0.60
"""Signal of the tissues, T1 after contrast; 0 is air, about 1 the brightest fat and vessels."""

# Left is folded onto right before a shape is looked up: one row is a pair, or lies on the midline.
_VAULT: Shape = (0, 2, 8, 66, 86, 66)
_OUTLINE: tuple[Shape, ...] = (
    (0, 36, -30, 66, 57, 50), (0, -36, -36, 67, 56, 44), (0, -42, -72, 58, 52, 56),
    (0, -56, -112, 42, 38, 30), (0, -88, -94, 22, 13, 15), ((0, -88, -36, 6), (0, -103, -63, 9)),
    ((0, 10, -70, 56), (0, 18, -220, 54)), (80, 14, -36, 4, 12, 20),
)  # fmt: skip
_PETROUS: Shape = ((15, 2, -42, 4), (36, 13, -41, 8), (58, 20, -42, 11))
_FACE: tuple[tuple[float, Shape], ...] = (  # tongue, jaw, nose, throat, orbits, eyes, sinuses
    (_MUSCLE + 0.08, (0, -54, -106, 23, 32, 19)), (_MARROW, (44, -40, -104, 6, 11, 27)),
    (0.1, (0, -62, -58, 15, 34, 18)), (0.4, (7, -58, -62, 4, 26, 9)),
    (_AIR, ((0, -28, -62, 6), (0, -12, -84, 5), (0, -8, -220, 5.5))),
    (_FAT, (29, -54, -37, 16, 25, 14)), (0.34, ((32, -64, -37, 2.2), (14, -26, -27, 2.2))),
    (0.5, ((40, -68, -37, 1.6), (18, -32, -33, 1.2))), (0.5, (32, -73, -37, 12, 12, 12)),
    (0.13, (32, -73, -37, 11, 11, 11)), (0.5, (0, -24, -45, 12, 11, 8)),
    (_AIR, (0, -24, -45, 11, 10, 7)), (_AIR, (9, -48, -34, 5, 17, 6)),
    (_AIR, (27, -56, -64, 11, 15, 12)), (_AIR, (56, 24, -46, 7, 8, 8)),
)  # fmt: skip
_STEM: Shape = ((0, 4, -8, 10), (0, 11, -20, 9), (0, 13, -34, 12), (0, 18, -46, 9),
                (0, 25, -62, 6.5), (0, 30, -84, 5), (0, 30, -220, 5))  # fmt: skip
_VENTRICLES: tuple[Shape, ...] = (
    ((9, -36, 9, 2.2), (9, -16, 20, 4.6), (11, 10, 25, 4.6), (19, 32, 17, 6), (24, 50, 8, 3.5),
     (24, 62, 6, 1.5)), ((22, 32, 14, 5), (30, 16, -12, 2.6), (29, -8, -23, 1.8)),
    (0, -1, 0, 2.5, 13, 10), (0, 30, -37, 6, 4.5, 9),
)  # fmt: skip
_ENHANCING: tuple[tuple[float, Shape], ...] = (  # pituitary gland and stalk, arteries, veins
    (_GLAND, (0, -14, -27, 7, 5, 3.4)), (_GLAND, ((0, -12, -12, 0.9), (0, -13, -23, 1.1))),
    (_VESSEL, ((14, -12, -40, 1.6), (14, -14, -30, 1.8), (10, -15, -19, 1.6), (36, -16, -15, 1.1))),
    (_VESSEL, ((9, -15, -19, 1.2), (2, -28, -15, 1), (2, -52, 12, 0.8), (2, -20, 40, 0.7))),
    (_VESSEL, ((0, 0, -44, 1.5), (0, -1, -18, 1.5), (18, 10, -16, 1), (24, 34, -8, 0.8))),
    (_VESSEL, ((26, 72, -28, 2.8), (52, 46, -34, 3), (44, 26, -50, 3))),
    (_VESSEL, ((3, -12, 9, 0.7), (3, 14, 8, 0.9), (0, 46, -16, 2.2), (0, 72, -25, 2.8))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cut:
    """A square picture plane through the head, `size` pixels a side.

    It lies `offset_mm` along its normal; `middle_mm` is its centre along the row and down the
    column, `turn_degrees` how far the head is turned within the picture.
    """

    plane: Plane
    offset_mm: float
    middle_mm: tuple[float, float]
    field_of_view_mm: float
    turn_degrees: float
    size: int = 512

    @property
    def spacing_mm(self) -> float:
        """Distance between neighbouring pixels, mm."""
        return self.field_of_view_mm / self.size

    def frame(self) -> Array:
        """Corner point, step along a row and step down a column: (3, 3) float32, mm."""
        row, column, normal = np.array(_AXES[self.plane], dtype=np.float64)
        turn = np.deg2rad(self.turn_degrees)
        across = np.cos(turn) * row + np.sin(turn) * column
        down = np.cos(turn) * column - np.sin(turn) * row
        middle = self.middle_mm[0] * row + self.middle_mm[1] * column + self.offset_mm * normal
        corner = middle - (across + down) * (self.field_of_view_mm - self.spacing_mm) / 2
        return _single((corner, across * self.spacing_mm, down * self.spacing_mm))

    def points(self) -> Array:
        """Position of every pixel, (3, H, W) float32, mm."""
        (corner, across, down), steps = self.frame()[:, :, None, None], np.arange(self.size)
        return _single(corner + across * steps + down * steps[:, None])

    def field(self, rng: Generator, wavelength_mm: float) -> Array:
        """A smooth random function of space with unit variance on this cut, (H, W) float32."""
        # A sum of plane waves; on a plane each is an outer product, so that all are one product.
        vectors = rng.normal(size=(40, 3))
        vectors *= 2 * np.pi / np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= wavelength_mm * rng.uniform(0.75, 1.35, (40, 1))
        corner, across, down = self.frame() @ vectors.T
        steps, phases = np.arange(self.size), corner + rng.uniform(0, 2 * np.pi, 40)
        below = np.exp(1j * (np.outer(steps, down) + phases)).astype(np.complex64)
        along = np.exp(1j * np.outer(steps, across)).astype(np.complex64)
        return _single((below @ along.T).real * np.sqrt(2 / 40))


@dataclass(frozen=True, slots=True)
class Lesion:
    """A tumor: middle and half axes (of a pituitary one, of the part within the sella), mm.

    `signal` is that of what takes up contrast. `reach_mm` is how far the oedema of a glioma or the
    dural tail of a meningioma reaches beyond it, or the radius of what rises above the sella.
    """

    label: Label
    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    signal: float
    reach_mm: float


@dataclass(frozen=True, slots=True)
class PhantomParameters:
    """Everything that decides how one phantom slice looks; no lesion for `no_tumor`."""

    label: Label
    cut: Cut
    lesion: Lesion | None
    head_seed: int  # of size and shape of the head, the folds of the cortex, all textures
    noise_seed: int  # of noise and shading


def draw_parameters(rng: Generator, label: Label, plane: Plane) -> PhantomParameters:
    """Draw one phantom slice; a tumor is always in the picture."""
    lesion, axis = _draw_lesion(rng, label, plane), 2 - PLANES.index(plane)
    low, high = ((-38, 38), (-50, 52), (-30, 56))[axis]
    if lesion is not None:
        low, high = (round(lesion.center[axis] + beside) for beside in (-3, 3))
    offset = float(rng.uniform(low, high))
    if plane == "sagittal":  # beside the falx, not along it
        offset += float(np.copysign(3, offset))
    across, down = ((0, 16), (0, 6), (0, -4))[axis]
    middle = float(across + rng.uniform(-4, 4)), float(down + rng.uniform(-4, 4))
    cut = Cut(plane, offset, middle, float(rng.uniform(228, 246)), float(rng.normal(0, 3)))
    return PhantomParameters(label, cut, lesion, *rng.integers(2**31, size=2).tolist())


def draw_series(rng: Generator, label: Label, count: int, gap_mm: float) -> list[PhantomParameters]:
    """Axial cuts from bottom to top through one head, `gap_mm` apart; some show its tumor."""
    head = draw_parameters(rng, label, "axial")
    cuts = (replace(head.cut, offset_mm=gap_mm * k - 36) for k in range(count))
    return [replace(head, cut=cut, noise_seed=k) for k, cut in enumerate(cuts, head.noise_seed)]


def _draw_lesion(rng: Generator, label: Label, plane: Plane) -> Lesion | None:
    between = rng.uniform
    if label == "glioma":
        center = float(rng.choice([-1, 1])) * between(24, 38), between(-38, 42), between(8, 34)
        a, b, c = between(11, 20) * between(0.8, 1.25, size=3)
        return Lesion(label, center, (a, b, c), between(0.6, 0.78), between(9, 20))
    if label == "meningioma":  # on the vault, where a cut in this plane meets it steeply
        radius, spread = between(11, 21), ((0.2, 1, 0.6), (1, 0.2, 0.6), (1, 1, 0.4))
        outwards = rng.normal(size=3) * spread[2 - PLANES.index(plane)]
        outwards[2] = abs(outwards[2])
        outwards *= (np.array(_VAULT[3:]) - 0.72 * radius) / np.linalg.norm(outwards)
        x, y, z = (outwards + _VAULT[:3]).tolist()
        return Lesion(label, (x, y, z), (radius,) * 3, between(0.64, 0.78), between(8, 16))
    if label == "pituitary":
        radii = between(8, 13), between(7, 10), between(6.5, 10)
        center = between(-2, 2), -14.0, -32.5 + 0.85 * radii[2]
        dome = between(4.5, 10) if rng.random() < 0.7 else 0.0
        return Lesion(label, center, radii, between(0.44, 0.6), dome)
    return None


def paint(parameters: PhantomParameters) -> tuple[Array, Array]:
    """Signal of the tissues, and the share of each pixel that is tumor: (H, W) float32 each."""
    scene = _Scene(parameters)
    scene.paint_outside()
    scene.paint_brain()
    return scene.image, scene.paint_lesion()


class _Scene:
    """A picture in the making, with the shapes and textures that its painters share."""

    def __init__(self, parameters: PhantomParameters) -> None:
        cut, rng = parameters.cut, np.random.default_rng(parameters.head_seed)
        self.scalp, self.skull, self.sulci, self.ventricles, self.contrast = rng.uniform(
            (4.0, 5.5, 0.5, 0.85, 0.6), (7.5, 7.5, 1.1, 1.45, 1.3)
        ).tolist()  # mm; the last two relative to the standard head
        self.points = cut.points() / _column(rng.normal(1.0, 0.022, size=3).clip(0.95, 1.05))
        self.fold, self.medium, self.fine, self.vessel, coarse = (
            cut.field(rng, wavelength) for wavelength in (21, 30, 7, 34, 110)
        )
        self.folded = _folded(self.points)
        self.cavity = _cavity(self.folded) + 0.8 * coarse
        self.image, self.depth = np.full_like(self.cavity, _AIR), np.zeros_like(self.cavity)
        self.brain, self.lesion = self.folded, parameters.lesion
        if self.lesion is not None:  # look up the brain where it was before it was pushed
            apart, radius = self.points - _column(self.lesion.center), sum(self.lesion.radii) / 3
            far, reach = _length(apart), radius + 1.3 * self.lesion.reach_mm
            pull = np.exp(-((far / reach) ** 2)) / np.maximum(2 * far / radius, 1)
            self.brain = _folded(self.points - apart * pull)

    def paint(self, value: float | Array, coverage: Array) -> None:
        """Mix `value` into the picture where `coverage` (0 to 1) says so."""
        self.image += (value - self.image) * coverage

    def paint_outside(self) -> None:
        """Skin, fat, muscle, skull, face and neck."""
        z, outside = self.points[2], _inside(-self.cavity)
        crown = (0, 2, 8, 73 + self.scalp, 93 + self.scalp, 73 + self.scalp)
        parts = (distance(self.folded, shape) for shape in (crown, *_OUTLINE))
        skin = reduce(lambda a, b: _join(a, b, 14), parts)
        septa = _ramp(np.abs(self.fold), 0.5, 0) * _ramp(self.vessel, -0.6, 1.2)
        flesh = _MUSCLE + 0.05 * self.medium + 0.04 * self.fine + 0.24 * septa
        self.paint(0.5, _inside(skin))
        self.paint(_FAT + 0.05 * self.medium + 0.03 * self.fine, _inside(skin + 1.3))
        self.paint(flesh, _inside(np.maximum(skin + 8, z + 24), 2.5))
        thick = self.skull * (0.45 + 0.55 * _ramp(z, -36, -6))
        self.paint(_BONE, _inside(np.minimum(self.cavity - thick, distance(self.folded, _PETROUS))))
        diploe = _inside(np.abs(self.cavity - thick / 2) - thick / 5)
        self.paint(0.24 + 0.06 * self.fine, diploe * _ramp(self.medium, -1.6, 0.4))
        for value, shape in _FACE:
            self.paint(value, _inside(distance(self.folded, shape)) * outside)
        level = z + 98 - 17 * np.round((z + 98) / 17)  # vertebrae, one every 17 mm
        body = distance(self.folded, (0, 14, -98, 12, 8.5, 400))
        self.paint(_MARROW, _inside(np.maximum(body, np.abs(level) - 7)) * _ramp(z, -75, -78))

    def paint_brain(self) -> None:
        """Fluid, cerebrum, ventricles, cerebellum, brainstem, falx, vessels and pituitary gland."""
        at, (x, y, z) = self.brain, self.brain
        # Height above the tent over the cerebellum, which is far below everything in front of it.
        above = z + 9 + 0.34 * np.maximum(y - 20, 0) + 0.22 * x + 6 * np.maximum(11 - y, 0)
        self.paint(_DURA - 0.3 * _ramp(self.medium, 0.8, -1.2), _inside(self.cavity))
        self.paint(_FLUID + 0.015 * self.medium, _inside(self.cavity + 1))
        cortex = self._cerebrum(above)
        grey = _WHITE - (_WHITE - _GREY) * self.contrast + 0.012 * self.fine
        self.paint(grey, _inside(-cortex))
        self.paint(_WHITE + 0.008 * self.fine + 0.01 * self.medium, _inside(3 - cortex, 1.2))
        stem, lobes = distance(at, _STEM), distance(at, (20, 46, -37, 31, 32, 25))
        lobes = np.maximum.reduce([lobes, self.cavity + 2, above + 2])
        radius = np.sqrt(x * x / 2 + (y - 24) ** 2 + (z + 34) ** 2)
        folia = _ramp(np.abs(np.sin(radius * 0.68 + 1.1 * self.medium)), 0.35, 0.05)
        self.paint(_GREY + 0.015 - 0.14 * folia * _ramp(lobes, -15, -3), _inside(lobes))
        self.paint(_WHITE - 0.015 + 0.008 * self.fine, _inside(stem))
        for number, shape in enumerate(_VENTRICLES):
            growth = 4 * (self.ventricles - 1) if number < 2 else 0.0
            self.paint(_FLUID, _inside(distance(at, shape) - growth))
        arch = -distance(at * _column((0, 1, 1)), (0, -3, 6, 1e3, 50, 38))
        falx = np.maximum.reduce([x - 0.6, arch, self.cavity, 8 - above])
        self.paint(_DURA + 0.03, _inside(falx))
        self.depth = np.maximum.reduce([cortex, -lobes, -stem])
        vault = distance(at, _VAULT)
        wedge = x - np.clip(1 - 0.6 * vault, 0.5, 2.6 + y / 60)
        self.paint(_VESSEL, _inside(np.maximum.reduce([wedge, -vault - 5.5, self.cavity, -4 - z])))
        for value, shape in _ENHANCING:
            self.paint(value, _inside(np.maximum(distance(at, shape), self.cavity - 1)))
        shallow = _ramp(self.cavity, -0.5, -2) * _ramp(self.cavity, -22, -12)
        thread = _ramp(np.hypot(self.fold, self.vessel - 0.3), 0.19, 0.07)
        self.paint(_VESSEL - 0.08, thread * shallow)

    def _cerebrum(self, above: Array) -> Array:
        """Depth below the folded surface of the cerebrum, mm."""
        at, (x, y, z) = self.brain, self.brain
        cisterns = distance(at, (0, -6, -25, 17, 25, 14)), distance(at, (0, 20, -10, 13, 7, 7))
        stem = np.maximum(distance(at, (0, 20, -60, 60, 60, 34)), above)
        middle = -distance(at * _column((0, 1, 1)), (0, -3, 6, 1e3, 42, 28))
        fissure, tent = np.maximum(x - 1.3, middle), np.where(y > -6, above - 1.2, 99)
        smooth = np.minimum.reduce([-self.cavity - 1.8, tent, *cisterns, stem, fissure])
        bent = np.stack([x, y, z - 0.3 * y + 0.25 * (x - 45) - 2 * self.medium])
        sylvian = distance(bent, (50, -6, -2, 19, 29, 1.2 + self.sulci))
        wall = np.abs(self.fold) * (21 / (2 * np.pi)) + 0.55 * np.maximum(smooth - 11, 0)
        deep = 2 * np.maximum(-distance(at, (0, -3, 6, 26, 46, 30)), 0)
        return _single(np.minimum.reduce([smooth, sylvian, wall + deep - self.sulci]))

    def paint_lesion(self) -> Array:
        """The tumor; returns the share of each pixel that it takes, (H, W) float32."""
        lesion = self.lesion
        if lesion is None:
            return np.zeros_like(self.image)
        border = distance(self.points, (*lesion.center, *lesion.radii)) + self.medium
        value = lesion.signal + 0.04 * self.fine
        if lesion.label == "glioma":
            return self._paint_glioma(lesion, border + self.fold)
        if lesion.label == "meningioma":  # outside the brain: broad on the dura, which has a tail
            tail = np.abs(self.cavity + 0.8) - 1.3 * _ramp(border, lesion.reach_mm, 0)
            self.paint(lesion.signal, _inside(np.maximum(tail, border - lesion.reach_mm)))
            border, value = np.maximum(border, self.cavity), lesion.signal + 0.015 * self.fine
        elif lesion.reach_mm > 0:  # out of the sella, often waisted
            (x, y, z), r = lesion.center, lesion.reach_mm
            above = (x, y - 1, z + lesion.radii[2] + 0.55 * r, r, 0.9 * r, 0.9 * r)
            border = _join(border, distance(self.points, above), 3)
        self.paint(_FLUID, _inside(np.maximum(border - 1.3, self.cavity)))
        self.paint(value, _inside(border))
        return _inside(border)

    def _paint_glioma(self, lesion: Lesion, border: Array) -> Array:
        """A mass within the brain: ragged enhancing rim, dark core, oedema around it."""
        reach, tumor = lesion.reach_mm, _inside(border, 1.2) * _inside(self.cavity + 2)
        oedema = _ramp(border + 0.35 * reach * self.fold, reach, 0.3 * reach)
        core = _inside(border + 0.25 * min(lesion.radii) * (1 + 0.35 * self.vessel), 1.4)
        self.paint(0.25, oedema * _ramp(self.depth, 0, 5))
        self.paint(lesion.signal + 0.05 * self.fine, tumor)
        self.paint(0.19 + 0.025 * self.fine, core * tumor)
        return tumor


def _cavity(folded: Array) -> Array:
    """Signed distance to the inside of the skull, mm."""
    vault = np.maximum(distance(folded, _VAULT), -(folded[2] + 21 + folded[1] / 18))
    temporal = distance(folded, (36, -10, -22, 25, 34, 24))
    base = _join(temporal, distance(folded, (0, 42, -36, 53, 39, 33)), 6)
    sella = distance(folded, (0, -14, -24, 9, 7, 9))
    canal = distance(folded, ((0, 26, -60, 10), (0, 30, -90, 8.5), (0, 30, -220, 8)))
    space = _join(_join(_join(vault, base, 6), sella, 3), canal, 6)
    return _single(np.maximum(space, -distance(folded, _PETROUS)))


def distance(points: Array, shape: Shape) -> Array:
    """(H, W) approximate signed distance of (3, H, W) points to a shape, mm; negative inside."""
    numbers = np.array(shape, dtype=np.float32)
    if numbers.ndim == 2:
        return reduce(np.minimum, (_to_rod(points, *ends) for ends in pairwise(numbers)))
    scaled = (points - _column(numbers[:3])) / _column(numbers[3:])
    level, slope = _length(scaled), _length(scaled / _column(numbers[3:]))
    return _single(level * (level - 1) / np.maximum(slope, 1e-4))


def _to_rod(points: Array, start: Array, end: Array) -> Array:
    """Signed distance to a rod whose radius changes from `start` to `end`, mm."""
    axis, apart = end[:3] - start[:3], points - _column(start[:3])
    along, length = np.tensordot(axis, apart, 1), axis @ axis
    share = np.clip(along / length, 0, 1)
    square = np.einsum("ijk,ijk->jk", apart, apart) + share * (share * length - 2 * along)
    return _single(np.sqrt(np.maximum(square, 0)) - start[3] - share * (end[3] - start[3]))


def _length(vectors: Array) -> Array:
    return _single(np.sqrt(np.einsum("ijk,ijk->jk", vectors, vectors)))


def _single(values: Any) -> Array:
    return np.asarray(values, dtype=np.float32)


def _column(values: Any) -> Array:
    return _single(values)[:, None, None]


def _folded(points: Array) -> Array:
    return np.concatenate([np.abs(points[:1]), points[1:]])


def _join(first: Array, second: Array, rounding_mm: float) -> Array:
    """Union of two shapes whose meeting edge is rounded."""
    near = np.maximum(rounding_mm - np.abs(first - second), 0)
    return _single(np.minimum(first, second) - near * near * (0.25 / rounding_mm))


def _ramp(values: Array, low: float, high: float) -> Array:
    """0 at `low` and beyond, 1 at `high` and beyond, smooth between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return _single(share * share * (3 - 2 * share))


def _inside(distances: Array, softness_mm: float = 0.7) -> Array:
    """How much of each pixel lies in a shape: 1 inside, 0 outside, soft at the border."""
    return _ramp(distances, softness_mm, -softness_mm)
