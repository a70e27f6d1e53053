"""Cuts of real pictures that scikit-learn and matplotlib ship.

* `china.jpg` by danielbuechele and `flower.jpg` by vultilion: Creative Commons Attribution 2.0, as
  the readme beside them says (scikit-learn, `datasets/images`).
* `grace_hopper.jpg` (matplotlib): official portrait by James S. Davis, U.S. Navy, public domain.
* `jacksboro_fault_dem.npz` (matplotlib): elevations; under matplotlib's own licence, as none is
  stated for the file.
* `digits.csv.gz` (scikit-learn): test set of Alpaydin and Kaynak (1998), UCI, Creative
  Commons Attribution 4.0.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from slicewise.errors import MissingExtraError
from slicewise.synthetic.ood.picture import (
    Bytes,
    Picture,
    draw_side,
    fitted,
    resized,
    saved,
    saved_in_colour,
)

_DIGITS = 600
"""How many of the 1,797 digits are used; more would only take longer to read."""


def landscape(rng: Generator) -> Picture:
    """A cut of a photograph of a temple."""
    return _cut(_photograph("sklearn", "datasets/images/china.jpg"), rng)


def flower(rng: Generator) -> Picture:
    """A cut of a photograph of a flower."""
    return _cut(_photograph("sklearn", "datasets/images/flower.jpg"), rng)


def portrait(rng: Generator) -> Picture:
    """A cut of a portrait of a person."""
    return _cut(_photograph("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"), rng)


def terrain(rng: Generator) -> Picture:
    """A cut of a map of elevations, plain or lit from a side."""
    heights = _elevations()
    height, width = heights.shape
    side = int(rng.integers(90, min(height, width)))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    cut = _turned(heights[top : top + side, left : left + side], rng)
    if rng.random() < 0.5:
        slope = np.gradient(cut)
        cut = slope[0] * rng.normal() + slope[1] * rng.normal()
    low, high = np.percentile(cut, (1, 99))
    return saved(fitted(np.clip((cut - low) / (high - low), 0, 1), draw_side(rng)), rng)


def handwritten_digits(rng: Generator) -> Picture:
    """One or several digits written by hand, as strokes on paper or light on dark."""
    digits = _digits()
    rows, columns = int(rng.integers(1, 5)), int(rng.integers(1, 7))
    cells = digits[rng.integers(len(digits), size=(rows, columns))]
    sheet = cells.transpose(0, 2, 1, 3).reshape(rows * cells.shape[2], columns * cells.shape[3])
    side = draw_side(rng)
    values = np.clip(fitted(sheet, side) * rng.uniform(1, 1.6), 0, 1)
    values = values + rng.uniform(0, 0.05) * rng.standard_normal(values.shape)
    return saved(1 - values if rng.random() < 0.5 else values, rng)


def _cut(picture: Bytes, rng: Generator) -> Picture:
    """A random rectangle, perhaps mirrored, resized; grey or, more often, in colour."""
    height, width = picture.shape[:2]
    tall = int(height * rng.uniform(0.2, 1.0))
    wide = min(width, max(32, int(tall * rng.uniform(0.7, 1.5))))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    cut = picture[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    side = draw_side(rng)
    scale = side / max(cut.shape[:2])
    size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
    image = Image.fromarray(np.ascontiguousarray(cut)).resize(size, Image.Resampling.BICUBIC)
    light = np.asarray(image, dtype=np.float32) / 255
    light = np.clip(light, 0, 1) ** float(np.exp(rng.normal(0, 0.25)))
    if rng.random() < 0.4:
        return saved(light.mean(axis=2), rng)
    return saved_in_colour(np.rint(light * 255).astype(np.uint8), rng)


def _turned(values: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    return np.rot90(values, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))]


@lru_cache(maxsize=4)
def _photograph(package: str, name: str) -> Bytes:
    with Image.open(_sample_file(package, name)) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)


@lru_cache(maxsize=1)
def _elevations() -> NDArray[np.float32]:
    path = _sample_file("matplotlib", "mpl-data/sample_data/jacksboro_fault_dem.npz")
    with np.load(path, allow_pickle=False) as data:
        return np.asarray(data["elevation"], dtype=np.float32)


@lru_cache(maxsize=1)
def _digits() -> NDArray[np.float32]:
    """(N, 48, 48) strokes in [0, 1], enlarged smoothly from 8 x 8."""
    path = _sample_file("sklearn", "datasets/data/digits.csv.gz")
    table = np.loadtxt(path, delimiter=",", max_rows=_DIGITS, dtype=np.float32)
    return np.stack([resized(row[:-1].reshape(8, 8) / 16, 48, 48) for row in table])


def _sample_file(package: str, name: str) -> Path:
    """A file of an installed package, which is not imported for it: that would take seconds."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise MissingExtraError("sample pictures", "evaluate")
    return Path(found.origin).parent / name
