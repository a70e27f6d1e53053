"""Structured logs: one JSON object a line, with the id of the request, and no name of any file."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from typing import TextIO

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import EventDict, Processor, WrappedLogger

from slicewise.service.monitoring.metrics import Metrics

REQUEST_ID_HEADER = "X-Request-ID"
UNMATCHED = "unmatched"
"""What stands for a route where no route fits: the path itself may hold anything."""

PROBES = ("/healthz", "/readyz", "/health", "/api/health")
"""Routes that only ask whether the service is there: often, and in plain HTTP, past the proxy."""

_HEADER = REQUEST_ID_HEADER.lower().encode()
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_FRAMES = 12
_QUIET = (*PROBES, "/metrics")
_TRUSTED = ("slicewise", "uvicorn", "alembic")
"""Loggers whose words are known to name no file and no patient; of others only the place is logged:
pydicom warns with the values of tags, an HTTP client names addresses."""

WITHHELD = "message of a library"
log = structlog.stdlib.get_logger("slicewise.service")


def configure_logs(level: str, stream: TextIO | None = None) -> None:
    """Send every log record of this process to one stream as JSON; to standard error by default."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where_it_failed,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_foreign_words],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)


def request_id_of(scope: Scope) -> str:
    """The id of a request that passed `RequestLog`."""
    return str(scope["state"]["request_id"])


class RequestLog:
    """Gives every request an id, logs one line for it and counts it; the outer middleware.

    The line holds method, route template, status, times, sizes and caller: never a path as it was
    sent, a query, a header, or a name of a file. Failures that nothing else caught are answered
    here, so that they have an id too.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        on_failure: Callable[[str], Response],
        on_end: Callable[[str], Response],
        *,
        behind_proxy: bool = False,
    ) -> None:
        # Only a declared proxy may bring an id: anybody else could choose that of another request,
        # or one that says who a patient is.
        self._app, self._metrics = app, metrics
        self._on_failure, self._on_end = on_failure, on_end
        self._behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(_HEADER, b"").decode("latin-1")
        accepted = self._behind_proxy and _ACCEPTED_ID.fullmatch(given)
        request_id = given if accepted else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        seen = _Seen(receive, send, request_id)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._answer(scope, seen)
        finally:
            self._log(scope, seen)
            structlog.contextvars.unbind_contextvars("request_id")

    async def _answer(self, scope: Scope, seen: _Seen) -> None:
        try:
            await self._app(scope, seen.receive, seen.send)
        except asyncio.CancelledError:  # the time to drain is over
            if seen.status is not None:
                raise
            await self._on_end(request_id_of(scope))(scope, seen.receive, seen.send)
        except ClientDisconnect:  # while it sent its body; there is nobody to answer
            return
        except Exception:
            log.exception("failure", route=route_of(scope))
            if seen.status is not None:  # too late for an answer: the connection is cut
                raise
            response = self._on_failure(request_id_of(scope))
            await response(scope, seen.receive, seen.send)

    def _log(self, scope: Scope, seen: _Seen) -> None:
        route, seconds = route_of(scope), time.perf_counter() - seen.started
        status = seen.status or 499  # the client went before there was an answer
        self._metrics.response(route, status, seconds)
        caller = scope["state"].get("caller")
        write = log.debug if route in _QUIET and status < 400 else log.info
        write(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            bytes_in=seen.bytes_in,
            bytes_out=seen.bytes_out,
            caller=None if caller is None else caller.name,
        )


class _Seen:
    """What passes in both directions of one request."""

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive, self._send, self._request_id = receive, send, request_id
        self.started = time.perf_counter()
        self.status: int | None = None
        self.bytes_in = self.bytes_out = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            header = (_HEADER, self._request_id.encode())
            message = {**message, "headers": [*message.get("headers", ()), header]}
        self.bytes_out += len(message.get("body", b""))
        await self._send(message)


def route_of(scope: Scope) -> str:
    """Template of the route that answered, such as `/v1/predictions/{id}`."""
    return getattr(scope.get("route"), "path", None) or UNMATCHED


def _without_foreign_words(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Withhold what a library said, unless it is known to be harmless; say where it said it."""
    record: logging.LogRecord = event["_record"]
    if record.name.split(".")[0] not in _TRUSTED:
        event["event"] = WITHHELD
        event["place"] = f"{_module(record.pathname)}:{record.lineno}"
    return event


def _where_it_failed(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and the lines of code: its message may name a file."""
    given = event.pop("exc_info", None)
    if isinstance(given, tuple):
        given = given[1]
    error = given if isinstance(given, BaseException) or not given else sys.exc_info()[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["error"] = type(error).__name__
        event["frames"] = [f"{_module(f.filename)}:{f.lineno} {f.name}" for f in frames]
    return event


def _module(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])
