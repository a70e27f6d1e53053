"""What a browser is shown at `/`: the page."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from slicewise import __version__
from slicewise.imaging.formats.content import FORMATS
from slicewise.inference.decision import REASON_TEXTS
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.dependencies import CurrentServices
from slicewise.service.services import Services

_PAGE, _STYLES, _BASE_STYLE = (
    "slicewise.service.web.page",
    "slicewise.reports.templates",
    "base.css",
)
router = APIRouter(include_in_schema=False)
_KINDS = {".js": "text/javascript", ".css": "text/css"}
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


@router.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def page(request: Request, services: CurrentServices) -> Response:
    """The page; who asks for JSON, and not for HTML, gets what this service is."""
    wanted = request.headers.get("accept", "")
    if "application/json" in wanted and "text/html" not in wanted:
        return JSONResponse(await _about(request, services), headers={"Vary": "Accept"})
    content, headers = _file("index.html"), dict(_PAGE_HEADERS)
    if root := services.settings.root_path:  # a proxy may show it without the last slash
        content = content.replace(b"<head>", f'<head><base href="{root}/">'.encode())
        policy = headers["Content-Security-Policy"].replace("base-uri 'none'", "base-uri 'self'")
        headers["Content-Security-Policy"] = policy
    return _packed(request, content, "text/html", headers)


@router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
async def part_of_page(request: Request, name: str) -> Response:
    """A script or style sheet of the page."""
    kind = _KINDS.get(Path(name).suffix)
    if kind is None or name not in _names():
        raise HTTPException(404)
    return _packed(request, _file(name), kind, {"Cache-Control": "no-cache"})


def _packed(request: Request, content: bytes, kind: str, headers: dict[str, str]) -> Response:
    """A file of ours, as gzip where the browser takes it: it holds nothing secret to guess at."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers |= {"Vary": "Accept, Accept-Encoding", "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = gzip.compress(content, mtime=0), "gzip"
    return Response(content, media_type=kind, headers=headers)


async def _about(request: Request, services: Services) -> dict[str, Any]:
    """What this service is, for programs and for the page."""
    settings = services.settings
    return {
        "name": "SliceWise",
        "version": __version__,
        "disclaimer": DISCLAIMER,
        "key_required": not await request.app.state.access.is_open(),
        "bundle": asdict(services.engine.main.bundle.reference),
        "stored_samples": bool(settings.data_roots),
        "formats": FORMATS,
        "limits": {
            name: getattr(settings, name)
            for name in ("max_upload_bytes", "max_files", "page_max_bytes")
        },
        "reasons": {reason.value: text for reason, text in REASON_TEXTS.items()},
        "routes": {
            f"{method.upper()} {path}": said.get("summary", "")
            for path, methods in request.app.openapi()["paths"].items()
            for method, said in methods.items()
        },
        "docs": f"{settings.root_path}/docs",
        "openapi": f"{settings.root_path}/openapi.json",
    }


@cache
def _names() -> frozenset[str]:
    """Files of the page; a name from a request is only ever looked up among them."""
    root = files(_PAGE)
    folders = [one for one in root.iterdir() if one.is_dir()]
    below = {f"{folder.name}/{one.name}" for folder in folders for one in folder.iterdir()}
    return frozenset({one.name for one in root.iterdir()} | below | {_BASE_STYLE})


def _file(name: str) -> bytes:
    folder = _STYLES if name == _BASE_STYLE else _PAGE
    return files(folder).joinpath(name).read_bytes()
