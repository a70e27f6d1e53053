"""A strange picture as it comes out of a file: 8-bit values, at times through JPEG or in colour."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array
from slicewise.imaging.formats.pixels import luminance

Bytes = NDArray[np.uint8]

SMALLEST_SIDE, LARGEST_SIDE = 100, 600
_JPEG_SHARE = 0.5
_JPEG_QUALITY = (55, 96)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels as a reader of files would hand them on.

    Args:
        pixels: (H, W) float32.
        colour: As `Slice.colour`: mean difference between the brightest and the darkest channel,
            in [0, 1]; None for a grey picture.
    """

    pixels: Array
    colour: float | None = None


def draw_side(rng: Generator) -> int:
    """A side of 100 to 600 pixels, each doubling equally likely."""
    low, high = np.log([SMALLEST_SIDE, LARGEST_SIDE])
    return round(float(np.exp(rng.uniform(low, high))))


def resized(values: NDArray[Any], width: int, height: int) -> Array:
    """(H, W) numbers resized with a bicubic filter, widened when shrinking; float32."""
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def fitted(values: NDArray[Any], side: int) -> Array:
    """(H, W) numbers resized so that the longer side is `side`."""
    scale = side / max(values.shape)
    height, width = (max(1, round(length * scale)) for length in values.shape)
    return resized(values, width, height)


def saved(values: NDArray[Any], rng: Generator) -> Picture:
    """A grey picture written with 8 bits, every other one through JPEG.

    Args:
        values: (H, W); 0 is black and 1 white, the rest is clipped.
        rng: Decides about JPEG and its quality.
    """
    return Picture(_stored(to_bytes(values), rng).astype(np.float32))


def saved_in_colour(pixels: Bytes, rng: Generator) -> Picture:
    """A colour picture written to a file and read back as brightness.

    Args:
        pixels: (H, W, 3).
        rng: Decides about JPEG and its quality.
    """
    stored = _stored(pixels, rng)
    spread = stored.max(axis=2).astype(np.float32) - stored.min(axis=2)
    return Picture(luminance(stored), float(spread.mean() / 255))


def to_bytes(values: NDArray[Any]) -> Bytes:
    """[0, 1] to 0 to 255, clipped and rounded."""
    return np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8)


def _stored(pixels: Bytes, rng: Generator) -> Bytes:
    if rng.random() >= _JPEG_SHARE:
        return pixels
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(*_JPEG_QUALITY)))
    return np.asarray(Image.open(buffer), dtype=np.uint8)
