"""A synthetic slice to try the service with: `/v1/sample`."""

from __future__ import annotations

import io
import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from slicewise.service.http.dependencies import CurrentServices, Predictor
from slicewise.service.http.problems import documented

router = APIRouter(tags=["samples"])
MOST_SEED = 2**32 - 1
SIDE = 512

Drawn = Literal["glioma", "meningioma", "no_tumor", "pituitary"]


class SampleQuery(BaseModel):
    """What to draw."""

    model_config = ConfigDict(extra="forbid")

    seed: int | None = Field(None, ge=0, le=MOST_SEED, description="The same draws the same.")
    label: Drawn | None = Field(None, description="What to draw; any by default.")


SampleOptions = Annotated[SampleQuery, Query()]


@router.get(
    "/v1/sample",
    summary="A synthetic slice as PNG",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(422),
    },
)
async def sample(caller: Predictor, services: CurrentServices, query: SampleOptions) -> Response:
    """Drawn, not scanned; the picture says so. The header X-Sample-Seed draws it again."""
    with services.engine.admission.admit():
        content, seed, label = await services.engine.work(drawn, query.seed, query.label)
    headers = {"X-Sample-Seed": str(seed), "X-Sample-Label": label}
    return Response(content, media_type="image/png", headers=headers)


def drawn(seed: int | None, label: str | None) -> tuple[bytes, int, str]:
    """A phantom as PNG, the seed that draws it again, and its label; new where none is given."""
    import numpy as np

    from slicewise.synthetic.phantom import LABELS, PLANES, draw_parameters
    from slicewise.synthetic.phantom_files import render, write_png

    used = secrets.randbelow(MOST_SEED + 1) if seed is None else seed
    rng = np.random.default_rng(used)
    any_label, plane = LABELS[rng.integers(len(LABELS))], PLANES[rng.integers(len(PLANES))]
    wanted = next((name for name in LABELS if name == label), any_label)
    buffer = io.BytesIO()
    write_png(render(draw_parameters(rng, wanted, plane), SIDE), buffer)
    return buffer.getvalue(), used, wanted
