"""Stored values to modality values: rescale, lookup tables, inversion, padding (PS3.3 C.7.6, C.11).

Plain numbers in, plain numbers out; `dicom.py` takes the numbers from a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.errors import InputError
from slicewise.imaging.slice import Window

Values = NDArray[Any]


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
        """Look values of any shape up; those outside the table take its nearest end."""
        index = np.rint(values).astype(np.int64) - self.first
        return self.entries[np.clip(index, 0, len(self.entries) - 1)]


def rescale(values: Values, slope: float, intercept: float) -> Values:
    """Modality values by PS3.3 C.11.1.1.2: slope times stored value plus intercept.

    Args:
        values: Stored values, any shape.
        slope: Rescale Slope (0028,1053).
        intercept: Rescale Intercept (0028,1052), in modality units.

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
        values: Modality values of a MONOCHROME1 image, any shape.
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
    """The window as a linear one, None where its width is not allowed.

    Args:
        center: Window Center (0028,1050), modality values.
        width: Window Width (0028,1051), modality values.
        function: VOI LUT Function (0028,1056). LINEAR_EXACT is rewritten to the same line as
            LINEAR; SIGMOID keeps its centre and width, which approximate it.
    """
    if function == "LINEAR_EXACT":
        center, width = center + 0.5, width + 1
    return Window(center, width) if width >= 1 else None


def is_padding(stored: Values, value: int, limit: int | None) -> NDArray[np.bool_]:
    """Which stored values are Pixel Padding Value (0028,0120), up to its range limit (0028,0121).

    Args:
        stored: Stored values, any shape.
        value: Pixel Padding Value.
        limit: Pixel Padding Range Limit, the other end of the range, on either side.
    """
    ends = (value, value if limit is None else limit)
    return np.asarray((stored >= min(ends)) & (stored <= max(ends)))


def fill_padding(values: Values, padding: NDArray[np.bool_]) -> Values:
    """Set padding to the smallest value that is none; all of it padding leaves it unchanged.

    Args:
        values: Modality values, larger is brighter, any shape.
        padding: Which of them are padding, same shape.
    """
    if not padding.any() or padding.all():
        return values
    return np.where(padding, values[~padding].min(), values)
