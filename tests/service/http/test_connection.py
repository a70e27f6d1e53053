from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp

from processes import Certificate, certificate
from slicewise.service.http import connection


async def hello(scope, receive, send):
    if scope["type"] == "http":
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
        )
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(params=["plain", "TLS"])
def tls(request, tmp_path) -> Certificate | None:
    """What the server encrypts with; nothing in plain HTTP."""
    return certificate(tmp_path) if request.param == "TLS" else None


@asynccontextmanager
async def served(application: ASGIApp, tls: Certificate | None = None) -> AsyncIterator[int]:
    """The port of an application that is served with our protocol."""
    config = uvicorn.Config(
        application,
        http=connection.Connection,
        port=0,
        lifespan="off",
        log_config=None,
        ssl_certfile=tls and tls.file,
        ssl_keyfile=tls and tls.key,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def kept_open(
    sent: list[bytes], pause: float, tls: Certificate | None
) -> tuple[bytes, float]:
    """What came back, and how long the connection stayed open."""
    async with served(hello, tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls and tls.context())
        started = time.perf_counter()
        came = b""
        try:
            for part in sent:
                writer.write(part)
                await asyncio.sleep(pause)
                if part == WHOLE:
                    came = await reader.readuntil(b"ok")
            await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:  # closed while we were sending
            pass
        took = time.perf_counter() - started
        writer.close()
    return came, took


async def large(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(LARGE)})


LARGE = 32 * 1024 * 1024


async def read_after(pause: float, tls: Certificate | None) -> int:
    """How much of a large answer comes to a client that begins to read late."""
    async with served(large, tls) as port:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, limit=1024, ssl=tls and tls.context()
        )
        writer.write(WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await asyncio.sleep(pause)
        size = 0
        try:
            while part := await reader.read(1 << 20):
                size += len(part)
        except ConnectionError:  # cut
            pass
        writer.close()
    return size


@pytest.mark.parametrize(("limit", "whole"), [(0.2, False), (20.0, True)])
def test_an_answer_that_nobody_takes_is_not_kept(monkeypatch, tls, limit, whole):
    monkeypatch.setattr(connection, "ANSWER_S", limit)
    assert (asyncio.run(read_after(1.0, tls)) > LARGE) == whole


def test_parts_of_an_answer_wait_until_a_client_takes_them(tls):
    handed_over = []

    async def in_parts(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in range(256):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            handed_over.append(part)

    async def never_read() -> None:
        async with served(in_parts, tls) as port:
            context = tls and tls.context()
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024, ssl=context)
            writer.write(WHOLE)
            await asyncio.sleep(1.0)
            assert 0 < len(handed_over) < 64  # what the system and TLS hold, and no more
            writer.transport.abort()

    asyncio.run(never_read())


def test_a_small_rest_that_nobody_takes_is_not_kept_either(monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_S", 0.05)
    transport = Waiting()
    asyncio.run(connected(transport))
    assert transport.high == 0
    assert transport.aborted


class Waiting(asyncio.Transport):
    """A transport with something in it that nobody takes."""

    high: int | None = None
    aborted = False

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = high

    def get_extra_info(self, name, default=None):
        return default

    def abort(self):
        self.aborted = True


async def connected(transport: Waiting) -> None:
    config = uvicorn.Config(hello, lifespan="off", log_config=None)
    config.load()
    made = connection.Connection(config, uvicorn.server.ServerState(), {})
    made.connection_made(transport)
    made.pause_writing()
    await asyncio.sleep(0.2)
    made._stop()


SLOW = [b"GET / HTTP/1.1\r\n", *(f"X-{i}: 1\r\n".encode() for i in range(40))]
WHOLE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("sent", [[], SLOW, [WHOLE, *SLOW]])
def test_headers_that_never_end_close_the_connection(monkeypatch, tls, sent):
    monkeypatch.setattr(connection, "HEADERS_S", 0.2)
    came, took = asyncio.run(kept_open(sent, 0.02, tls))
    assert took < 3.5
    assert (b"200 OK" in came) == (WHOLE in sent)
