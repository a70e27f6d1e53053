"""Small pictures for the page, read again from their files."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from slicewise.arrays import Array
from slicewise.data.build.sources import Item
from slicewise.errors import InputError
from slicewise.imaging.read import read_slice

_SIDE = 128
_QUALITY = 82


class Pictures:
    """Data addresses of slices, each file read at most once."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._made: dict[int, str] = {}

    def address(self, index: int) -> str:
        """A `data:` address of a small grey JPEG; empty where the file can no longer be read."""
        if index not in self._made:
            try:
                pixels = read_slice(self._items[index].reference).pixels
            except InputError:
                self._made[index] = ""
            else:
                self._made[index] = _data_address(pixels)
        return self._made[index]


def _data_address(pixels: Array) -> str:
    low, high = (float(value) for value in np.percentile(pixels, (0.5, 99.7)))
    scale = 255 / (high - low) if high > low else 0.0
    grey = np.clip((pixels - low) * scale, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
