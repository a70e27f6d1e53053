"""Errors as RFC 9457 problem documents: what was wrong, never where on the server."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from slicewise import errors
from slicewise.config import expected, near
from slicewise.imaging.slice import Failure, InternalFailure
from slicewise.service.http.examples import ResponseModel
from slicewise.service.http.prefix import own_path
from slicewise.service.monitoring.logs import request_id_of, route_of

PROBLEM_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:slicewise:problem:"

_STATUSES: dict[HTTPStatus, tuple[type[errors.SliceWiseError], ...]] = {
    HTTPStatus.INTERNAL_SERVER_ERROR: (errors.InternalError,),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (errors.LimitError,),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        *(errors.InputError, errors.ConfigError, errors.FeedbackError),
        *(errors.ManifestError, errors.EvaluationError),
    ),
    HTTPStatus.NOT_IMPLEMENTED: (errors.MissingExtraError,),
    HTTPStatus.SERVICE_UNAVAILABLE: (errors.OverloadError, errors.AuditError),
    HTTPStatus.TOO_MANY_REQUESTS: (errors.RateLimitError,),
}
"""The first that fits counts."""

_AUDIT_DETAIL = "the audit database does not answer; nothing was predicted that is not recorded"
_RETRY_AFTER_S = 5
_PLACES = {"query": "query parameter", "body": "field", "path": "path parameter"}

log = structlog.stdlib.get_logger("slicewise.service")


class InputProblem(BaseModel):
    """One input that could not be answered."""

    source: str = Field(description="Name of the file as it was sent, then the part of it.")
    error: str = Field(description="What was expected and what was got.")

    @classmethod
    def of(cls, failures: Iterable[Failure]) -> list[InputProblem]:
        return [cls(source=one.source, error=one.error) for one in failures]


class Problem(ResponseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Kind of the problem, a URN.")
    title: str = Field(description="Kind of the problem, in words.")
    status: int = Field(description="HTTP status.")
    detail: str = Field(description="What was wrong with this request.")
    instance: str = Field(description="Id of the request, as in the log.")
    errors: list[InputProblem] | None = Field(None, description="By input, where there are more.")


class AnswerlessError(errors.InputError):
    """None of the inputs of a request could be answered."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        shown = "; ".join(f"{one.source}: {one.error}" for one in failures[:3])
        more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
        super().__init__(shown + more)
        self.failures = tuple(failures)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route says of its errors in the OpenAPI description."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _title(status), "model": Problem, "content": content}
        for status in sorted({*statuses, 401, 403, 405, 429, 503})
    }


def remove_plain_json(description: dict[str, Any]) -> None:
    """Take out of an OpenAPI description what FastAPI adds to it: problems as plain JSON."""
    for methods in description["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                if PROBLEM_TYPE in (content := response.get("content", {})):
                    content.pop("application/json", None)


def problem_response(
    status: int,
    detail: str,
    request_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Failure] | None = None,
) -> Response:
    """A problem document as a response; `detail` names no place on the server and no patient."""
    title = _title(status)
    problem = Problem(
        type=TYPE_PREFIX + title.lower().replace(" ", "-"),
        title=title,
        status=status,
        detail=detail,
        instance=_urn(request_id),
        errors=None if errors is None else InputProblem.of(errors),
    )
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, dict(headers or {}), media_type=PROBLEM_TYPE)


def failure_response(request_id: str) -> Response:
    return problem_response(500, "the service failed; its log has this request id", request_id)


def ending_response(request_id: str) -> Response:
    again = {"Retry-After": str(_RETRY_AFTER_S)}
    return problem_response(503, "the service is ending; ask again", request_id, headers=again)


def install(app: FastAPI) -> None:
    app.exception_handler(errors.SliceWiseError)(_on_slicewise_error)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http)


async def _on_slicewise_error(request: Request, error: errors.SliceWiseError) -> Response:
    status = _status_of(error)
    if status is None:  # a bundle, a run: nothing that a request can do wrong
        raise error
    if isinstance(error, errors.InternalError):
        log.error(
            "failure on an input", route=route_of(request.scope), exc_info=error.__cause__ or error
        )
    # What the audit log says of itself may name a place on the server.
    detail = _AUDIT_DETAIL if isinstance(error, errors.AuditError) else str(error)
    failures = error.failures if isinstance(error, AnswerlessError) else None
    later = _RETRY_AFTER_S if isinstance(error, errors.AuditError) else None
    again = getattr(error, "retry_after_s", later)
    headers = {} if again is None else {"Retry-After": str(again)}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(
        status, detail, request_id_of(request.scope), headers=headers, errors=failures
    )


def _status_of(error: errors.SliceWiseError) -> int | None:
    if isinstance(error, errors.AccessError):
        return HTTPStatus.FORBIDDEN if error.known else HTTPStatus.UNAUTHORIZED
    if isinstance(error, AnswerlessError) and all(
        isinstance(one, InternalFailure) for one in error.failures
    ):
        return HTTPStatus.INTERNAL_SERVER_ERROR
    fits = (status for status, kinds in _STATUSES.items() if isinstance(error, kinds))
    return next(fits, None)


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    """What pydantic found, of the first five mistakes."""
    detail = "; ".join(_mistake(request, one) for one in error.errors()[:5])
    return problem_response(422, detail, request_id_of(request.scope))


_ID = "an id, 32 hexadecimal digits"  # no other pattern is asked for


def _mistake(request: Request, error: Mapping[str, Any]) -> str:
    place, *names = map(str, error["loc"])
    name, kind = ".".join(names), _PLACES[place]
    if error["type"] != "extra_forbidden":
        return f"{f'{kind} {name}' if name else place}: {expected(error, _ID)}"
    said = request.app.openapi()["paths"][route_of(request.scope)][request.method.lower()]
    bodies = said["requestBody"]["content"].values() if place == "body" else ()
    known = [field for content in bodies for field in content["schema"]["properties"]]
    known += [one["name"] for one in said.get("parameters", ()) if one["in"] == "query"]
    return only(f"{kind}s", name, known)


def only(what: str, name: str, known: Sequence[str]) -> str:
    """What to say where a name is none of those that are known."""
    return f"expected no other {what} than {', '.join(known)}; got {name[:40]!r}{near(name, known)}"


async def _on_http(request: Request, error: HTTPException) -> Response:
    """What a route says; of no such route and no such method, more than the title."""
    status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
    if detail == HTTPStatus(status).phrase:
        known, path = request.app.openapi()["paths"], own_path(request.scope)
        if status == HTTPStatus.NOT_FOUND:
            detail = f"expected a route, as /docs lists them; got {path[:80]!r}{near(path, known)}"
        elif status == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = [name.upper() for name in known.get(route_of(request.scope), ())]
            methods = sorted(methods or headers["Allow"].split(", "))
            headers["Allow"] = ", ".join(methods)
            detail = f"expected {' or '.join(methods)}; got {request.method}"
    return problem_response(status, detail, request_id_of(request.scope), headers=headers)


def _title(status: int) -> str:
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(
        status, HTTPStatus(status).phrase
    )


def _urn(request_id: str) -> str:
    try:
        return f"urn:uuid:{uuid.UUID(request_id)}"
    except ValueError:
        return f"urn:slicewise:request:{request_id}"
