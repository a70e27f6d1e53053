"""Pictures beside predictions, base64 PNG; or heat maps as numbers, for who draws by themselves."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from slicewise.errors import ConfigError
from slicewise.explain.heatmap import Box, heat_map_of
from slicewise.explain.overlay import DEFAULT_STYLE, OverlayStyle, display, overlay
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Answer
from slicewise.inference.results import SeriesAnswers

LONGEST_SIDE = 1024  # pixels; larger slices are drawn smaller
_DECIMALS, _NUMBER_BYTES = 5, 8  # of a number of a map
_FAST = 1  # of zlib; a smaller file would take three times as long
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP, _GREY, _COLOUR = 2, 0, 2  # filter type; colour types


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn of a prediction; `target` is the class, None for the answered one.

    With `numbers` nothing is drawn: the maps of all classes are given as they are. With `box` the
    evidence has a box round it.
    """

    target: str | None = None
    style: OverlayStyle = DEFAULT_STYLE
    original: bool = False
    numbers: bool = False
    box: bool = False

    def require_class(self, classes: Sequence[str]) -> None:
        """Raise a ConfigError where the model has no class of the name of the target."""
        if self.target is not None and self.target not in classes:
            raise ConfigError(
                f"target: expected one of {', '.join(classes)}; got {self.target[:40]!r}"
            )


@dataclass(frozen=True, slots=True)
class Maps:
    """Heat maps as numbers: raw Grad-CAM, and the square of the slice on which it lies.

    `values` has (h, w) numbers of at least 0 for each class, `top`, `left` and `side` are pixels of
    the slice, `rows` and `columns` are its size.
    """

    values: dict[str, list[list[float]]]
    top: int
    left: int
    side: int
    rows: int
    columns: int

    @property
    def size(self) -> int:
        """About how many bytes of JSON."""
        return sum(_NUMBER_BYTES * len(row) for rows in self.values.values() for row in rows)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Base64 PNG; `original` where it was wanted, and row and column of the strongest evidence.

    `box`, where it was wanted, is in pixels of the picture, which may be smaller than the slice.
    """

    heatmap: str
    original: str | None
    target: str
    peak: tuple[int, int] | None
    box: Box | None = None

    @property
    def size(self) -> int:
        return len(self.heatmap) + len(self.original or "")


def draw(slice_: Slice, answer: Answer, drawing: Drawing) -> Pictures | Maps:
    """Draw the prediction for one slice, or give its maps."""
    if drawing.numbers:
        raw = np.round(answer.cam.astype(np.float64), _DECIMALS).tolist()
        values = dict(zip(answer.prediction.probabilities, raw, strict=True))
        place, (rows, columns) = answer.placement, slice_.shape
        return Maps(values, place.top, place.left, place.side, rows, columns)
    heat = heat_map_of(slice_, answer, drawing.target)
    drawn = shrunk(overlay(slice_, heat, drawing.style))
    box = heat.box() if drawing.box else None
    return Pictures(
        png(drawn),
        png(Image.fromarray(display(slice_))) if drawing.original else None,
        drawing.target or answer.prediction.label,
        heat.peak,
        None if box is None else box.scaled(slice_.shape, drawn.size),
    )


def to_draw(
    results: Sequence[SeriesAnswers], drawing: Drawing | None
) -> Iterator[tuple[Slice, Answer, bool]]:
    """Every slice with its answer and whether it is drawn: of a volume only its key slices.

    Maps as numbers are small, so all slices of a volume have them.
    """
    for result in results:
        some = result.study is not None and not (drawing and drawing.numbers)
        key = set(result.study.study.key_slices) if some and result.study else None
        for slice_, answer in zip(result.series.slices, result.answers, strict=True):
            yield slice_, answer, drawing is not None and (key is None or slice_.source in key)


def png(picture: Image.Image) -> str:
    """A picture as base64 PNG, at most `LONGEST_SIDE` pixels a side."""
    return base64.b64encode(png_bytes(np.asarray(shrunk(picture)))).decode("ascii")


def shrunk(picture: Image.Image) -> Image.Image:
    """The picture itself, at most `LONGEST_SIDE` pixels a side."""
    if max(picture.size) > LONGEST_SIDE:
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return picture


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels as a PNG (ISO/IEC 15948), each row stored as its difference to the one above.

    Pillow tries five filters for every row, which takes twice as long and saves nothing here.

    Args:
        pixels: (H, W) grey or (H, W, 3) colour.
    """
    height, width = pixels.shape[:2]
    flat = pixels.reshape(height, -1)
    rows = np.empty((height, 1 + flat.shape[1]), dtype=np.uint8)
    rows[:, 0], rows[0, 1:] = _UP, flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    kind = _COLOUR if pixels.ndim == 3 else _GREY
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), _FAST)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(name))
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)
