"""The catalogue of image corruptions: what is drawn at random, how strong each of five levels is.

The strengths are ours; the sources say where the kind of change and its physics come from. Level 1
is what a reader hardly notices, level 3 is plain to see, level 5 is worse than most archives hold.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from slicewise.arrays import Array
from slicewise.config import nearest
from slicewise.errors import ConfigError
from slicewise.evaluation.robustness import corruptions
from slicewise.imaging.preprocess import Box, head_box
from slicewise.imaging.slice import Slice

Change = Callable[[Array, float, Generator], Array]
"""Pixels, strength and source of chance to pixels."""

_SHIFT = 0.04
"""Largest displacement of a moving head, share of the row."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of change, its strengths from weak to strong, and the paper or fault it is from."""

    name: str
    strengths: tuple[float, ...]
    unit: str
    source: str
    change: Change


def corrupted(slice_: Slice, name: str, level: int, seed: int, key: str) -> Slice:
    """A slice with one corruption.

    The random draws depend on the seed, the name of the change and the key of the slice. They do
    not depend on the level, so that stronger levels are the same change made stronger.

    Args:
        level: 1 for the weakest.
        key: What tells this slice from others, such as the hash of its content.

    Raises:
        ConfigError: The corruption or the level is unknown.
    """
    if name not in CORRUPTIONS:
        near = nearest(name, CORRUPTIONS)
        raise ConfigError(f"corruption {name!r} is unknown; did you mean {near}?")
    chosen = CORRUPTIONS[name]
    if not 1 <= level <= len(chosen.strengths):
        raise ConfigError(f"{name}: expected a level of 1 to {len(chosen.strengths)}; got {level}")
    own = zlib.crc32(key.encode()), zlib.crc32(name.encode())
    rng = np.random.default_rng((seed, *own))
    return replace(slice_, pixels=chosen.change(slice_.pixels, chosen.strengths[level - 1], rng))


def _plainly(change: Callable[[Array, Any], Array]) -> Change:
    """A corruption without chance."""
    return lambda pixels, strength, _: change(pixels, strength)


def _bias_field(pixels: Array, ratio: float, rng: Generator) -> Array:
    """A random polynomial of second order as the field (as in Van Leemput et al. 1999)."""
    y, x = (np.linspace(-1, 1, n) for n in pixels.shape)
    terms = rng.normal(size=5)
    field = terms[0] * x + terms[2] * x**2 + (terms[1] * y + terms[3] * y**2)[:, None]
    field = field + terms[4] * np.outer(y, x)
    return corruptions.shade(pixels, ratio, (field - field.min()) / np.ptp(field))


def _motion(pixels: Array, share: float, rng: Generator) -> Array:
    """Blocks of lines taken while the head was elsewhere; a stronger level adds blocks."""
    lines = pixels.shape[0]
    blocks = np.array_split(np.arange(lines), min(lines, 24))
    order = rng.permutation(len(blocks))
    offsets = rng.uniform(-_SHIFT, _SHIFT, len(blocks)) * pixels.shape[1]
    shifts = np.zeros(lines)
    for block in order[: round(share * len(blocks))]:
        shifts[blocks[block]] = offsets[block]
    return corruptions.move_during_scan(pixels, shifts)


def _crop(pixels: Array, share: float, rng: Generator) -> Array:
    side = str(rng.choice(["top", "bottom", "left", "right"]))
    return corruptions.cut_off(pixels, head_box(pixels), share, side)


def _occlusion(pixels: Array, share: float, rng: Generator) -> Array:
    """A rectangle of the head's proportions, anywhere within the head's rectangle."""
    head = head_box(pixels)
    tall, wide = head.bottom - head.top, head.right - head.left
    height, width = (max(1, round(side * np.sqrt(share))) for side in (tall, wide))
    place = rng.random(2)
    top = head.top + round(float(place[0]) * (tall - height))
    left = head.left + round(float(place[1]) * (wide - width))
    return corruptions.cover(pixels, Box(top, left, top + height, left + width))


def _normal(rng: Generator, *shape: int) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32)


_RANGE = "share of the 1-99 percentile range"
_CURVES = "display curves of other devices"
_EXPORTS = "exports of other tools"
_HENDRYCKS = "Hendrycks and Dietterich 2019"
_NOISE = (0.02, 0.05, 0.1, 0.15, 0.2)
_SHIFTS = (0.05, 0.1, 0.2, 0.3, 0.45)
_DARKER = tuple(-share for share in _SHIFTS)

