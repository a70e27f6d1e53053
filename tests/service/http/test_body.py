"""Bodies against a clock and a limit, at the level of ASGI messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from builders_service import service_settings
from slicewise.service.app import create_app
from slicewise.service.http.body import MOST_OTHER_BYTES, distinct, shown_name, with_plain_name

HOST = (b"host", b"127.0.0.1:8000")
FORM = (b"content-type", b"multipart/form-data; boundary=b")
OPENING = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
LIMIT = 100_000


async def asked(
    app: Any,
    parts: Callable[[], AsyncIterator[bytes]],
    headers: Any = (),
    path: str = "/v1/predict",
    kind: tuple[bytes, bytes] = FORM,
) -> tuple[dict[str, Any], int]:
    """First message and number of body bytes taken, for a body that is sent in parts."""
    body, taken, started = parts(), [0], []

    async def receive() -> dict[str, Any]:
        try:
            part = await anext(body)
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        taken[0] += len(part)
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        started.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": [HOST, kind, *headers], "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return started[0], taken[0]


def answer(
    tmp_path: Path, parts: Any, limit: int = LIMIT, **how: Any
) -> tuple[int, dict[bytes, bytes], int]:
    settings = service_settings(tmp_path, max_upload_bytes=limit, body_timeout_s=0.5)
    first, taken = asyncio.run(asked(create_app(settings), parts, **how))
    return first["status"], dict(first["headers"]), taken


async def endless() -> AsyncIterator[bytes]:
    yield OPENING
    while True:
        yield b"x" * 10_000


async def slow() -> AsyncIterator[bytes]:
    yield OPENING
    while True:
        await asyncio.sleep(0.05)
        yield b"x"


async def silent() -> AsyncIterator[bytes]:
    yield OPENING
    await asyncio.sleep(3600)
    yield b""


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/evaluate", "/nowhere"])
def test_an_endless_body_is_cut(tmp_path, path):
    status, headers, taken = answer(tmp_path, endless, path=path)
    assert status in {413, 404, 415}
    assert headers[b"connection"] == b"close"
    assert taken < 2.5 * LIMIT


@pytest.mark.parametrize("parts", [slow, silent])
def test_a_slow_body_ends_at_its_time(tmp_path, parts):
    started = time.perf_counter()
    status, headers, _ = answer(tmp_path, parts)
    assert status == 408
    assert headers[b"connection"] == b"close"
    assert headers[b"content-type"] == b"application/problem+json"
    assert time.perf_counter() - started < 5


def test_a_declared_length_is_refused_without_reading_where_the_client_waits(tmp_path):
    waits = [(b"content-length", b"999999999"), (b"expect", b"100-continue")]
    status, _, taken = answer(tmp_path, endless, headers=waits)
    assert (status, taken) == (413, 0)


def test_a_body_that_is_read_leaves_the_connection_open(tmp_path):
    async def short() -> AsyncIterator[bytes]:
        yield OPENING + b"no picture\r\n--b--\r\n"

    status, headers, _ = answer(tmp_path, short)
    assert status == 422
    assert b"connection" not in headers


async def brackets() -> AsyncIterator[bytes]:
    yield b"["
    for _ in range(400):
        yield b"[]," * 3000


@pytest.mark.parametrize(
    "path", ["/v1/evaluate", "/metrics", f"/v1/predictions/{'0' * 32}/feedback"]
)
def test_a_body_without_files_may_be_small_only(tmp_path, path):
    json = (b"content-type", b"application/json")
    status, _, taken = answer(tmp_path, brackets, limit=2**26, path=path, kind=json)
    assert status == 413
    assert taken < 3 * MOST_OTHER_BYTES


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.png", "a.png"),
        ("../../a.png", "a.png"),
        ("C:\\scans\\a.png", "a.png"),
        ("a\0b\n.png", "ab.png"),
        ("a!b#3.png", "a_b_3.png"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        ("脳.png", "脳.png"),
    ],
)
def test_shown_name(given, shown):
    assert shown_name(given) == shown


def test_a_long_name_keeps_its_end():
    assert shown_name("x" * 300 + ".png") == "x" * 96 + ".png"


def test_names_become_distinct():
    assert distinct(["a", "a", "b", "a"]) == ["a", "a (2)", "b", "a (3)"]
    assert len(set(distinct(["a", "a (2)", "a", "a (2)"]))) == 4


@pytest.mark.parametrize(
    ("extended", "plain"),
    [
        ("filename*=UTF-8''a%20b.png", "a b.png"),
        ("filename*=utf-8'de'K%C3%A4se.png", "Käse.png"),
        ("filename*=ISO-8859-1''%FC.png", "ü.png"),
        ("filename*=UTF-8''..%2F..%2Fetc%2Fp.png", "p.png"),
        ("filename*=UTF-8''c%3A%5Cx%5Cp.png", "p.png"),
        ("filename*=UTF-8''a%22b.png", 'a\\"b.png'),
        ("filename=\"\"; filename*=UTF-8''b.png", "b.png"),
        ("filename*0*=UTF-8''a%20; filename*1=\"b.png\"", "a b.png"),
        ("FileName*=UTF-8''b.png", "b.png"),
        ("filename*=unknown''%FF.png", "ÿ.png"),
        ("filename*=UTF-8''%FF.png", "\N{REPLACEMENT CHARACTER}.png"),
        ("filename*=junk.png", "junk.png"),
        ("filename*=UTF-8''", ""),
        ("filename*=", ""),
    ],
)
def test_an_extended_file_name_is_a_file_name(extended, plain):
    disposition = f'form-data; name="file"; {extended}'.encode()
    assert with_plain_name(disposition) == disposition + f'; filename="{plain}"'.encode()


@pytest.mark.parametrize(
    "given",
    [
        'name="file"; filename="a.png"; filename*=UTF-8\'\'b.png',
        'name="file"; filename*=UTF-8\'\'b.png; filename="a.png"',
        'name="fi*le"; filename="a*.png"',
        'name="a*b"',
    ],
)
def test_a_plain_file_name_goes_before(given):
    assert with_plain_name(f"form-data; {given}".encode()) == f"form-data; {given}".encode()
