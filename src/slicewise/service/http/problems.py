"""Errors as RFC 9457 problem documents: what was wrong, never where on the server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from slicewise.errors import (
    AccessError,
    AuditError,
    ConfigError,
    EvaluationError,
    FeedbackError,
    InputError,
    LimitError,
    ManifestError,
    MissingExtraError,
    OverloadError,
    RateLimitError,
    SliceWiseError,
)
from slicewise.service.monitoring.logs import request_id_of

PROBLEM_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:slicewise:problem:"

_STATUSES: tuple[tuple[type[SliceWiseError], HTTPStatus], ...] = (
    (LimitError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConfigError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (FeedbackError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ManifestError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (EvaluationError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (MissingExtraError, HTTPStatus.NOT_IMPLEMENTED),
    (OverloadError, HTTPStatus.SERVICE_UNAVAILABLE),
    (RateLimitError, HTTPStatus.TOO_MANY_REQUESTS),
    (AuditError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_UNSAID: dict[type[SliceWiseError], str] = {
    AuditError: "the audit database does not answer; nothing was predicted that is not recorded"
}
"""Errors whose own text may name a place on the server, and what is said instead."""

_RETRY_AFTER_AUDIT_S = 5


class InputProblem(BaseModel):
    """One input that could not be answered."""

    source: str = Field(description="Name of the file as it was sent, then the part of it.")
    error: str = Field(description="What was expected and what was got.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Kind of the problem, a URN.")
    title: str = Field(description="Kind of the problem, in words.")
    status: int = Field(description="HTTP status.")
    detail: str = Field(description="What was wrong with this request.")
    instance: str = Field(description="Id of the request, as in the log.")
    errors: list[InputProblem] | None = Field(None, description="By input, where there are more.")

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "type": TYPE_PREFIX + "unprocessable-content",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "scan.png: expected a readable PNG picture, got broken or truncated "
                    "data (UnidentifiedImageError)",
                    "instance": "urn:uuid:2f1e0b0c-3c0c-4b0f-9a53-0f4b1a9e1d11",
                    "errors": None,
                }
            ]
        }
    }


class AnswerlessError(InputError):
    """None of several inputs could be answered.

    Args:
        failed: Name and error of each.
    """

    def __init__(self, failed: Sequence[tuple[str, str]]) -> None:
        shown = "; ".join(f"{source}: {error}" for source, error in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        super().__init__(shown + more)
        self.failed = tuple(failed)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route says of its errors in the OpenAPI description."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _title(status), "model": Problem, "content": content}
        for status in sorted({*statuses, 401, 403, 405, 429, 503})
    }


def tidy(described: dict[str, Any]) -> None:
    """Take out of a description what FastAPI adds to it: problems as plain JSON.

    Args:
        described: An OpenAPI description; changed in place.
    """
    for methods in described["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if PROBLEM_TYPE in content:
                    content.pop("application/json", None)


def problem_response(
    status: int,
    detail: str,
    request_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[tuple[str, str]] | None = None,
) -> Response:
    """A problem document as a response.

    Args:
        status: HTTP status.
        detail: What was wrong; no path on the server, nothing of a patient.
        request_id: Of the request.
        headers: To send with it.
        errors: Name and error of each input, where there are several.
    """
    title = _title(status)
    problem = Problem(
        type=TYPE_PREFIX + title.lower().replace(" ", "-"),
        title=title,
        status=status,
        detail=detail,
        instance=_urn(request_id),
        errors=None
        if errors is None
        else [InputProblem(source=source, error=error) for source, error in errors],
    )
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, dict(headers or {}), media_type=PROBLEM_TYPE)


def failure_response(request_id: str) -> Response:
    """The answer where something failed that should not have: it says nothing but its id."""
    return problem_response(500, "the service failed; its log has this request id", request_id)


def ending_response(request_id: str) -> Response:
    """The answer to a request that was not done when the service had to end."""
    again = {"Retry-After": str(_RETRY_AFTER_AUDIT_S)}
    return problem_response(503, "the service is ending; ask again", request_id, headers=again)


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""
    app.add_exception_handler(SliceWiseError, _on_slicewise_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_slicewise_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, SliceWiseError):
        raise TypeError(f"expected a SliceWiseError, got {type(error)}")
    status = _status_of(error)
    if status is None:  # a bundle, a run: nothing that a request can do wrong
        raise error
    detail = next((text for kind, text in _UNSAID.items() if isinstance(error, kind)), str(error))
    errors = error.failed if isinstance(error, AnswerlessError) else None
    headers = _headers_of(error)
    return problem_response(status, detail, _id_of(request), headers=headers, errors=errors)


def _status_of(error: SliceWiseError) -> int | None:
    if isinstance(error, AccessError):
        return HTTPStatus.FORBIDDEN if error.known else HTTPStatus.UNAUTHORIZED
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), None)


def _headers_of(error: SliceWiseError) -> dict[str, str]:
    if isinstance(error, OverloadError | RateLimitError):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, AuditError):
        return {"Retry-After": str(_RETRY_AFTER_AUDIT_S)}
    if isinstance(error, AccessError) and not error.known:
        return {"WWW-Authenticate": "Bearer"}
    return {}


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(f"expected a RequestValidationError, got {type(error)}")
    return problem_response(422, wrong_values(error.errors()), _id_of(request))


def wrong_values(found: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic found, without the values that were sent.

    Args:
        found: Its list of errors.
    """
    parts = [(".".join(str(step) for step in one["loc"]), one["msg"]) for one in found[:5]]
    return "; ".join(f"{where}: {what}" if where else str(what) for where, what in parts)


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(f"expected an HTTPException, got {type(error)}")
    detail = error.detail or _title(error.status_code)
    return problem_response(error.status_code, detail, _id_of(request), headers=error.headers)


def _id_of(request: Request) -> str:
    return request_id_of(request.scope)


def _title(status: int) -> str:
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(
        status, HTTPStatus(status).phrase
    )


def _urn(request_id: str) -> str:
    try:
        return f"urn:uuid:{uuid.UUID(request_id)}"
    except ValueError:
        return f"urn:slicewise:request:{request_id}"