_ALL = (
    Corruption("gaussian_noise", _NOISE, f"standard deviation, {_RANGE}",
               _HENDRYCKS, lambda pixels, share, rng: corruptions.add_noise(
                   pixels, share, _normal(rng, *pixels.shape))),
    Corruption("rician_noise", _NOISE, f"standard deviation a channel, {_RANGE}",
               "Gudbjartsson and Patz 1995",
               lambda pixels, share, rng: corruptions.add_rician_noise(
                   pixels, share, _normal(rng, 2, *pixels.shape))),
    Corruption("blur", (0.002, 0.004, 0.008, 0.012, 0.02),
               "standard deviation of the Gaussian, share of the longer side",
               _HENDRYCKS, _plainly(corruptions.blur)),
    Corruption("resolution", (0.6, 0.4, 0.25, 0.17, 0.12),
               "pixels a side that are kept, share; then enlarged again",
               f"a low acquisition matrix; {_HENDRYCKS} (pixelate)", _plainly(corruptions.coarsen)),
    Corruption("jpeg", (70, 40, 20, 10, 5), "libjpeg quality",
               _HENDRYCKS, _plainly(corruptions.through_jpeg)),
    Corruption("bias_field", (1.3, 1.7, 2.5, 4.0, 6.0), "largest over smallest factor of the field",
               "Sled et al. 1998; Van Leemput et al. 1999", _bias_field),
    Corruption("narrow_window", (1.2, 1.5, 2.0, 3.0, 5.0),
               "contrast factor about the middle of the range, clipped to it",
               "a window set too narrow (PS3.3 C.11.2.1.2)", _plainly(corruptions.narrow_window)),
    Corruption("few_levels", (64, 32, 16, 8, 4), "levels of grey that are kept",
               "a window set too wide, saved with 8 bits",
               _plainly(corruptions.few_levels)),
    Corruption("brighter", _SHIFTS, f"shift, {_RANGE}, clipped to it",
               f"a window set too low; {_HENDRYCKS}", _plainly(corruptions.brighten)),
    Corruption("darker", _DARKER, f"shift, {_RANGE}, clipped to it",
               f"a window set too high; {_HENDRYCKS}", _plainly(corruptions.brighten)),
    Corruption("gamma_low", (0.85, 0.7, 0.55, 0.4, 0.3),
               "exponent of the share of the full range", _CURVES,
               _plainly(corruptions.bend_gamma)),
    Corruption("gamma_high", (1.2, 1.5, 2.0, 2.7, 3.5),
               "exponent of the share of the full range", _CURVES,
               _plainly(corruptions.bend_gamma)),
    Corruption("rotation", (5, 10, 20, 30, 45), "degrees, to either side",
               "a head that lies askew", lambda pixels, degrees, rng: corruptions.rotate(
                   pixels, degrees * float(rng.choice([-1, 1])))),
    Corruption("motion", (0.1, 0.2, 0.35, 0.5, 0.8),
               "lines of k-space taken while the head was up to 4 % of the row elsewhere, share",
               "Shaw et al. 2019", _motion),
    Corruption("ghosting", (0.15, 0.3, 0.5, 0.7, 0.95),
               "weakening of every 2nd to 5th line of k-space, share",
               "Pérez-García et al. 2021 (TorchIO)", lambda pixels, share, rng: corruptions.ghost(
                   pixels, share, int(rng.integers(2, 6)))),
    Corruption("crop", (0.05, 0.1, 0.2, 0.3, 0.4),
               "part of the head cut off on one side, share of its extent",
               "a field of view set too small", _crop),
    Corruption("occlusion", (0.02, 0.05, 0.1, 0.2, 0.3),
               "black rectangle, share of the head's rectangle",
               "DeVries and Taylor 2017; an anonymising or annotating tool", _occlusion),
    Corruption("mirror", (1,), "left for right", _EXPORTS,
               lambda pixels, *_: corruptions.mirror(pixels)),
    Corruption("upside_down", (1,), "top for bottom", _EXPORTS,
               lambda pixels, *_: corruptions.turn_over(pixels)),
)  # fmt: skip

CORRUPTIONS: dict[str, Corruption] = {entry.name: entry for entry in _ALL}
"""By name, in the order of the report."""
