"""What the parts of a phantom share: signal of the tissues, the head's traits, the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slicewise.synthetic.phantom.geometry import Array, Cut, Points, Vector, WaveField

AIR, BONE, FLUID, GREY, WHITE = 0.02, 0.06, 0.11, 0.335, 0.395
MUSCLE, FAT, MARROW, DURA, VESSEL, GLAND = 0.29, 0.82, 0.50, 0.42, 0.78, 0.60
"""Signal of the tissues, T1 after contrast; 0 is air, about 1 the brightest fat and vessels."""

FIELD_WAVELENGTHS_MM = {"coarse": 110.0, "fold": 21.0, "medium": 30.0, "fine": 7.0, "vessel": 34.0}


@dataclass(frozen=True, slots=True)
class Head:
    """What differs from one phantom head to the next.

    Args:
        stretch: Width, length and height of the head relative to the standard one.
        scalp_mm: Thickness of skin and fat over the skull, mm.
        skull_mm: Thickness of the skull, mm.
        sulci_mm: Half the width of an open sulcus, mm.
        ventricles: Width of the ventricles relative to the standard head.
        contrast: Difference between white and grey matter relative to the standard head.
        lopsided_mm: How far skull and brain depart from their smooth shape, mm.
        texture_seed: Chooses the folds of the cortex and every other random texture.
    """

    stretch: Vector
    scalp_mm: float
    skull_mm: float
    sulci_mm: float
    ventricles: float
    contrast: float
    lopsided_mm: float
    texture_seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture in the making, with what every painter needs to know.

    Args:
        image: (H, W) float32 signal, painted in place.
        points: Position of every pixel in the standard head, mm.
        folded: The same with left folded onto right, for paired structures.
        cavity: (H, W) float32 signed distance to the inside of the skull, mm.
        open_sulci: (H, W) float32, 1 where sulci are open, towards 0 where a mass shuts them.
        fields: Random textures of unit variance by feature size, (H, W) float32 each.
        head: Traits of this head.
    """

    image: Array
    points: Points
    folded: Points
    cavity: Array
    open_sulci: Array
    fields: dict[str, Array]
    head: Head


def draw_fields(cut: Cut, texture_seed: int) -> dict[str, Array]:
    """Random textures of a head on one of its cuts."""
    rng = np.random.default_rng(texture_seed)
    return {name: WaveField.draw(rng, mm).on(cut) for name, mm in FIELD_WAVELENGTHS_MM.items()}
