"""Whether the process lives, whether it can answer, and what it counted."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from slicewise import __version__
from slicewise.errors import AuditError
from slicewise.inference.decision import BundleReference
from slicewise.service.http.dependencies import CurrentServices, Reviewer
from slicewise.service.http.examples import ResponseModel
from slicewise.service.http.problems import documented, problem_response
from slicewise.service.monitoring.logs import request_id_of
from slicewise.service.monitoring.metrics import CONTENT_TYPE
from slicewise.service.services import Services

router = APIRouter(tags=["operations"])
PING_S = 5.0  # longest wait for the database, seconds
_OPEN: dict[int | str, dict[str, Any]] = {503: documented()[503]}


class AliveOut(ResponseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


class ReadyOut(ResponseModel):
    """Requests can be answered."""

    status: Literal["ready"] = "ready"
    bundle: BundleReference = Field(description="Loaded, every file verified, tried once.")
    database: Literal["writable"] = "writable"
    waiting: int = Field(description="Slices in work in this process.")


class HealthOut(ResponseModel):
    """What older clients ask for."""

    status: Literal["healthy"] = "healthy"
    model_loaded: bool
    model_name: str
    version: str = __version__


@router.head("/healthz", include_in_schema=False, response_model=None)
@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> AliveOut:
    """Answers as long as the event loop turns."""
    return AliveOut()


@router.head("/readyz", include_in_schema=False, response_model=None)
@router.get("/readyz", summary="Can it answer?", responses=_OPEN, response_model=ReadyOut)
async def readyz(request: Request, services: CurrentServices) -> ReadyOut | Response:
    """Forward passes are run and the audit database can be written."""
    engine = services.engine
    ready = ReadyOut(bundle=engine.main.bundle.reference, waiting=engine.admission.waiting)
    return await _not_ready(request, services) or ready


@router.head("/health", include_in_schema=False, response_model=None)
@router.head("/api/health", include_in_schema=False, response_model=None)
@router.get("/health", summary="Older name", responses=_OPEN, response_model=HealthOut)
@router.get("/api/health", summary="Older name", responses=_OPEN, response_model=HealthOut)
async def health(request: Request, services: CurrentServices) -> HealthOut | Response:
    """Like `/readyz`, with older fields."""
    healthy = HealthOut(model_loaded=True, model_name=services.engine.main.bundle.info.name)
    return await _not_ready(request, services) or healthy


@router.get(
    "/metrics",
    summary="What was counted, for Prometheus",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}, **documented()},
)
async def metrics(caller: Reviewer, services: CurrentServices) -> Response:
    """Of all worker processes together."""
    return Response(await asyncio.to_thread(services.metrics.render), media_type=CONTENT_TYPE)


async def _not_ready(request: Request, services: Services) -> Response | None:
    """The answer that says why nothing can be answered now; None where it can."""
    reason = "slices are no longer decoded, or forward passes no longer run"
    if services.engine.alive:
        reason = "the audit database cannot be written"
        try:
            async with asyncio.timeout(PING_S):
                await services.readiness.check()
            return None
        except (AuditError, TimeoutError):
            pass
    again = {"Retry-After": "5"}
    return problem_response(503, reason, request_id_of(request.scope), headers=again)
