"""What a browser is shown: the page at `/`, and the routes at `/docs`."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from slicewise.reports.html import templates
from slicewise.service.http.dependencies import CurrentServices
from slicewise.service.services import Services

_PAGE, _STYLES, _BASE_STYLE = (
    "slicewise.service.web.page",
    "slicewise.reports.templates",
    "base.css",
)
router = APIRouter(include_in_schema=False)
Described = Mapping[str, Any]  # an OpenAPI description as `/openapi.json` has it, or a part of it
_KINDS = {".js": "text/javascript", ".css": "text/css"}
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
_PLACES = {"multipart/form-data": "form", "application/json": "JSON"}


@router.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def page(request: Request, services: CurrentServices) -> Response:
    """The page; who asks for JSON, and not for HTML, gets what this service is."""
    wanted = request.headers.get("accept", "")
    if "application/json" in wanted and "text/html" not in wanted:
        return JSONResponse(await _about(request, services))
    return Response(_file("index.html"), media_type="text/html", headers=_PAGE_HEADERS)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def part_of_page(name: str) -> Response:
    """A script or style sheet of the page."""
    kind = _KINDS.get(Path(name).suffix)
    if kind is None or name not in _names():
        raise HTTPException(404)
    return Response(_file(name), media_type=kind, headers={"Cache-Control": "no-cache"})


@router.api_route("/docs", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every route, from the same description as `/openapi.json`; nothing is fetched for it."""
    kept = request.app.state
    if not hasattr(kept, "docs"):  # made once: anybody may ask for it
        kept.docs = _rendered("docs.html.j2", operations=_operations(request.app.openapi()))
    return HTMLResponse(kept.docs)


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
async def openapi(request: Request) -> JSONResponse:
    """Every route, for programs."""
    return JSONResponse(request.app.openapi())


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
        "docs": "/docs",
        "openapi": "/openapi.json",
    }


@cache
def _names() -> frozenset[str]:
    """Files of the page; a name from a request is only ever looked up among them."""
    return frozenset(one.name for one in files(_PAGE).iterdir()) | {_BASE_STYLE}


@cache
def _file(name: str) -> bytes:
    folder = _STYLES if name == _BASE_STYLE else _PAGE
    return files(folder).joinpath(name).read_bytes()


def _rendered(name: str, **given: Any) -> str:
    template = _templates().get_template(name)
    text: str = template.render(**given, version=__version__, disclaimer=DISCLAIMER)
    return text


@cache
def _templates() -> Any:
    return templates("slicewise.service.web")


def _operations(whole: Described) -> dict[str, list[dict[str, Any]]]:
    """Every route of a description by tag, in its order, as `docs.html.j2` shows it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, methods in whole["paths"].items():
        for method, said in methods.items():
            operation = {
                "method": method.upper(),
                "path": path,
                "summary": said.get("summary", ""),
                "text": _plain(said.get("description", "")),
                "fields": _fields(said, whole),
                "statuses": sorted((c, r["description"]) for c, r in said["responses"].items()),
                "example": _example(said, whole),
            }
            found.setdefault((said.get("tags") or ["other"])[0], []).append(operation)
    return found


def _fields(said: Described, whole: Described) -> list[dict[str, Any]]:
    """Parameters and fields of the body; one row for what may come in the query or in the form."""
    given = [
        (one["name"], one["in"], one.get("required", False), {**one, **one["schema"]})
        for one in said.get("parameters", ())
    ]
    for media, content in said.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], whole)
        needed, place = schema.get("required", ()), _PLACES.get(media, media)
        given += [(name, place, name in needed, of) for name, of in schema["properties"].items()]
    rows: dict[str, dict[str, Any]] = {}
    for name, place, required, schema in given:
        if name in rows:
            rows[name]["place"] += f" or {place}"
            continue
        rows[name] = {"name": name, "kind": _kind(schema), "place": place, "required": required}
        rows[name]["text"] = _plain(schema.get("description", ""))
        rows[name]["allowed"] = _allowed(schema)
    return list(rows.values())


def _kind(schema: Described) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"{_kind(schema['items'])}, several"
    return "file" if schema.get("format") == "binary" else str(schema.get("type", "object"))


def _allowed(schema: Described) -> str:
    """Which values are taken, and what is taken where none is given."""
    parts = []
    for one in (schema, *schema.get("anyOf", ())):
        low, high = one.get("minimum"), one.get("maximum")
        if low is not None and high is not None:
            parts.append(f"{_number(low)} to {_number(high)}")
        elif low is not None or high is not None:
            parts.append(f"at least {_number(low)}" if high is None else f"at most {_number(high)}")
        if "enum" in one:
            parts.append(", ".join(map(str, one["enum"])))
        if "maxLength" in one:
            parts.append(f"at most {one['maxLength']:,} characters")
    default = schema.get("default")
    if default is not None:
        parts.append(f"default {str(default).lower() if isinstance(default, bool) else default}")
    return "; ".join(parts)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


def _plain(text: str) -> str:
    return text.replace("`", "")


def _example(said: Described, whole: Described) -> str | None:
    """The first example of what it answers."""
    for code, response in said["responses"].items():
        for content in response.get("content", {}).values():
            if code.startswith("2") and (found := _examples(content.get("schema", {}), whole)):
                return json.dumps(found[0], indent=2, ensure_ascii=False)
    return None


def _examples(schema: Described, whole: Described) -> list[Any]:
    own = _resolved(schema, whole)
    if own.get("examples"):
        return list(own["examples"])
    return [found for one in own.get("anyOf", ()) for found in _examples(one, whole)]


def _resolved(schema: Described, whole: Described) -> Described:
    if "$ref" not in schema:
        return schema
    found: Described = whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return found
