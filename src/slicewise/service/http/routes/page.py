"""What a browser is shown: the page at `/`, and the routes at `/docs`."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from slicewise import __version__
from slicewise.inference.results import DISCLAIMER
from slicewise.reports.html import templates
from slicewise.service.http.dependencies import CurrentServices
from slicewise.service.web.reference import operations

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def page(request: Request, services: CurrentServices) -> HTMLResponse:
    """A form to try the service with."""
    text = _rendered(
        "index.html.j2",
        bundle=services.engine.main.bundle.reference,
        version=__version__,
        address=str(request.base_url).rstrip("/"),
    )
    return HTMLResponse(text)


@router.api_route("/docs", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every route, from the same description as `/openapi.json`; nothing is fetched for it."""
    kept = request.app.state
    if not hasattr(kept, "docs"):  # made once: anybody may ask for it
        found = operations(request.app.openapi())
        kept.docs = _rendered("docs.html.j2", operations=found, version=__version__)
    return HTMLResponse(kept.docs)


def _rendered(name: str, **given: Any) -> str:
    text: str = _templates().get_template(name).render(**given, disclaimer=DISCLAIMER)
    return text


@cache
def _templates() -> Any:
    return templates("slicewise.service.web")
