"""The slices of files as numbers, for who shows them: `/v1/read`. Nothing is answered or kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate
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
    first: int = Field(
        0, ge=0, description="Go on with this slice; `next` of the answer before tells which."
    )


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
    `errors` names what could not be read. `next` is null, or the number of the first slice of the
    request that found no room in this answer: send the same files again with it as `first`.
    """
    _, wanted, prepared = await upload.slices(query)
    most = services.settings.page_max_bytes
    return await upload.reply_with(lambda: packed(prepared, wanted, most), MEDIA_TYPE)


def packed(prepared: PreparedUploads, wanted: ReadQuery, most: int) -> bytes:
    """The slices of a request in one piece, as `read` describes it.

    Args:
        most: Bytes that the arrays may have.

    Raises:
        LimitError: The first slice alone has more.
    """
    arrays = _Arrays(most)
    series: list[dict[str, Any]] = []
    number, following = 0, None
    for one in prepared.series:
        sent: list[dict[str, Any]] = []
        for slice_ in one.slices:
            if number >= wanted.first and following is None:
                described = _described(slice_, arrays, wanted.model_input)
                if described is not None:
                    sent.append(described)
                elif arrays.parts:
                    following = number
                else:
                    raise LimitError(
                        f"{slice_.ready.slice_.source}: expected a slice of at most {most:,} bytes "
                        "of pixels; got more"
                    )
            number += 1
        series.append(
            {
                "source": one.series.source,
                "plane": one.series.plane,
                "is_volume": one.series.is_volume,
                "notes": one.series.notes,
                "slices": sent,
            }
        )
    errors = [problem.model_dump() for problem in InputProblem.of(prepared.failures)]
    head = {"series": series, "errors": errors, "next": following, "disclaimer": DISCLAIMER}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % _ALIGNED)
    return b"".join((len(text).to_bytes(4, "little"), text, *arrays.parts))


class _Arrays:
    """Arrays one behind the other, each where a browser can look at it without a copy."""

    def __init__(self, most: int) -> None:
        self.parts: list[bytes] = []
        self._end, self._most = 0, most

    def add(self, *arrays: NDArray[Any]) -> list[int] | None:
        """Put some behind the others: where each begins; None where there is no room for all."""
        contents = []
        for values in arrays:
            content = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
            contents.append(content + b"\0" * (-len(content) % _ALIGNED))
        begins = [self._end, *accumulate(map(len, contents), initial=self._end)][1:]
        if begins[-1] > self._most:
            return None
        self._end = begins.pop()
        self.parts += contents
        return begins


def _described(
    prepared: PreparedSlice, arrays: _Arrays, model_input: bool
) -> dict[str, Any] | None:
    ready = prepared.ready
    slice_, place = ready.slice_, ready.prepared.placement
    values = compact(slice_.pixels)
    image = ready.prepared.image
    begins = arrays.add(values, image) if model_input else arrays.add(values)
    if begins is None:
        return None
    found: dict[str, Any] = {
        "source": slice_.source,
        "rows": slice_.shape[0],
        "columns": slice_.shape[1],
        "type": values.dtype.name,
        "offset": begins[0],
        "pixel_spacing_mm": slice_.pixel_spacing_mm,
        "orientation": slice_.orientation,
        "position_mm": slice_.position_mm,
        "window": _window(slice_),
        "square": [place.top, place.left, place.side],
    }
    if model_input:
        found["model_input"] = {"offset": begins[1], "size": len(image)}
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
