"""Every random draw of a phantom, in one place; `drawing` then renders without chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from slicewise.synthetic.phantom.geometry import Cut, Vector
from slicewise.synthetic.phantom.lesion import Adenoma, Glioma, Lesion, Meningioma
from slicewise.synthetic.phantom.tissue import Head

Label = Literal["glioma", "meningioma", "no_tumor", "pituitary"]
Plane = Literal["axial", "coronal", "sagittal"]
LABELS: tuple[Label, ...] = get_args(Label)
PLANES: tuple[Plane, ...] = get_args(Plane)

Generator = np.random.Generator
_VAULT_MIDDLE, _VAULT_RADII = np.array([0.0, 2.0, 8.0]), np.array([66.0, 86.0, 66.0])


@dataclass(frozen=True, slots=True)
class PhantomParameters:
    """Everything that decides how one phantom slice looks.

    Args:
        label: What is drawn.
        plane: Orientation of the cut.
        offset_mm: Where the cut lies along its normal, mm.
        middle_mm: Centre of the picture along the row and down the column, mm.
        field_of_view_mm: Side of the picture, mm.
        turn_degrees: How far the head is turned within the picture.
        head: Traits of the head.
        lesion: The tumor, None for `no_tumor`.
        shading: Strength of the receive-field shading, share of the signal.
        noise: Standard deviation of the noise in each channel, signal units.
        noise_seed: Chooses noise and shading.
    """

    label: Label
    plane: Plane
    offset_mm: float
    middle_mm: tuple[float, float]
    field_of_view_mm: float
    turn_degrees: float
    head: Head
    lesion: Lesion | None
    shading: float
    noise: float
    noise_seed: int

    def cut(self, size: int) -> Cut:
        """The picture plane with `size` pixels a side."""
        return Cut(
            self.plane,
            self.offset_mm,
            self.middle_mm,
            self.field_of_view_mm,
            self.turn_degrees,
            size,
        )


def draw_parameters(rng: Generator, label: Label, plane: Plane) -> PhantomParameters:
    """Draw one phantom slice; a tumor is always in the picture.

    Args:
        rng: Source of chance; the same state gives the same phantom.
        label: What to draw.
        plane: Orientation of the cut.
    """
    lesion = _draw_lesion(rng, label, plane)
    middle = {"axial": (0.0, -4.0), "coronal": (0.0, 6.0), "sagittal": (0.0, 16.0)}[plane]
    shift = rng.uniform(-4, 4, size=2)
    return PhantomParameters(
        label=label,
        plane=plane,
        offset_mm=_draw_offset(rng, plane, lesion),
        middle_mm=(middle[0] + float(shift[0]), middle[1] + float(shift[1])),
        field_of_view_mm=float(rng.uniform(228, 246)),
        turn_degrees=float(rng.normal(0, 3)),
        head=_draw_head(rng),
        lesion=lesion,
        shading=float(rng.uniform(0.04, 0.12)),
        noise=float(rng.uniform(0.012, 0.03)),
        noise_seed=_seed(rng),
    )


def draw_series(rng: Generator, label: Label, count: int) -> list[PhantomParameters]:
    """Axial cuts from bottom to top through one head, evenly spaced.

    Args:
        rng: Source of chance.
        label: What the head holds; a tumor is in some of the slices.
        count: Slices, at least 2.
    """
    head = draw_parameters(rng, label, "axial")
    offsets = np.linspace(-36, 60, count)
    return [
        replace(head, offset_mm=float(offset), noise_seed=head.noise_seed + index)
        for index, offset in enumerate(offsets)
    ]


def _seed(rng: Generator) -> int:
    return int(rng.integers(2**31))


def _draw_head(rng: Generator) -> Head:
    width, length, height = rng.normal(1.0, 0.022, size=3).clip(0.95, 1.05)
    return Head(
        stretch=(float(width), float(length), float(height)),
        scalp_mm=float(rng.uniform(4.0, 7.5)),
        skull_mm=float(rng.uniform(5.5, 7.5)),
        sulci_mm=float(rng.uniform(0.5, 1.1)),
        ventricles=float(rng.uniform(0.85, 1.45)),
        contrast=float(rng.uniform(0.6, 1.3)),
        lopsided_mm=float(rng.uniform(0.4, 1.2)),
        texture_seed=_seed(rng),
    )


def _draw_lesion(rng: Generator, label: Label, plane: Plane) -> Lesion | None:
    if label == "glioma":
        return _draw_glioma(rng)
    if label == "meningioma":
        return _draw_meningioma(rng, plane)
    return _draw_adenoma(rng) if label == "pituitary" else None


def _draw_glioma(rng: Generator) -> Glioma:
    side = rng.choice([-1.0, 1.0])
    radius = rng.uniform(11, 20)
    x, y, z = side * rng.uniform(24, 38), rng.uniform(-38, 42), rng.uniform(8, 34)
    a, b, c = radius * rng.uniform(0.8, 1.25, size=3)
    return Glioma(
        center=(float(x), float(y), float(z)),
        radii=(float(a), float(b), float(c)),
        rim_mm=float(rng.uniform(2.5, 6.0)),
        ragged_mm=float(rng.uniform(1.8, 3.2)),
        oedema_mm=float(rng.uniform(9, 20)),
        signal=float(rng.uniform(0.6, 0.78)),
        core_signal=float(rng.uniform(0.14, 0.24)),
    )


def _draw_meningioma(rng: Generator, plane: Plane) -> Meningioma:
    """On the vault, where a cut in this plane meets it steeply."""
    radius = rng.uniform(11, 21)
    turn = {"axial": np.pi / 4, "coronal": 0.0, "sagittal": np.pi / 2}[plane]
    angle = turn + np.pi * rng.integers(2) + rng.normal(0, 1.2 if plane == "axial" else 0.3)
    height = rng.uniform(0.1, 0.65 if plane == "axial" else 0.9)
    flat = np.sqrt(1 - height**2)
    direction = np.array([flat * np.cos(angle), flat * np.sin(angle), height])
    center = _VAULT_MIDDLE + direction * (_VAULT_RADII - 0.72 * radius)
    return Meningioma(
        center=_vector(center),
        radius_mm=float(radius),
        signal=float(rng.uniform(0.64, 0.78)),
        tail_mm=float(rng.uniform(8, 16)),
    )


def _draw_adenoma(rng: Generator) -> Adenoma:
    wide, deep, high = rng.uniform(8, 13), rng.uniform(7, 10), rng.uniform(6.5, 10)
    return Adenoma(
        center=(float(rng.uniform(-2, 2)), -14.0, float(-32.5 + 0.85 * high)),
        radii=(float(wide), float(deep), float(high)),
        dome_mm=float(rng.uniform(4.5, 10)) if rng.uniform() < 0.7 else 0.0,
        signal=float(rng.uniform(0.58, 0.74)),
    )


def _draw_offset(rng: Generator, plane: Plane, lesion: Lesion | None) -> float:
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    if plane == "sagittal" and isinstance(lesion, Adenoma):  # beside the falx, not along it
        return float(rng.choice([-1.0, 1.0]) * rng.uniform(3, 5))
    if lesion is not None:
        return lesion.center[axis] + float(rng.uniform(-3, 3))
    if plane == "sagittal":
        return float(rng.choice([-1.0, 1.0]) * rng.uniform(3, 38))
    low, high = {"axial": (-30, 56), "coronal": (-50, 52)}[plane]
    return float(rng.uniform(low, high))


def _vector(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
