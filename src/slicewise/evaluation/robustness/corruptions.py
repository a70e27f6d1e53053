"""Image corruptions: what can happen to the pixels (H, W) of a slice, at five levels.

Each change is a function without chance; the catalogue at the end says what is drawn at random and
how strong a level is. Where a strength is a share, it is one of the slice's own size or brightness
range, so that it means the same for every file. The strengths are ours; the sources say where the
kind of change comes from. Level 1 is hardly noticed, 3 is plain to see, 5 is worse than most
archives hold.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from slicewise.arrays import Array
from slicewise.config import nearest
from slicewise.errors import ConfigError
from slicewise.imaging.preprocess import Box, head_box
from slicewise.imaging.slice import Slice

Floats = NDArray[np.floating[Any]]
Change = Callable[[Array, float, Generator], Array]
"""Pixels, strength and source of chance to pixels."""
_LEVELS = 255
"""Steps of an 8-bit file."""
_CENTRE_LINES = 0.02
"""Share of the middle lines of k-space that stay as they are: they hold place and brightness."""
_SHIFT = 0.04
"""Largest displacement of a moving head, share of the row."""


class Corruption(NamedTuple):
    """One kind of change, its strengths from weak to strong, and the paper or fault it is from."""

    strengths: tuple[float, ...]
    unit: str
    source: str
    change: Change


def corrupted(slice_: Slice, name: str, level: int, seed: int, key: str) -> Slice:
    """A slice with one corruption.

    What is drawn depends on the seed, the name of the change and the key of the slice, not on the
    level: stronger levels are the same change made stronger.

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


def brightness_range(pixels: Array) -> tuple[float, float]:
    """1st and 99th percentile; the extremes where those are equal, as in a nearly empty slice."""
    low, high = np.percentile(pixels, (1, 99))
    if high > low:
        return float(low), float(high)
    return float(pixels.min()), float(pixels.max())


def add_noise(pixels: Array, share: float, noise: Floats) -> Array:
    """Add noise (H, W) of unit spread, times a share of the brightness range."""
    low, high = brightness_range(pixels)
    return _single(pixels + share * (high - low) * noise)


def add_rician_noise(pixels: Array, share: float, noise: Floats) -> Array:
    """Magnitude of a complex signal with Gaussian noise (Gudbjartsson and Patz 1995).

    The darkest value counts as no signal.

    Args:
        share: Standard deviation in each channel, share of the brightness range.
        noise: (2, H, W) of unit spread: real and imaginary channel.
    """
    low, high = brightness_range(pixels)
    floor = float(pixels.min())
    sigma = share * (high - low)
    return _single(floor + np.hypot(pixels - floor + sigma * noise[0], sigma * noise[1]))


def blur(pixels: Array, share: float) -> Array:
    """Gaussian blur of a share of the longer side; the border is mirrored."""
    sigma = share * max(pixels.shape)
    return _single(gaussian_filter(pixels, sigma, mode="mirror", truncate=3.0))


def shade(pixels: Array, ratio: float, field: Floats) -> Array:
    """Multiply the signal by a smooth field, as receive coils do (Sled et al. 1998).

    The darkest value counts as no signal; `field` (H, W) is 0 where the factor is smallest, 1
    where it is largest.
    """
    floor = float(pixels.min())
    return _single(floor + (pixels - floor) * np.exp(np.log(ratio) * (field - 0.5)))


def narrow_window(pixels: Array, factor: float) -> Array:
    """Contrast about the middle of the range raised by a factor; what leaves the range is cut."""
    low, high = brightness_range(pixels)
    middle = (low + high) / 2
    return _single(np.clip(middle + factor * (pixels - middle), low, high))


def few_levels(pixels: Array, levels: int) -> Array:
    """Keep some levels of grey only, as a far too wide window saved with 8 bits does."""
    low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return pixels
    step = (high - low) / (levels - 1)
    return _single(low + np.rint((pixels - low) / step) * step)


def brighten(pixels: Array, share: float) -> Array:
    """Shift by a share of the range, which may be negative; what leaves the range is cut."""
    low, high = brightness_range(pixels)
    return _single(np.clip(pixels + share * (high - low), low, high))


def bend_gamma(pixels: Array, exponent: float) -> Array:
    """Raise the share of the full range to a power: below 1 brightens, above 1 darkens."""
    low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return pixels
    return _single(low + (high - low) * ((pixels - low) / (high - low)) ** exponent)


def rotate(pixels: Array, degrees: float) -> Array:
    """Turn about the middle, counter-clockwise; corners get the darkest value."""
    fill = float(pixels.min())
    return _single(_picture(pixels).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill))


