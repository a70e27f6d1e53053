"""The slices of files as numbers, for who shows them: `/v1/read`. Nothing is answered or kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from slicewise.arrays import Array
from slicewise.errors import LimitError
from slicewise.imaging.slice import Slice
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.dependencies import CurrentServices, Upload, described_upload
from slicewise.service.http.problems import InputProblem
from slicewise.service.prediction.uploads import PreparedSlice, PreparedUploads

router = APIRouter(prefix="/v1", tags=["slices"])

MEDIA_TYPE = "application/vnd.slicewise.slices"
_ALIGNED = 8  # bytes; every array begins at a multiple of it
_WHOLE = ("uint8", "int16", "uint16")


class ReadQuery(BaseModel):
    """What is wanted of the slices."""

    model_config = ConfigDict(extra="forbid")

    model_input: bool = Field(False, description="Send the picture that the model reads too.")


_OPENAPI = described_upload(several=True)
_OPENAPI["responses"][200] = {
    "description": "Slices as numbers",
    "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}


@router.post("/read", summary="The slices of files as numbers", response_class=Response, **_OPENAPI)
async def read(
    upload: Upload, query: Annotated[ReadQuery, Query()], services: CurrentServices
) -> Response:
    """Modality values of every slice with spacing, orientation and the square the model reads.

    Four bytes, little-endian, tell the length of the JSON that follows; behind it lie the
    arrays, little-endian, row after row. `series` has for each series `source`, `plane`,
    `is_volume`, `notes` and its `slices` in order; a slice has `source`, `rows`, `columns`,
    `type` and `offset` of its values in the arrays, `pixel_spacing_mm` (rows, columns),
    `orientation`, `position_mm`, `window` (center, width), and `square` (top, left, side) in
    pixels. `model_input` is the `offset` and `size` of the picture that the model reads, uint8.
    `errors` names what could not be read.
    """
    _, wanted, prepared = await upload.slices(query)
    most = services.settings.page_max_bytes
    return await upload.reply_with(lambda: packed(prepared, wanted.model_input, most), MEDIA_TYPE)


def packed(prepared: PreparedUploads, model_input: bool, most: int) -> bytes:
    """All slices of a request in one piece, as `read` describes it.

    Args:
        most: Bytes that the arrays may have.

    Raises:
        LimitError: They have more.
    """
    arrays = _Arrays(most)
    series = [
        {
            "source": one.series.source,
            "plane": one.series.plane,
            "is_volume": one.series.is_volume,
            "notes": one.series.notes,
            "slices": [_described(slice_, arrays, model_input) for slice_ in one.slices],
        }
        for one in prepared.series
    ]
    errors = [problem.model_dump() for problem in InputProblem.of(prepared.failures)]
    head = {"series": series, "errors": errors, "disclaimer": DISCLAIMER}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % _ALIGNED)
    return b"".join((len(text).to_bytes(4, "little"), text, *arrays.parts))


class _Arrays:
    """Arrays one behind the other, each where a browser can look at it without a copy."""

    def __init__(self, most: int) -> None:
        self.parts: list[bytes] = []
        self._end, self._most = 0, most

    def add(self, values: NDArray[Any]) -> int:
        """Put one behind the others; returns where it begins."""
        content = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        padded = content + b"\0" * (-len(content) % _ALIGNED)
        begin, self._end = self._end, self._end + len(padded)
        if self._end > self._most:
            expected = f"expected slices of at most {self._most:,} bytes of pixels in one request"
            raise LimitError(f"{expected}, got more; send fewer files at a time")
        self.parts.append(padded)
        return begin


def _described(prepared: PreparedSlice, arrays: _Arrays, model_input: bool) -> dict[str, Any]:
    ready = prepared.ready
    slice_, place = ready.slice_, ready.prepared.placement
    values = compact(slice_.pixels)
    found: dict[str, Any] = {
        "source": slice_.source,
        "rows": slice_.shape[0],
        "columns": slice_.shape[1],
        "type": values.dtype.name,
        "offset": arrays.add(values),
        "pixel_spacing_mm": slice_.pixel_spacing_mm,
        "orientation": slice_.orientation,
        "position_mm": slice_.position_mm,
        "window": _window(slice_),
        "square": [place.top, place.left, place.side],
    }
    if model_input:
        image = ready.prepared.image
        found["model_input"] = {"offset": arrays.add(image), "size": len(image)}
    return found


def _window(slice_: Slice) -> Sequence[float] | None:
    return None if slice_.window is None else (slice_.window.center, slice_.window.width)


def compact(pixels: Array) -> NDArray[Any]:
    """The same numbers in the smallest whole type that holds them all, else float32."""
    low, high = float(pixels.min()), float(pixels.max())
    for name in _WHOLE:
        limits = np.iinfo(name)
        if limits.min <= low and high <= limits.max:
            whole = pixels.astype(name)
            return whole if np.array_equal(whole, pixels) else pixels
    return pixels
