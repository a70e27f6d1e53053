"""What is logged of a request, and what must never be."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from slicewise.errors import InputError
from slicewise.service.http import problems
from slicewise.service.monitoring.logs import WITHHELD, RequestLog, configure_logs
from slicewise.service.monitoring.metrics import Metrics

PATIENT = "DOE^JOHN"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    text = io.StringIO()
    configure_logs("debug", text)
    yield text
    logging.captureWarnings(False)
    root.handlers, root.level = before[0], before[1]


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def client(*, behind_proxy: bool = False) -> TestClient:
    app = FastAPI()

    @app.post("/things/{name}")
    async def thing(name: str, request: Request) -> dict[str, str]:
        await request.body()
        if name == "broken":
            raise FileNotFoundError(2, "No such file", f"/data/{PATIENT}.dcm")
        if name == "bad":
            raise InputError(f"{PATIENT}.dcm: expected a picture")
        return {"id": request.state.request_id}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    problems.install(app)
    app.add_middleware(
        RequestLog,
        metrics=Metrics(),
        on_failure=problems.failure_response,
        on_end=problems.ending_response,
        behind_proxy=behind_proxy,
    )
    return TestClient(app, raise_server_exceptions=False)


def test_one_line_a_request_with_its_template(stream: io.StringIO) -> None:
    answer = client().post(f"/things/{PATIENT}?note={PATIENT}", content=b"12345")
    line = next(one for one in lines(stream) if one["event"] == "request")
    assert line["route"] == "/things/{name}"
    assert (line["method"], line["status"], line["bytes_in"]) == ("POST", 200, 5)
    assert line["request_id"] == answer.headers["X-Request-ID"] == answer.json()["id"]
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")
    assert PATIENT not in stream.getvalue()


def test_an_unknown_path_is_not_repeated(stream: io.StringIO) -> None:
    assert client().get(f"/{PATIENT}").status_code == 404
    line = next(one for one in lines(stream) if one["event"] == "request")
    assert line["route"] == "unmatched"
    assert PATIENT not in stream.getvalue()


def test_a_failure_is_a_problem_with_an_id_and_a_line_without_its_message(
    stream: io.StringIO,
) -> None:
    answer = client().post("/things/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"].replace("-", "") in answer.text.replace("-", "")
    assert PATIENT not in answer.text
    failure = next(one for one in lines(stream) if one["event"] == "failure")
    assert failure["error"] == "FileNotFoundError"
    assert failure["level"] == "error"
    assert any("test_logs.py" in frame and frame.endswith("thing") for frame in failure["frames"])
    assert PATIENT not in stream.getvalue()


def test_a_client_that_goes_while_it_sends_is_no_failure(stream: io.StringIO) -> None:
    async def gone(scope: Any, receive: Any, send: Any) -> None:
        raise ClientDisconnect

    told = []
    metrics = SimpleNamespace(response=lambda route, status, seconds: told.append(status))
    app = RequestLog(gone, metrics, problems.failure_response, problems.ending_response)
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": []}
    asyncio.run(app(scope, None, None))
    assert told == [499]
    assert [line["status"] for line in lines(stream) if line["event"] == "request"] == [499]
    assert not [line for line in lines(stream) if line["event"] == "failure"]


def test_a_request_that_the_end_cuts_off_is_told_to_come_again(stream: io.StringIO) -> None:
    async def cut(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    told, sent = [], []
    metrics = SimpleNamespace(response=lambda route, status, seconds: told.append(status))
    app = RequestLog(cut, metrics, problems.failure_response, problems.ending_response)
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": []}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, None, send))
    assert told == [503]
    assert dict(sent[0]["headers"])[b"retry-after"] == b"5"
    assert b"the service is ending" in sent[1]["body"]


def test_an_expected_error_is_no_failure(stream: io.StringIO) -> None:
    assert client().post("/things/bad").status_code == 422
    assert [one["event"] for one in lines(stream) if one["event"] == "failure"] == []
    assert PATIENT not in stream.getvalue()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("f00dbabe-0001", True),
        ("short", False),
        ("x" * 65, False),
        ('quote"and space', False),
        ("new\tline-aaaaaa", False),
    ],
)
def test_an_id_from_a_proxy_is_kept_if_it_is_plain(
    stream: io.StringIO, given: str, kept: bool
) -> None:
    answer = client(behind_proxy=True).get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept


def test_an_id_from_anybody_else_is_not_taken(stream: io.StringIO) -> None:
    answer = client().get("/healthz", headers={"X-Request-ID": "f00dbabe-0001"})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert "f00dbabe" not in stream.getvalue()


def test_probes_are_told_only_to_who_wants_everything(stream: io.StringIO) -> None:
    client().get("/healthz")
    assert [one["level"] for one in lines(stream) if one["event"] == "request"] == ["debug"]


def test_other_libraries_speak_json_too_and_the_server_is_believed(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("Started %s", "server")
    assert [one["event"] for one in lines(stream)] == ["Started server"]


def test_words_of_libraries_are_withheld(stream: io.StringIO) -> None:
    logging.getLogger("nibabel.global").warning("Invalid: %s", PATIENT, extra={"tag": PATIENT})
    warnings.warn(f"Invalid value for VR PN: {PATIENT}", stacklevel=1)
    try:
        raise ValueError(PATIENT)
    except ValueError:
        logging.getLogger("sqlalchemy.pool").exception("lost %s", PATIENT)
    told = lines(stream)
    assert [one["event"] for one in told] == [WITHHELD] * 3
    assert [one["logger"] for one in told] == ["nibabel.global", "py.warnings", "sqlalchemy.pool"]
    assert told[2]["error"] == "ValueError"
    assert PATIENT not in stream.getvalue()