def through_jpeg(pixels: Array, quality: int) -> Array:
    """Save as 8-bit grey JPEG of a libjpeg quality and read back; the range of values stays."""
    low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return pixels
    scale = _LEVELS / (high - low)
    buffer = BytesIO()
    stored = np.rint((pixels - low) * scale).astype(np.uint8)
    Image.fromarray(stored).save(buffer, "JPEG", quality=quality)
    return _single(low + np.asarray(Image.open(buffer), dtype=np.float32) / scale)


def coarsen(pixels: Array, share: float) -> Array:
    """Keep a share of the pixels a side, and enlarge again to the old size."""
    height, width = pixels.shape
    small = (max(2, round(width * share)), max(2, round(height * share)))
    reduced = _picture(pixels).resize(small, Image.Resampling.BOX)
    return _single(reduced.resize((width, height), Image.Resampling.BICUBIC))


def move_during_scan(pixels: Array, shifts: Floats) -> Array:
    """A head that moved: all but the middle lines of k-space from elsewhere (Shaw et al. 2019).

    Args:
        shifts: (H,) how far the head was off along the row, by line of k-space, pixels; from the
            lowest to the highest frequency down the column.
    """
    lines = np.fft.fftshift(np.fft.fft2(pixels))
    kept = np.where(_centre(pixels.shape[0]), 0.0, shifts)
    along = np.fft.fftshift(np.fft.fftfreq(pixels.shape[1]))
    lines = lines * np.exp(-2j * np.pi * kept[:, None] * along[None])
    return _single(np.abs(np.fft.ifft2(np.fft.ifftshift(lines))))


def ghost(pixels: Array, share: float, every: int) -> Array:
    """Ghosts along the columns: every n-th line of k-space is weakened, the middle ones stay."""
    lines = np.fft.fftshift(np.fft.fft2(pixels))
    weak = (np.arange(pixels.shape[0]) % every == 0) & ~_centre(pixels.shape[0])
    lines = np.where(weak[:, None], (1 - share) * lines, lines)
    return _single(np.abs(np.fft.ifft2(np.fft.ifftshift(lines))))


def cut_off(pixels: Array, head: Box, share: float, side: str) -> Array:
    """Cut the picture through the head at its `top`, `bottom`, `left` or `right`."""
    tall, wide = share * (head.bottom - head.top), share * (head.right - head.left)
    cuts = {
        "top": np.s_[round(head.top + tall) :, :],
        "bottom": np.s_[: round(head.bottom - tall), :],
        "left": np.s_[:, round(head.left + wide) :],
        "right": np.s_[:, : round(head.right - wide)],
    }
    return np.ascontiguousarray(pixels[cuts[side]])


def cover(pixels: Array, box: Box) -> Array:
    """A rectangle in the darkest value."""
    covered = pixels.copy()
    covered[box.top : box.bottom, box.left : box.right] = pixels.min()
    return covered


def _bias_field(pixels: Array, ratio: float, rng: Generator) -> Array:
    """A random polynomial of second order as the field (as in Van Leemput et al. 1999)."""
    y, x = (np.linspace(-1, 1, n) for n in pixels.shape)
    terms = rng.normal(size=5)
    field = terms[0] * x + terms[2] * x**2 + (terms[1] * y + terms[3] * y**2)[:, None]
    field = field + terms[4] * np.outer(y, x)
    return shade(pixels, ratio, (field - field.min()) / np.ptp(field))


def _motion(pixels: Array, share: float, rng: Generator) -> Array:
    """Blocks of lines taken while the head was elsewhere; a stronger level adds blocks."""
    lines = pixels.shape[0]
    blocks = np.array_split(np.arange(lines), min(lines, 24))
    order = rng.permutation(len(blocks))
    offsets = rng.uniform(-_SHIFT, _SHIFT, len(blocks)) * pixels.shape[1]
    shifts = np.zeros(lines)
    for block in order[: round(share * len(blocks))]:
        shifts[blocks[block]] = offsets[block]
    return move_during_scan(pixels, shifts)


def _crop(pixels: Array, share: float, rng: Generator) -> Array:
    side = str(rng.choice(["top", "bottom", "left", "right"]))
    return cut_off(pixels, head_box(pixels), share, side)


def _occlusion(pixels: Array, share: float, rng: Generator) -> Array:
    """A rectangle of the head's proportions, anywhere within the head's rectangle."""
    head = head_box(pixels)
    tall, wide = head.bottom - head.top, head.right - head.left
    height, width = (max(1, round(side * np.sqrt(share))) for side in (tall, wide))
    place = rng.random(2)
    top = head.top + round(float(place[0]) * (tall - height))
    left = head.left + round(float(place[1]) * (wide - width))
    return cover(pixels, Box(top, left, top + height, left + width))


def _centre(lines: int) -> NDArray[np.bool_]:
    return np.abs(np.arange(lines) - lines // 2) <= _CENTRE_LINES * lines / 2


def _picture(pixels: Array) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))


