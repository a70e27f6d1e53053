"""What every out-of-distribution kind shares: its record, and how a picture is sized and textured.

A family holds kinds that resemble each other and stands in one half as a whole: limits fitted on
half A are reported on half B and the other way round. The halves share code and donors, so they are
not independent. What shows real things is in neither: it is reported on, never fitted on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array

Half = Literal["A", "B", "report only"]
Values = NDArray[Any]
"""(H, W) or, in colour, (H, W, 3); 0 is black and 1 white, the rest is clipped."""
Make = Callable[..., Values]
_HALVES: dict[Half, tuple[str, ...]] = {
    "A": ("noise", "texture", "paper", "head CT", "limb MR", "other scanner", "values changed",
          "several at once", "failed scan"),
    "B": ("flat", "scene", "screen", "trunk MR", "body CT", "turned", "a part only", "rearranged",
          "on a screen"),
    "report only": ("real scan", "photograph"),
}  # fmt: skip
FAMILIES = {family: half for half, names in _HALVES.items() for family in names}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of out-of-distribution input; `make` takes a generator and, if need be, donors."""

    name: str
    family: str
    description: str
    make: Make
    needs_donors: bool = False

    @property
    def half(self) -> Half:
        """Which half of the kinds it is fitted or reported with, or that it is never fitted on."""
        return FAMILIES[self.family]


def kind(family: str, description: str, *, needs_donors: bool = False) -> Callable[[Make], Kind]:
    """Decorator that turns a function into the kind of its name, without the underscore."""
    return lambda make: Kind(make.__name__[1:], family, description, make, needs_donors)


def draw_side(rng: Generator) -> int:
    """A side of 100 to 600 pixels, each doubling equally likely."""
    return round(float(np.exp(rng.uniform(np.log(100), np.log(600)))))


def draw_shape(rng: Generator) -> tuple[int, int]:
    """Rows and columns of a picture."""
    rows = draw_side(rng)
    return rows, min(600, max(64, round(rows * float(rng.uniform(0.7, 1.4)))))


def resized(values: Values, width: int, height: int) -> Array:
    """(H, W) or (H, W, 3) numbers resized with a bicubic filter, widened when shrinking."""
    if values.ndim == 3:
        return np.stack([resized(plane, width, height) for plane in np.moveaxis(values, 2, 0)], 2)
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def fitted(values: Values, side: int) -> Array:
    """The same resized so that the longer side is `side`, and clipped."""
    height, width = (max(1, round(n * side / max(values.shape[:2]))) for n in values.shape[:2])
    return np.clip(resized(values, width, height), 0, 1)


def smooth_field(rng: Generator, shape: tuple[int, int], feature_px: float) -> Array:
    """A random field of zero mean and unit spread whose features are about `feature_px` wide."""
    height, width = (int(np.ceil(length / feature_px)) + 3 for length in shape)
    coarse = rng.standard_normal((height, width), dtype=np.float32)
    fine = resized(coarse, *(round(cells * max(1.0, feature_px)) for cells in (width, height)))
    cut = fine[: shape[0], : shape[1]]
    return np.asarray((cut - cut.mean()) / max(float(cut.std()), 1e-6), dtype=np.float32)
