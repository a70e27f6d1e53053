"""The API reference in a browser: Swagger UI at `/docs`, Redoc at `/redoc`, from an own package.

Their files are those of `fastapi-offline`; nothing comes from another host. Every address in the
pages is relative, so that they stand below any path prefix.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from slicewise.service.http.dependencies import PART

router = APIRouter(include_in_schema=False)
_PARTS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
}
_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"  # Redoc has no option that leaves it out
_NONE = "data:,"
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@router.api_route("/docs", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def docs() -> HTMLResponse:
    """Every route, to try it out."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="SliceWise: routes",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url=_NONE,
        swagger_ui_parameters={"validatorUrl": None},  # another host, with our description
    )
    return _guarded(page, "style-src 'self'")


@router.api_route("/redoc", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def redoc() -> HTMLResponse:
    """Every route, to read."""
    page = get_redoc_html(
        openapi_url="openapi.json",
        title="SliceWise: routes",
        redoc_js_url="docs/redoc.standalone.js",
        redoc_favicon_url=_NONE,
        with_google_fonts=False,
    )
    # It makes style elements of its own, and a worker that searches.
    return _guarded(page, "style-src 'unsafe-inline'; worker-src blob:")


@router.api_route("/docs/{name}", methods=["GET", "HEAD"])
async def part_of_docs(name: str, request: Request) -> Response:
    """A script or style sheet of the two; a browser keeps it and asks whether it is still so."""
    if name not in _PARTS:
        raise HTTPException(404)
    part = await asyncio.to_thread(_part, name)
    headers = {"ETag": part.tag, "Cache-Control": "no-cache"}
    if part.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(len(part.content))
    return StreamingResponse(_pieces(part.content), media_type=_PARTS[name], headers=headers)


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
async def openapi(request: Request) -> JSONResponse:
    """Every route, for programs."""
    return JSONResponse(request.app.openapi())


class _Part(NamedTuple):
    content: bytes
    tag: str


@cache
def _part(name: str) -> _Part:
    content = files("fastapi_offline").joinpath("static", name).read_bytes()
    content = content.replace(_LOGO, _NONE.encode())
    return _Part(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """As much as a client takes: who reads slowly holds no more in memory."""
    for first in range(0, len(content), PART):
        yield content[first : first + PART]


def _guarded(page: HTMLResponse, more: str) -> HTMLResponse:
    """A page with a policy by which no inline script counts but its own, known by its hash."""
    inline = re.findall(rb"<script>(.*?)</script>", page.body, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one).digest()).decode() for one in inline]
    script = " ".join(["script-src 'self'", *(f"'sha256-{digest}'" for digest in digests)])
    page.headers["Content-Security-Policy"] = f"{_POLICY}; {script}; {more}"
    return page
