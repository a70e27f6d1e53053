"""Arithmetic on pixel values, plain numbers in and out; the readers take the numbers from files.

Stored values to modality values: rescale, lookup tables, inversion, padding (PS3.3 C.7.6, C.11).
What every format shares: colour to brightness, and values that must be finite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array, Bools, Bytes
from slicewise.errors import InputError
from slicewise.imaging.slice import Window

Values = NDArray[Any]
"""Of one picture or several, any shape and number type."""

_REC601 = np.array([19595, 38470, 7471], dtype=np.uint32)  # of 65536, as Pillow's mode L has them
_HALF = np.uint32(0x8000)
_COLOUR_SIDE = 128


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A Modality or VOI LUT (PS3.3 C.11.1.1, C.11.2.1.1).

    Args:
        first: Input value that the first entry stands for.
        entries: (N,) output values.
    """

    first: int
    entries: Values

    def apply(self, values: Values) -> Values:
        """Look values up; those outside the table take its nearest end."""
        index = np.rint(values).astype(np.int64) - self.first
        return self.entries[np.clip(index, 0, len(self.entries) - 1)]


def expand_segments(segments: Values, count: int) -> Values:
    """The entries of a segmented palette (PS3.3 C.7.9.2): values, lines, and repeats of both.

    Args:
        segments: (M,) unsigned, of 8 or 16 bit.
        count: Entries of the palette; those beyond are left out.

    Raises:
        InputError: A segment is of another kind, or is cut off.
    """
    size, entries = segments.dtype.itemsize, list[int]()
    data: list[int] = segments.tolist()
    for kind, length, values in _segments(data, size):
        copied = [(kind, length, values)]
        if kind == 2:
            offset = sum(value << (8 * size * i) for i, value in enumerate(values))
            copied = list(_segments(data, size, offset // size, length))
        for each, width, content in copied:
            if each == 0:
                entries += content
            elif each == 1 and entries:
                line = np.linspace(entries[-1], content[0], width + 1)[1:]
                entries += np.rint(line).astype(int).tolist()
            else:
                raise InputError("expected a palette of values and lines, got another segment")
            if len(entries) >= count:
                return np.array(entries[:count])
    return np.array(entries)


def _segments(
    data: list[int], size: int, at: int = 0, most: int = 0x10000
) -> Iterator[tuple[int, int, list[int]]]:
    """Kind, length and content of the segments from `at` on; padding may follow them."""
    while at + 1 < len(data) and most:
        kind, length = data[at : at + 2]
        if not length:
            return
        words = {0: length, 1: 1, 2: 4 // size}.get(kind, 0)
        content = data[at + 2 : at + 2 + words]
        if kind > 2 or len(content) < words:
            raise InputError("expected a palette of complete segments, got other ones")
        yield kind, length, content
        at, most = at + 2 + words, most - 1


def rescale(values: Values, slope: float, intercept: float) -> Values:
    """Modality values by PS3.3 C.11.1.1.2: slope times stored value plus intercept.

    Raises:
        InputError: The slope is zero, which would make every pixel equal.
    """
    if slope == 0:
        raise InputError("expected Rescale Slope (0028,1053) other than 0, got 0")
    if slope == 1 and intercept == 0:
        return values
    return values.astype(np.float64) * slope + intercept


def stored_range(bits_stored: int, signed: bool) -> tuple[int, int]:
    """Smallest and largest value that Bits Stored and Pixel Representation allow.

    Raises:
        InputError: Bits Stored is not from 1 to 64.
    """
    if not 1 <= bits_stored <= 64:
        raise InputError(f"expected Bits Stored (0028,0101) from 1 to 64, got {bits_stored}")
    half = 1 << (bits_stored - 1)
    return (-half, half - 1) if signed else (0, 2 * half - 1)


def invert(values: Values, low: float, high: float) -> Values:
    """Mirror values about the middle of their possible range, so that larger is brighter.

    Args:
        values: Modality values of a MONOCHROME1 image.
        low: Modality value at one end of the stored range.
        high: Modality value at its other end.
    """
    return (low + high) - values.astype(np.float64)


def invert_window(window: Window, low: float, high: float) -> Window:
    """The window that shows inverted values as the given one showed the originals.

    The linear function of PS3.3 C.11.2.1.2 is symmetric about center - 0.5, hence the 1.
    """
    return Window(low + high - window.center + 1, window.width)


def linear_window(center: float, width: float, function: str) -> Window | None:
    """The window, in modality values, as a linear one; None where its width is not allowed.

    Args:
        center: Window Center (0028,1050).
        width: Window Width (0028,1051).
        function: VOI LUT Function (0028,1056). LINEAR_EXACT is rewritten to the same line as
            LINEAR; SIGMOID keeps its centre and width, which approximate it.
    """
    if function == "LINEAR_EXACT":
        center, width = center + 0.5, width + 1
    return Window(center, width) if width >= 1 else None


def signed_as(value: float, low: int, high: int, sizes: Iterable[int]) -> float:
    """A number whose bits were written as signed among unsigned ones, or the other way round.

    Args:
        value: As it was written.
        low: The smallest value that it may have; the values have a sign if it is negative.
        high: The largest one.
        sizes: Numbers of bits that it may have been written with.

    Returns:
        Its other reading, where that lies from `low` to `high` and the first does not.
    """
    sign = -1 if low < 0 else 1
    readings = (value, *(value + sign * (1 << size) for size in sizes))
    return next((reading for reading in readings if low <= reading <= high), value)


def is_padding(stored: Values, value: float | None, limit: float | None) -> Bools:
    """Which stored values are padding.

    Args:
        value: Pixel Padding Value (0028,0120), None where there is no padding.
        limit: Pixel Padding Range Limit (0028,0121), the other end of the range, on either side.
    """
    if value is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    kind = float if stored.dtype.kind == "f" else int
    ends = kind(value), kind(value if limit is None else limit)
    return np.asarray((stored >= min(ends)) & (stored <= max(ends)))


def fill_padding(values: Values, padding: Bools) -> Values:
    """Set padding to the smallest value that is none; all of it padding leaves it unchanged."""
    if not padding.any() or padding.all():
        return values
    return np.where(padding, values[~padding].min(), values)


def fill_non_finite(volume: Array) -> Array:
    """Replace NaN and infinity by the smallest finite value, the darkest of the volume.

    Raises:
        InputError: Nothing is finite.
    """
    wrong = ~np.isfinite(volume)
    if wrong.all():
        raise InputError("expected finite voxels, got only NaN or infinite ones")
    return fill_padding(volume, wrong)


def require_finite(pixels: Values) -> Array:
    """The pixels as float32, once it is sure that each of them is a number.

    Raises:
        InputError: A pixel is NaN or infinite.
    """
    with np.errstate(over="ignore"):
        values = pixels.astype(np.float32)
    if wrong := np.count_nonzero(~np.isfinite(values)):
        counts = f"{wrong:,} of {values.size:,}"
        raise InputError(f"expected finite pixels, got {counts} NaN or infinite")
    return values


def luminance(rgb: Values) -> Array:
    """Brightness of colour pixels by ITU-R BT.601, rounded as Pillow rounds its mode L.

    Args:
        rgb: (H, W, 3) unsigned, of any size.

    Returns:
        (H, W) float32 in the range of the input.
    """
    if rgb.dtype.itemsize > 2:
        return (rgb @ (_REC601 / 65536)).astype(np.float32)
    weighted = rgb.astype(np.uint32) @ _REC601  # 65535 * 65536 + 0x8000 still fits
    return ((weighted + _HALF) >> 16).astype(np.float32)


def colour_difference(picture: Image.Image) -> float:
    """Mean difference between the brightest and the darkest channel, in [0, 1]; 0 for grey.

    Measured on a copy of at most 128 x 128 pixels, in which the colour noise of JPEG averages out.
    """
    picture.thumbnail((_COLOUR_SIDE, _COLOUR_SIDE), Image.Resampling.BOX)
    channels = np.asarray(picture, dtype=np.float32) / 255
    return float((channels.max(axis=2) - channels.min(axis=2)).mean())


def eight_bits(values: Values, top: int) -> Bytes:
    """Unsigned values from 0 to `top`, which is 1 or more, as 0 to 255, rounded."""
    if top == 255:
        return values.astype(np.uint8, copy=False)
    if top > 0xFFFF:
        return np.rint(values * (255 / top)).astype(np.uint8)
    return ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)
