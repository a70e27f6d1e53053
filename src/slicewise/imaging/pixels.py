"""Arithmetic that every format shares: colour to brightness, and values that must be finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.errors import InputError
from slicewise.imaging.slice import Array

_REC601 = np.array([19595, 38470, 7471], dtype=np.uint32)  # of 65536, as Pillow's mode L has them
_HALF = np.uint32(0x8000)


def luminance(rgb: NDArray[Any]) -> Array:
    """Brightness of colour pixels by ITU-R BT.601, rounded as Pillow rounds its mode L.

    Args:
        rgb: (H, W, 3) unsigned, 8 or 16 bit.

    Returns:
        (H, W) float32 in the range of the input.
    """
    weighted = rgb.astype(np.uint32) @ _REC601  # 65535 * 65536 + 0x8000 still fits
    return ((weighted + _HALF) >> 16).astype(np.float32)


def require_finite(pixels: NDArray[Any]) -> Array:
    """The pixels as float32, once it is sure that each of them is a number.

    Args:
        pixels: Any shape, any real type.

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