def _single(values: Floats | Image.Image) -> Array:
    return np.asarray(values, dtype=np.float32)


def _plainly(change: Callable[[Array, Any], Array]) -> Change:
    return lambda pixels, strength, _: change(pixels, strength)


_RANGE = "share of the 1-99 percentile range"
_CURVES = "exponent of the share of the full range", "display curves of other devices"
_EXPORTS = "exports of other tools"
_HENDRYCKS = "Hendrycks and Dietterich 2019"
_NOISE = (0.02, 0.05, 0.1, 0.15, 0.2)
_SHIFTS = (0.05, 0.1, 0.2, 0.3, 0.45)

CORRUPTIONS = {
    "gaussian_noise": Corruption(
        _NOISE, f"standard deviation, {_RANGE}", _HENDRYCKS,
        lambda pixels, share, rng: add_noise(
            pixels, share, rng.standard_normal(pixels.shape, np.float32))),
    "rician_noise": Corruption(
        _NOISE, f"standard deviation a channel, {_RANGE}", "Gudbjartsson and Patz 1995",
        lambda pixels, share, rng: add_rician_noise(
            pixels, share, rng.standard_normal((2, *pixels.shape), np.float32))),
    "blur": Corruption(
        (0.002, 0.004, 0.008, 0.012, 0.02),
        "standard deviation of the Gaussian, share of the longer side", _HENDRYCKS, _plainly(blur)),
    "resolution": Corruption(
        (0.6, 0.4, 0.25, 0.17, 0.12), "pixels a side that are kept, share; then enlarged again",
        f"a low acquisition matrix; {_HENDRYCKS} (pixelate)", _plainly(coarsen)),
    "jpeg": Corruption((70, 40, 20, 10, 5), "libjpeg quality", _HENDRYCKS, _plainly(through_jpeg)),
    "bias_field": Corruption(
        (1.3, 1.7, 2.5, 4.0, 6.0), "largest over smallest factor of the field",
        "Sled et al. 1998; Van Leemput et al. 1999", _bias_field),
    "narrow_window": Corruption(
        (1.2, 1.5, 2.0, 3.0, 5.0), "contrast factor about the middle of the range, clipped to it",
        "a window set too narrow (PS3.3 C.11.2.1.2)", _plainly(narrow_window)),
    "few_levels": Corruption(
        (64, 32, 16, 8, 4), "levels of grey that are kept",
        "a window set too wide, saved with 8 bits", _plainly(few_levels)),
    "brighter": Corruption(
        _SHIFTS, f"shift, {_RANGE}, clipped to it",
        f"a window set too low; {_HENDRYCKS}", _plainly(brighten)),
    "darker": Corruption(
        tuple(-share for share in _SHIFTS), f"shift, {_RANGE}, clipped to it",
        f"a window set too high; {_HENDRYCKS}", _plainly(brighten)),
    "gamma_low": Corruption((0.85, 0.7, 0.55, 0.4, 0.3), *_CURVES, _plainly(bend_gamma)),
    "gamma_high": Corruption((1.2, 1.5, 2.0, 2.7, 3.5), *_CURVES, _plainly(bend_gamma)),
    "rotation": Corruption(
        (5, 10, 20, 30, 45), "degrees, to either side", "a head that lies askew",
        lambda pixels, degrees, rng: rotate(pixels, degrees * float(rng.choice([-1, 1])))),
    "motion": Corruption(
        (0.1, 0.2, 0.35, 0.5, 0.8),
        "lines of k-space taken while the head was up to 4 % of the row elsewhere, share",
        "Shaw et al. 2019", _motion),
    "ghosting": Corruption(
        (0.15, 0.3, 0.5, 0.7, 0.95), "weakening of every 2nd to 5th line of k-space, share",
        "Pérez-García et al. 2021 (TorchIO)",
        lambda pixels, share, rng: ghost(pixels, share, int(rng.integers(2, 6)))),
    "crop": Corruption(
        (0.05, 0.1, 0.2, 0.3, 0.4), "part of the head cut off on one side, share of its extent",
        "a field of view set too small", _crop),
    "occlusion": Corruption(
        (0.02, 0.05, 0.1, 0.2, 0.3), "black rectangle, share of the head's rectangle",
        "DeVries and Taylor 2017; an anonymising or annotating tool", _occlusion),
    "mirror": Corruption(
        (1,), "left for right", _EXPORTS, lambda pixels, *_: np.ascontiguousarray(pixels[:, ::-1])),
    "upside_down": Corruption(
        (1,), "top for bottom", _EXPORTS, lambda pixels, *_: np.ascontiguousarray(pixels[::-1])),
}  # fmt: skip
"""By name, in the order of the report."""
