"""Graded perturbations of slices: what is drawn at random, how strong each of five levels is.

The strengths are ours; the sources say where the kind of change and its physics come from. Level 1
is what a reader hardly notices, level 3 is plain to see, level 5 is worse than most archives hold.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from slicewise.arrays import Array
from slicewise.errors import ConfigError
from slicewise.evaluation.robustness import corruptions as artefacts
from slicewise.imaging.preprocess import Box, head_box
from slicewise.imaging.slice import Slice

Change = Callable[[Array, float, Generator], Array]
"""Pixels, strength and source of chance to pixels."""

_SHIFT = 0.04
"""Largest displacement of a moving head, share of the row."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One kind of change with its strengths.

    Args:
        name: What it is called in reports.
        strengths: From the weakest to the strongest; one only where there are no degrees.
        unit: What the strengths are measured in.
        source: Where it comes from: a paper, or what it imitates.
        change: Draws what is random and applies it.
    """

    name: str
    strengths: tuple[float, ...]
    unit: str
    source: str
    change: Change


def perturbed(slice_: Slice, name: str, level: int, seed: int, key: str) -> Slice:
    """A slice with one perturbation.

    The random draws depend on the seed, the name of the change and the key of the slice. They do
    not depend on the level, so that stronger levels are the same change made stronger.

    Args:
        slice_: Left as it is.
        name: One of `PERTURBATIONS`.
        level: 1 for the weakest.
        seed: Of the random draws.
        key: What tells this slice from others, such as the hash of its content.

    Raises:
        ConfigError: The perturbation or the level is unknown.
    """
    chosen = _known(name)
    if not 1 <= level <= len(chosen.strengths):
        raise ConfigError(f"{name}: expected a level of 1 to {len(chosen.strengths)}; got {level}")
    own = zlib.crc32(key.encode()), zlib.crc32(name.encode())
    rng = np.random.default_rng((seed, *own))
    return replace(slice_, pixels=chosen.change(slice_.pixels, chosen.strengths[level - 1], rng))


def _known(name: str) -> Perturbation:
    if name not in PERTURBATIONS:
        near = get_close_matches(name, PERTURBATIONS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(PERTURBATIONS)}"
        raise ConfigError(f"perturbation {name!r} is unknown{hint}")
    return PERTURBATIONS[name]


def _gaussian_noise(pixels: Array, share: float, rng: Generator) -> Array:
    return artefacts.add_noise(pixels, share, _normal(rng, *pixels.shape))


def _rician_noise(pixels: Array, share: float, rng: Generator) -> Array:
    return artefacts.add_rician_noise(pixels, share, _normal(rng, 2, *pixels.shape))


def _blur(pixels: Array, share: float, rng: Generator) -> Array:
    return artefacts.blur(pixels, share)


def _bias_field(pixels: Array, ratio: float, rng: Generator) -> Array:
    """A random polynomial of second order as the field (as in Van Leemput et al. 1999)."""
    y, x = (np.linspace(-1, 1, n) for n in pixels.shape)
    terms = rng.normal(size=5)
    field = terms[0] * x + terms[2] * x**2 + (terms[1] * y + terms[3] * y**2)[:, None]
    field = field + terms[4] * np.outer(y, x)
    return artefacts.shade(pixels, ratio, (field - field.min()) / np.ptp(field))


def _narrow_window(pixels: Array, factor: float, rng: Generator) -> Array:
    return artefacts.narrow_window(pixels, factor)


def _few_levels(pixels: Array, levels: float, rng: Generator) -> Array:
    return artefacts.few_levels(pixels, int(levels))


def _brightness(pixels: Array, share: float, rng: Generator) -> Array:
    return artefacts.brighten(pixels, share)


def _gamma(pixels: Array, exponent: float, rng: Generator) -> Array:
    return artefacts.bend_gamma(pixels, exponent)


def _rotation(pixels: Array, degrees: float, rng: Generator) -> Array:
    return artefacts.rotate(pixels, degrees * float(rng.choice([-1, 1])))


def _jpeg(pixels: Array, quality: float, rng: Generator) -> Array:
    return artefacts.through_jpeg(pixels, int(quality))


def _resolution(pixels: Array, share: float, rng: Generator) -> Array:
    return artefacts.coarsen(pixels, share)


def _motion(pixels: Array, share: float, rng: Generator) -> Array:
    """Blocks of lines taken while the head was elsewhere; a stronger level adds blocks."""
    lines = pixels.shape[0]
    blocks = np.array_split(np.arange(lines), min(lines, 24))
    order = rng.permutation(len(blocks))
    offsets = rng.uniform(-_SHIFT, _SHIFT, len(blocks)) * pixels.shape[1]
    shifts = np.zeros(lines)
    for block in order[: round(share * len(blocks))]:
        shifts[blocks[block]] = offsets[block]
    return artefacts.move_during_scan(pixels, shifts)


def _ghosting(pixels: Array, share: float, rng: Generator) -> Array:
    return artefacts.ghost(pixels, share, int(rng.integers(2, 6)))


def _mirror(pixels: Array, strength: float, rng: Generator) -> Array:
    return artefacts.mirror(pixels)


def _upside_down(pixels: Array, strength: float, rng: Generator) -> Array:
    return artefacts.turn_over(pixels)


def _crop(pixels: Array, share: float, rng: Generator) -> Array:
    side = str(rng.choice(["top", "bottom", "left", "right"]))
    return artefacts.cut_off(pixels, head_box(pixels), share, side)


def _occlusion(pixels: Array, share: float, rng: Generator) -> Array:
    """A rectangle of the head's proportions, anywhere within the head's rectangle."""
    head = head_box(pixels)
    tall, wide = head.bottom - head.top, head.right - head.left
    height, width = (max(1, round(side * np.sqrt(share))) for side in (tall, wide))
    place = rng.random(2)
    top = head.top + round(float(place[0]) * (tall - height))
    left = head.left + round(float(place[1]) * (wide - width))
    return artefacts.cover(pixels, Box(top, left, top + height, left + width))


def _normal(rng: Generator, *shape: int) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32)


_ALL = (
    Perturbation(
        "gaussian_noise", (0.02, 0.05, 0.1, 0.15, 0.2),
        "standard deviation, share of the 1-99 percentile range",
        "Hendrycks and Dietterich 2019", _gaussian_noise,
    ),
    Perturbation(
        "rician_noise", (0.02, 0.05, 0.1, 0.15, 0.2),
        "standard deviation a channel, share of the 1-99 percentile range",
        "Gudbjartsson and Patz 1995", _rician_noise,
    ),
    Perturbation(
        "blur", (0.002, 0.004, 0.008, 0.012, 0.02),
        "standard deviation of the Gaussian, share of the longer side",
        "Hendrycks and Dietterich 2019", _blur,
    ),
    Perturbation(
        "resolution", (0.6, 0.4, 0.25, 0.17, 0.12),
        "pixels a side that are kept, share; then enlarged again",
        "a low acquisition matrix; Hendrycks and Dietterich 2019 (pixelate)", _resolution,
    ),
    Perturbation(
        "jpeg", (70, 40, 20, 10, 5),
        "libjpeg quality", "Hendrycks and Dietterich 2019", _jpeg,
    ),
    Perturbation(
        "bias_field", (1.3, 1.7, 2.5, 4.0, 6.0),
        "largest over smallest factor of the field",
        "Sled et al. 1998; Van Leemput et al. 1999", _bias_field,
    ),
    Perturbation(
        "narrow_window", (1.2, 1.5, 2.0, 3.0, 5.0),
        "contrast factor about the middle of the range, clipped to it",
        "a window set too narrow (PS3.3 C.11.2.1.2)", _narrow_window,
    ),
    Perturbation(
        "few_levels", (64, 32, 16, 8, 4),
        "levels of grey that are kept", "a window set too wide, saved with 8 bits", _few_levels,
    ),
    Perturbation(
        "brighter", (0.05, 0.1, 0.2, 0.3, 0.45),
        "shift, share of the 1-99 percentile range, clipped to it",
        "a window set too low; Hendrycks and Dietterich 2019", _brightness,
    ),
    Perturbation(
        "darker", (-0.05, -0.1, -0.2, -0.3, -0.45),
        "shift, share of the 1-99 percentile range, clipped to it",
        "a window set too high; Hendrycks and Dietterich 2019", _brightness,
    ),
    Perturbation(
        "gamma_low", (0.85, 0.7, 0.55, 0.4, 0.3),
        "exponent of the share of the full range", "display curves of other devices", _gamma,
    ),
    Perturbation(
        "gamma_high", (1.2, 1.5, 2.0, 2.7, 3.5),
        "exponent of the share of the full range", "display curves of other devices", _gamma,
    ),
    Perturbation(
        "rotation", (5, 10, 20, 30, 45),
        "degrees, to either side", "a head that lies askew", _rotation,
    ),
    Perturbation(
        "motion", (0.1, 0.2, 0.35, 0.5, 0.8),
        "lines of k-space taken while the head was up to 4 % of the row elsewhere, share",
        "Shaw et al. 2019", _motion,
    ),
    Perturbation(
        "ghosting", (0.15, 0.3, 0.5, 0.7, 0.95),
        "weakening of every 2nd to 5th line of k-space, share",
        "Pérez-García et al. 2021 (TorchIO)", _ghosting,
    ),
    Perturbation(
        "crop", (0.05, 0.1, 0.2, 0.3, 0.4),
        "part of the head cut off on one side, share of its extent",
        "a field of view set too small", _crop,
    ),
    Perturbation(
        "occlusion", (0.02, 0.05, 0.1, 0.2, 0.3),
        "black rectangle, share of the head's rectangle",
        "DeVries and Taylor 2017; an anonymising or annotating tool", _occlusion,
    ),
    Perturbation("mirror", (1,), "left for right", "exports of other tools", _mirror),
    Perturbation("upside_down", (1,), "top for bottom", "exports of other tools", _upside_down),
)  # fmt: skip

PERTURBATIONS: dict[str, Perturbation] = {entry.name: entry for entry in _ALL}
"""By name, in the order of the report."""
