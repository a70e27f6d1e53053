"""A slice to try the service with, drawn or stored on the server: `/v1/sample`."""

from __future__ import annotations

import io
import secrets
from functools import partial
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.exceptions import HTTPException
from starlette.responses import Response

from slicewise.audit_log.keys import Role
from slicewise.data.tasks import Task
from slicewise.imaging.formats.content import Content
from slicewise.service.http.dependencies import CountedResponse, CurrentServices, Predictor
from slicewise.service.http.problems import documented
from slicewise.service.http.stored_samples import stored_sample
from slicewise.service.services import Services
from slicewise.service.settings import PREFIX

router = APIRouter(tags=["samples"])
MOST_SEED = 2**32 - 1
SIDE = 512
_ROOTS = f"{PREFIX}DATA_ROOTS"

Drawn = Literal["glioma", "meningioma", "no_tumor", "pituitary"]


class SampleQuery(BaseModel):
    """What to draw."""

    model_config = ConfigDict(extra="forbid")

    seed: int | None = Field(None, ge=0, le=MOST_SEED, description="The same draws the same.")
    label: Drawn | None = Field(None, description="What to draw; any by default.")


SampleOptions = Annotated[SampleQuery, Query()]


class AnySampleQuery(SampleQuery):
    """What to draw or to pick."""

    kind: Literal["synthetic", "stored"] = Field(
        "synthetic",
        description="Drawn; or a file of the server, picked at random, for the role review.",
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> AnySampleQuery:
        if self.kind == "stored" and self.label is not None:
            raise ValueError("expected no label with kind=stored, which picks among all files")
        return self


_BYTES = {"schema": {"type": "string", "format": "binary"}}
_MEDIA: dict[Content, str] = {
    **{"PNG": "image/png", "JPEG": "image/jpeg", "TIFF": "image/tiff", "BMP": "image/bmp"},
    **{"WEBP": "image/webp", "DICOM": "application/dicom"},
}
_OTHER = "application/octet-stream"


@router.get(
    "/v1/sample",
    summary="A synthetic slice as PNG, or a stored file",
    response_class=Response,
    responses={
        200: {"content": dict.fromkeys((*_MEDIA.values(), _OTHER), _BYTES)},
        **documented(404, 413, 422),
    },
)
async def sample(
    caller: Predictor, services: CurrentServices, query: Annotated[AnySampleQuery, Query()]
) -> Response:
    """What is drawn says so. The header X-Sample-Seed draws it, or picks it, again.

    X-Sample-Label is what was drawn, or the class that the folder's name means; empty if none.
    """
    if query.kind == "stored":
        caller.require(Role.REVIEW, "kind=stored: ")
        return await _stored(services, query.seed)
    with services.engine.admission.admit():
        content, seed, label = await services.engine.work(drawn, query.seed, query.label)
    return Response(content, media_type="image/png", headers=_headers(seed, label))


async def _stored(services: Services, given: int | None) -> Response:
    """A file below the allowed folders, as it is."""
    settings, seed = services.settings, new_seed() if given is None else given
    if not settings.data_roots:
        raise HTTPException(404, f"expected folders with images in {_ROOTS}; none is set")
    info, most = services.engine.main.bundle.info.task, settings.max_upload_bytes
    task = Task(info.name, info.classes, info.negative_class)
    pick = partial(stored_sample, seed=seed, most_bytes=most, task=task)
    found = await services.jobs.run(pick)
    if found is None:
        wanted = f"an image file of at most {most:,} bytes below the folders of {_ROOTS}"
        raise HTTPException(404, f"expected {wanted}; found none")
    media = _MEDIA.get(found.kind, _OTHER)
    response = CountedResponse(found.content, services.engine.admission, media)
    response.headers.update(_headers(seed, found.label))
    return response


def _headers(seed: int, label: str) -> dict[str, str]:
    """A label that no header can hold is percent-encoded."""
    return {"X-Sample-Seed": str(seed), "X-Sample-Label": quote(label, safe=" ")}


def new_seed() -> int:
    return secrets.randbelow(MOST_SEED + 1)


def drawn(seed: int | None, label: str | None) -> tuple[bytes, int, str]:
    """A phantom as PNG, the seed that draws it again, and its label; new where none is given."""
    import numpy as np

    from slicewise.synthetic.phantom import LABELS, PLANES, draw_parameters
    from slicewise.synthetic.phantom_files import render, write_png

    used = new_seed() if seed is None else seed
    rng = np.random.default_rng(used)
    any_label, plane = LABELS[rng.integers(len(LABELS))], PLANES[rng.integers(len(PLANES))]
    wanted = next((name for name in LABELS if name == label), any_label)
    buffer = io.BytesIO()
    write_png(render(draw_parameters(rng, wanted, plane), SIDE), buffer)
    return buffer.getvalue(), used, wanted
