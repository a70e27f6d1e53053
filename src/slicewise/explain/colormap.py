"""Colours for heat maps whose lightness rises evenly, so that equal steps look equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array
from slicewise.errors import ConfigError

# Thirteen anchors each. CIELAB lightness rises in a straight line while the hue turns; the chroma
# is the largest that sRGB holds up to a limit. Nothing is lost in print or to colour blindness.
_ANCHORS = {
    "ember": "000f3c 200076 58006c 7e006b a10269 c60164 e5215a f84950 ff714d ff9657 ffb56a ffd286 "
    "ffedb1",
    "lagoon": "000f4d 002550 00375b 034a67 015c74 077080 02848a 0a998f 01b08b 39c57b 81d472 b9e26f "
    "efee75",
    "grey": "000000 ffffff",
}
COLORMAPS = tuple(_ANCHORS)


def colours(values: Array, colormap: str) -> NDArray[np.uint8]:
    """RGB colours (..., 3) of values (...) in [0, 1].

    Raises:
        ConfigError: There is no such colormap.
    """
    if colormap not in _ANCHORS:
        raise ConfigError(f"colormap: expected one of {', '.join(COLORMAPS)}, got {colormap!r}")
    anchors = np.array([list(bytes.fromhex(code)) for code in _ANCHORS[colormap].split()])
    stops = np.linspace(0, 1, len(anchors))
    levels = np.linspace(0, 1, 256)
    table = np.stack([np.interp(levels, stops, channel) for channel in anchors.T], axis=1)
    index = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    picked: NDArray[np.uint8] = np.rint(table).astype(np.uint8)[index]
    return picked
