"""Arithmetic that every format shares: colour to brightness, and values that must be finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array
from slicewise.errors import InputError

_REC601 = np.array([19595, 38470, 7471], dtype=np.uint32)  # of 65536, as Pillow's mode L has them
_HALF = np.uint32(0x8000)
_COLOUR_SIDE = 128


def luminance(rgb: NDArray[Any]) -> Array:
    """Brightness of colour pixels by ITU-R BT.601, rounded as Pillow rounds its mode L.

    Args:
        rgb: (H, W, 3) unsigned, 8 or 16 bit.

    Returns:
        (H, W) float32 in the range of the input.
    """
    weighted = rgb.astype(np.uint32) @ _REC601  # 65535 * 65536 + 0x8000 still fits
    return ((weighted + _HALF) >> 16).astype(np.float32)


def colour_difference(picture: Image.Image) -> float:
    """Mean difference between the brightest and the darkest channel, in [0, 1]; 0 for grey.

    Measured on a copy of at most 128 x 128 pixels, in which the colour noise of JPEG averages out.
    """
    picture.thumbnail((_COLOUR_SIDE, _COLOUR_SIDE), Image.Resampling.BOX)
    channels = np.asarray(picture, dtype=np.float32) / 255
    return float((channels.max(axis=2) - channels.min(axis=2)).mean())


def eight_bits(values: NDArray[Any], top: int) -> NDArray[np.uint8]:
    """Unsigned values from 0 to `top` as 0 to 255, rounded.

    Args:
        values: Any shape, unsigned, 8 or 16 bit.
        top: Largest value there can be, at least 1.
    """
    if top == 255:
        return values.astype(np.uint8, copy=False)
    return ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def require_finite(pixels: NDArray[Any]) -> Array:
    """The pixels as float32, once it is sure that each of them is a number.

    Raises:
        InputError: A pixel is NaN or infinite.
    """
    with np.errstate(over="ignore"):
        values = pixels.astype(np.float32)
    wrong = int(values.size - np.count_nonzero(np.isfinite(values)))
    if wrong:
        raise InputError(
            f"expected finite pixels, got {wrong:,} of {values.size:,} NaN or infinite"
        )
    return values


def fill_non_finite(volume: Array) -> Array:
    """Replace NaN and infinity by the smallest finite value, the darkest of the volume.

    Args:
        volume: Any shape, float32.

    Raises:
        InputError: Nothing is finite.
    """
    good = np.isfinite(volume)
    if good.all():
        return volume
    if not good.any():
        raise InputError("expected finite voxels, got only NaN or infinite ones")
    return np.where(good, volume, volume[good].min())
