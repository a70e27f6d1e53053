"""What a file and its border say, whatever the picture shows: the features of the shortcut probe.

None of them looks at a place inside the head. Where they predict the class, a model can read the
class without looking at a brain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.arrays import Array
from slicewise.imaging.formats.content import HEAD_BYTES, content_of

FAMILIES: dict[str, tuple[str, ...]] = {
    "size": ("width", "height", "aspect"),
    "file": ("container", "mode", "bytes_per_pixel", "jpeg_coarseness", "colour"),
    "border": ("border_mean", "border_spread", "corner_mean", "border_lit", "background"),
    "levels": (
        "black_share",
        "percentile_1",
        "percentile_25",
        "percentile_50",
        "percentile_75",
        "percentile_99",
        "largest",
        "noise",
    ),
}
"""Features by family. `levels` are of the whole picture; the others cannot see a tumor."""

FEATURES = tuple(name for names in FAMILIES.values() for name in names)

_CONTAINERS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "DICOM", "NIFTI", "ZIP")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16", "I;16L", "I;16B")
_BORDER = 0.04
_BLACK = 0.04
_NORMAL = 0.6745
"""Median absolute value of a standard normal variable."""


@dataclass(frozen=True, slots=True)
class FileTraits:
    """What a file's header says.

    Args:
        container: Format by content, as a number; -1 where it is another.
        mode: Kind of pixels, as a number; -1 where it is another or the file is no picture.
        size: Bytes.
        jpeg_coarseness: Mean of the luminance quantisation table; NaN where there is none.
    """

    container: int
    mode: int
    size: int
    jpeg_coarseness: float


def file_traits(path: Path) -> FileTraits:
    """Read the header of a file that was read as slices before.

    Args:
        path: Where it lies.
    """
    with path.open("rb") as file:
        content = content_of(file.read(HEAD_BYTES))
    mode, coarseness = "", float("nan")
    if content in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        with Image.open(path, formats=(content,)) as image:
            mode = image.mode
            tables: dict[int, list[int]] = getattr(image, "quantization", {})
        coarseness = float(np.mean(tables[0])) if 0 in tables else coarseness
    return FileTraits(
        container=_CONTAINERS.index(content) if content in _CONTAINERS else -1,
        mode=_MODES.index(mode) if mode in _MODES else -1,
        size=path.stat().st_size,
        jpeg_coarseness=coarseness,
    )


def feature_vector(
    pixels: Array, colour: float | None, traits: FileTraits, slices: int = 1
) -> NDArray[np.float32]:
    """The features of one slice, in the order of `FEATURES`; NaN where there is none.

    Args:
        pixels: (H, W) float32, as stored.
        colour: Mean difference between colour channels, None where unknown.
        traits: Of its file.
        slices: How many slices the file holds.
    """
    height, width = pixels.shape
    low, *levels, high = np.percentile(pixels, (1, 25, 50, 75, 99))
    ring, corners = _ring(pixels), _corners(pixels)
    limit = pixels.min() + _BLACK * (high - pixels.min())
    values = {
        "width": width,
        "height": height,
        "aspect": height / width,
        "container": traits.container,
        "mode": traits.mode,
        "bytes_per_pixel": traits.size / slices / pixels.size,
        "jpeg_coarseness": traits.jpeg_coarseness,
        "colour": np.nan if colour is None else colour,
        "border_mean": ring.mean(),
        "border_spread": ring.std(),
        "corner_mean": corners.mean(),
        "border_lit": (ring > limit).mean(),
        "background": np.percentile(ring, 10),
        "black_share": (pixels <= limit).mean(),
        "percentile_1": low,
        "percentile_25": levels[0],
        "percentile_50": levels[1],
        "percentile_75": levels[2],
        "percentile_99": high,
        "largest": pixels.max(),
        "noise": noise_level(pixels),
    }
    return np.array([values[name] for name in FEATURES], dtype=np.float32)


def noise_level(pixels: Array) -> float:
    """Standard deviation of the noise, in pixel values, as the median answer to a noise mask.

    The mask of Immerkaer (1996, Computer Vision and Image Understanding 64:300) sees neither slopes
    nor most edges; its factor for white noise is 6. The median ignores the edges that are left.

    Args:
        pixels: (H, W) with at least 3 rows and columns.
    """
    rows = pixels[:-2] - 2 * pixels[1:-1] + pixels[2:]
    answer = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.median(np.abs(answer)) / (6 * _NORMAL))


def _ring(pixels: Array) -> Array:
    down, across = (max(1, round(side * _BORDER)) for side in pixels.shape)
    edge = np.ones(pixels.shape, dtype=bool)
    edge[down:-down, across:-across] = False
    return pixels[edge]


def _corners(pixels: Array) -> Array:
    down, across = (max(1, round(side * _BORDER)) for side in pixels.shape)
    parts = [pixels[rows, columns].ravel() for rows in (slice(down), slice(-down, None))
             for columns in (slice(across), slice(-across, None))]  # fmt: skip
    return np.concatenate(parts)
