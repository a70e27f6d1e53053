"""What can happen to the pixels (H, W) of a slice, each as a function without chance.

Where a strength is a share, it is a share of the slice's own brightness range, from its 1st to its
99th percentile, or of its own size, so that it means the same for every file.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from slicewise.arrays import Array
from slicewise.imaging.preprocess import Box

Floats = NDArray[np.floating[Any]]

_LEVELS = 255
"""Steps of an 8-bit file."""

_CENTRE_LINES = 0.02
"""Share of the middle lines of k-space that stay as they are: they hold place and brightness."""


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

    The darkest value of the slice counts as no signal.

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

    The darkest value counts as no signal.

    Args:
        field: (H, W), 0 where the factor is smallest and 1 where it is largest.
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
    turned = _picture(pixels).rotate(
        degrees, Image.Resampling.BILINEAR, fillcolor=float(pixels.min())
    )
    return np.asarray(turned, dtype=np.float32)


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
    return np.asarray(reduced.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def move_during_scan(pixels: Array, shifts: Floats) -> Array:
    """A head that moved: each line of k-space as if taken from another position.

    The middle lines stay (Shaw et al. 2019 build motion the same way, from several positions).

    Args:
        shifts: (H,) how far the head was off along the row, by line of k-space, pixels; from the
            lowest to the highest frequency down the column.
    """
    lines = np.fft.fftshift(np.fft.fft2(pixels))
    kept = np.where(_centre(pixels.shape[0]), 0.0, shifts)
    along = np.fft.fftshift(np.fft.fftfreq(pixels.shape[1]))
    return _image(lines * np.exp(-2j * np.pi * kept[:, None] * along[None]))


def ghost(pixels: Array, share: float, every: int) -> Array:
    """Ghosts along the columns: every n-th line of k-space is weakened, the middle ones stay."""
    lines = np.fft.fftshift(np.fft.fft2(pixels))
    weak = (np.arange(pixels.shape[0]) % every == 0) & ~_centre(pixels.shape[0])
    return _image(np.where(weak[:, None], (1 - share) * lines, lines))


def mirror(pixels: Array) -> Array:
    """Left for right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def turn_over(pixels: Array) -> Array:
    """Top for bottom."""
    return np.ascontiguousarray(pixels[::-1])


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


def _centre(lines: int) -> NDArray[np.bool_]:
    """The middle lines of a shifted k-space."""
    return np.abs(np.arange(lines) - lines // 2) <= _CENTRE_LINES * lines / 2


def _image(lines: NDArray[np.complexfloating[Any, Any]]) -> Array:
    return _single(np.abs(np.fft.ifft2(np.fft.ifftshift(lines))))


def _picture(pixels: Array) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))


def _single(values: Floats) -> Array:
    return np.asarray(values, dtype=np.float32)
