"""The three tumors a phantom may have, as T1 after contrast shows them.

Each lesion knows how it displaces the brain and how it is painted; positions and sizes are in the
millimetres of the standard head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slicewise.synthetic.phantom.anatomy import Anatomy, Mass
from slicewise.synthetic.phantom.geometry import Array, Vector, ellipsoid, inside, join, paint, ramp
from slicewise.synthetic.phantom.tissue import BONE, FLUID


@dataclass(frozen=True, slots=True)
class Glioma:
    """A mass within the brain: ragged enhancing rim, dark core, oedema around it.

    Args:
        center: Middle, mm.
        radii: Half axes, mm.
        rim_mm: Thickness of the enhancing rim, mm.
        ragged_mm: How far its border departs from an ellipsoid, mm.
        oedema_mm: How far oedema reaches beyond it, mm.
        signal: Of the rim.
        core_signal: Of the core.
    """

    center: Vector
    radii: Vector
    rim_mm: float
    ragged_mm: float
    oedema_mm: float
    signal: float
    core_signal: float

    @property
    def mass(self) -> Mass:
        """It pushes the brain apart, oedema included."""
        radius = sum(self.radii) / 3
        return Mass(self.center, 0.45 * radius, radius + 1.3 * self.oedema_mm)

    def paint(self, anatomy: Anatomy) -> Array:
        """Draw it; returns the share of each pixel that is tumor, (H, W) float32."""
        scene, fields = anatomy.scene, anatomy.scene.fields
        ragged = self.ragged_mm * (0.6 * fields["medium"] + 0.4 * fields["fold"])
        border = ellipsoid(scene.points, self.center, self.radii) + ragged
        brain = inside(-anatomy.brain - 0.3)
        fingers = border + 0.35 * self.oedema_mm * fields["fold"]
        halo = ramp(fingers, self.oedema_mm, 0.3 * self.oedema_mm)
        paint(scene.image, 0.25, halo * brain * (0.35 + 0.65 * ramp(anatomy.brain, 1.5, 5.0)))
        skull = inside(scene.cavity + 2.0)
        tumor = inside(border, 1.2) * skull
        core = border + self.rim_mm * (1 + 0.35 * fields["vessel"]) + 0.25 * fields["fine"]
        paint(scene.image, self.signal + 0.05 * fields["fine"], tumor)
        paint(scene.image, self.core_signal + 0.025 * fields["fine"], inside(core, 1.4) * skull)
        return tumor


@dataclass(frozen=True, slots=True)
class Meningioma:
    """A mass outside the brain: round, evenly bright, broad on the dura, with a dural tail.

    Args:
        center: Middle, mm.
        radius_mm: Radius, mm.
        signal: Of the tumor.
        tail_mm: How far the tail runs along the dura beyond the tumor, mm.
    """

    center: Vector
    radius_mm: float
    signal: float
    tail_mm: float

    @property
    def mass(self) -> Mass:
        """It pushes the brain inwards."""
        return Mass(self.center, 0.55 * self.radius_mm, 1.9 * self.radius_mm)

    def paint(self, anatomy: Anatomy) -> Array:
        """Draw it; returns the share of each pixel that is tumor, (H, W) float32."""
        scene, fields = anatomy.scene, anatomy.scene.fields
        radius = self.radius_mm
        round_ = ellipsoid(scene.points, self.center, (radius, radius * 1.05, radius * 0.95))
        border = round_ + 1.2 * fields["medium"] + 0.4 * fields["fold"]
        skull = inside(scene.cavity)
        paint(scene.image, FLUID + 0.04, inside(border - 1.3) * skull)
        thin = np.abs(scene.cavity + 0.8) - 1.3 * ramp(border, self.tail_mm, 0)
        tail = inside(np.maximum(thin, border - self.tail_mm))
        paint(scene.image, self.signal, tail)
        tumor = inside(border) * skull
        even = self.signal + 0.015 * fields["fine"] + 0.015 * fields["fold"]
        paint(scene.image, even, tumor)
        return tumor


@dataclass(frozen=True, slots=True)
class Adenoma:
    """A pituitary mass: bright, rounded, rising out of the sella, often waisted.

    Args:
        center: Middle of the part within the sella, mm.
        radii: Half axes of that part, mm.
        dome_mm: Radius of the part above the sella; 0 where it stays within, mm.
        signal: Of the tumor.
    """

    center: Vector
    radii: Vector
    dome_mm: float
    signal: float

    @property
    def mass(self) -> Mass:
        """It lifts what lies above the sella."""
        top = (self.center[0], self.center[1], self.center[2] + self.radii[2])
        return Mass(top, 0.6 * self.dome_mm, 12.0 + self.dome_mm)

    def paint(self, anatomy: Anatomy) -> Array:
        """Draw it; returns the share of each pixel that is tumor, (H, W) float32."""
        scene, fields = anatomy.scene, anatomy.scene.fields
        border = ellipsoid(scene.points, self.center, self.radii)
        if self.dome_mm > 0:
            x, y, z = self.center
            above = (x, y - 1, z + self.radii[2] + 0.55 * self.dome_mm)
            dome = (self.dome_mm, 0.9 * self.dome_mm, 0.9 * self.dome_mm)
            border = join(border, ellipsoid(scene.points, above, dome), 3.0)
        border = border + 0.6 * fields["medium"]
        below = ramp(scene.points.z, -26, -32)
        paint(scene.image, BONE, inside(border - 1.4) * below)
        paint(scene.image, FLUID, inside(border - 1.2) * (1 - below))
        tumor = inside(border)
        patchy = self.signal + 0.04 * fields["fine"] - 0.08 * ramp(fields["fold"], 0.8, 1.8)
        paint(scene.image, patchy, tumor)
        return tumor


Lesion = Glioma | Meningioma | Adenoma
