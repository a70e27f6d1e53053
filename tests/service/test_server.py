"""The service as real processes: how it starts, refuses to, and ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from builders_records import kept_in
from builders_service import files, png, service_settings, until
from processes import COMMAND, Certificate, certificate, environment, serving
from slicewise.audit_log.store import AuditStore
from slicewise.errors import BundleError, ConfigError, ServiceError
from slicewise.service import server as server_module
from slicewise.service.server import serve


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"data_roots": "/none/here"}, "SLICEWISE_DATA_ROOTS: expected folders"),
        (
            {"tls_certificate": "none.pem", "tls_key": "none.pem"},
            "SLICEWISE_TLS_CERTIFICATE and SLICEWISE_TLS_KEY: expected a certificate",
        ),
        ({"tls_key": "none.pem"}, "together, or neither"),
        ({"host": "nosuch.invalid"}, r"nosuch\.invalid, port 0: expected a host that exists"),
        ({"host": "192.0.2.1"}, r"cannot listen on 192\.0\.2\.1"),
        ({"host": "0.0.0.0"}, "expected an API key"),  # noqa: S104
        ({"audit_key": "short"}, "expected at least 32 characters; got 5"),
        ({"trusted_proxy": "10.0.0.1"}, "expected an API key"),
        ({"bundle": Path("nowhere")}, "no such bundle"),
        ({"bundle": Path("nowhere"), "workers": 2}, "no such bundle"),
    ],
)
def test_what_is_set_wrongly_is_told_before_anything_is_opened(tmp_path, named, told):
    settings = service_settings(tmp_path, port=0, **named)
    with pytest.raises((ConfigError, BundleError), match=told):
        serve(settings)
    assert not list(tmp_path.glob("audit.db*"))


def test_workers_end_where_a_later_one_cannot_be_started(tmp_path, monkeypatch):
    started = []

    class Fake:
        def __init__(self, *_: object) -> None:
            if len(started) == 2:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            self.process, self.ended = self, []
            started.append(self)

        def terminate(self) -> None:
            self.ended.append("terminated")

        def join(self) -> None:
            self.ended.append("joined")

    monkeypatch.setattr(server_module, "Worker", Fake)
    monkeypatch.setattr(server_module.signal, "signal", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        workers = server_module.Workers(service_settings(tmp_path, workers=3), listener)
        with pytest.raises(ServiceError, match="could not be started: Resource temporarily"):
            workers.run()
        assert listener.fileno() == -1
    assert [one.ended for one in started] == [["terminated", "joined"]] * 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_told_in_one_line(tmp_path, workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port, "--workers", workers],
            env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"127.0.0.1, port {port}" in done.stderr
    assert "--port choose another" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_an_address_that_this_machine_does_not_have_is_set_wrongly(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
        server_module._listen(service_settings(tmp_path, host="192.0.2.1"))


def test_workers_that_can_never_start_are_failed_work(tmp_path):
    code = (
        "from slicewise.service import server\n"
        "server.load_classifiers = lambda settings: None\n"
        "from slicewise.cli.main import main\n"
        "main()\n"
    )
    options = ["--port", "0", "--workers", "2", "--bundle", "nowhere"]
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", *options],
        capture_output=True, text=True, env=environment(tmp_path), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "a worker could not start" in done.stderr.splitlines()[-1]


def recorded(folder: Path) -> set[str]:
    store = AuditStore.open(service_settings(folder).audit_log)
    try:
        return {row.id for row in kept_in(store)}
    finally:
        store.close()


def load(address: str, acknowledged: list[str], clients: int = 4) -> list[threading.Thread]:
    """Clients that ask until the service is gone; other answers than 200 and 503 are kept too."""

    def ask(number: int) -> None:
        with httpx.Client(timeout=30) as client:
            while True:
                try:
                    sent = files(png(number % 4, seed=number))
                    response = client.post(f"{address}/v1/predict", files=sent)
                except httpx.HTTPError:
                    return
                if response.status_code != 503:
                    acknowledged.append(response.json().get("id", response.text))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    return threads


def test_sigterm_loses_no_answer(tmp_path):
    acknowledged: list[str] = []
    with serving(tmp_path) as (process, address):
        threads = load(address, acknowledged)
        until(lambda: acknowledged, 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        for thread in threads:
            thread.join(30)
    assert acknowledged
    assert set(acknowledged) <= recorded(tmp_path)
    log = (tmp_path / "log").read_text()
    assert f'"address": "{address}"' in log
    assert not [line for line in log.splitlines() if json.loads(line)["level"] == "error"]
    assert "slice0.png" not in log


def test_a_sigterm_before_the_server_listens_is_not_lost(tmp_path):
    # The process sends it to itself right when uvicorn is told to run.
    code = (
        "import os, signal, uvicorn\n"
        "run = uvicorn.Server.run\n"
        "def early(self, *given):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return run(self, *given)\n"
        "uvicorn.Server.run = early\n"
        "from slicewise.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--port", "0"],
        capture_output=True, text=True, env=environment(tmp_path), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_sigkill_loses_no_acknowledged_answer(tmp_path):
    acknowledged: list[str] = []
    with serving(tmp_path) as (process, address):
        threads = load(address, acknowledged)
        until(lambda: acknowledged, 60)
        process.kill()
        process.wait(20)
        for thread in threads:
            thread.join(30)
    assert acknowledged
    assert set(acknowledged) <= recorded(tmp_path)


def test_workers_share_database_and_metrics(tmp_path):
    acknowledged: list[str] = []
    with serving(tmp_path, "--workers", "2") as (process, address):

        def ask(seed: int) -> None:
            said = httpx.post(f"{address}/v1/predict", files=files(png(seed % 4)), timeout=30)
            acknowledged.append(said.json()["id"])

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = {
            line.split()[-1]
            for _ in range(6)
            for line in httpx.get(f"{address}/metrics").text.splitlines()
            if line.startswith('slicewise_responses_total{route="/v1/predict",status="200"}')
        }
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert f'"address": "{address}"' in (tmp_path / "log").read_text()
    assert counts == {"16.0"}
    assert set(acknowledged) == recorded(tmp_path)
    assert len(acknowledged) == 16


def test_workers_end_with_the_process_that_started_them(tmp_path):
    with serving(tmp_path, "--workers", "2") as (process, address):
        process.kill()
        process.wait(20)
        until(lambda: not answers(address), 20)


def answers(address: str) -> bool:
    try:
        httpx.get(f"{address}/healthz", timeout=5)
    except httpx.ConnectError:
        return False
    except httpx.TransportError:  # cut off half way: somebody is still there
        return True
    return True


def workers_of(process: subprocess.Popen) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes by /proc")
def test_a_worker_that_cannot_be_replaced_harms_nobody(tmp_path):
    log = tmp_path / "log"
    with serving(tmp_path, "--workers", "2") as (process, address):
        until(lambda: log.read_text().count("startup complete") == 2, 30)
        moved = (tmp_path / "bundle").rename(tmp_path / "elsewhere")
        os.kill(workers_of(process)[0], signal.SIGKILL)
        until(lambda: log.read_text().count('"could_not_start": true') >= 1, 30)
        assert httpx.post(f"{address}/v1/predict", files=files(png(0)), timeout=30).is_success
        moved.rename(tmp_path / "bundle")
        until(lambda: log.read_text().count("startup complete") == 3, 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_thread_that_hangs_does_not_keep_the_process(tmp_path):
    code = (
        "import time\n"
        "from slicewise.service.prediction import engine\n"
        "engine.read_uploads = lambda *given: time.sleep(60)\n"
        "from slicewise.cli.main import main\n"
        "main()\n"
    )
    patience = {"SLICEWISE_REQUEST_TIMEOUT_S": "0.5", "SLICEWISE_DRAIN_S": "1"}
    command = [sys.executable, "-c", code, "serve"]
    with serving(tmp_path, command=command, **patience) as (process, address):
        said = httpx.post(f"{address}/v1/predict", files=files(png(0)), timeout=30)
        assert said.status_code == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_body_that_never_ends_is_answered_over_a_real_connection(tmp_path):
    more = {"SLICEWISE_BODY_TIMEOUT_S": "0.5", "SLICEWISE_MAX_UPLOAD_BYTES": "50000"}
    with serving(tmp_path, **more) as (_, address):
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        opening = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        head += f"{len(opening):x}\r\n".encode() + opening + b"\r\n"
        chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
        assert answer_to(address, head, b"1\r\nx\r\n", pause=0.05).startswith(b"HTTP/1.1 408")
        assert answer_to(address, head, chunk, pause=0).startswith(b"HTTP/1.1 413")


def test_a_body_with_length_and_chunks_is_refused_and_the_connection_closed(tmp_path):
    with serving(tmp_path) as (_, address):
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        got = answer_to(address, head, b"", 0.1)
    assert got.startswith(b"HTTP/1.1 400")
    assert got.count(b"HTTP/1.1") == 1


def answer_to(address: str, head: bytes, part: bytes, pause: float) -> bytes:
    """What comes back while a part is sent again and again, until the connection is closed."""
    host, port = address.removeprefix("http://").split(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head)
        connection.settimeout(max(pause, 0.001))
        for _ in range(100_000):
            try:
                connection.sendall(part)
            except TimeoutError:
                pass
            except OSError:
                return got
            try:
                came = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return got
            if not came:
                return got
            got += came
    raise AssertionError("the connection stayed open")


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--host", "0.0.0.0"], 2, "expected an API key"),  # noqa: S104
        (["--bundle", "nowhere"], 1, "expected a folder or a .zip"),
        (["--database", "mysql://x"], 2, "expected sqlite:///FILE"),
    ],
)
def test_it_says_in_one_line_why_it_does_not_start(tmp_path, options, code, told):
    done = subprocess.run(
        [*COMMAND, "--port", "0", *options],
        capture_output=True, text=True, env=environment(tmp_path), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


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
        http=server_module.Connection,
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
    monkeypatch.setattr(server_module, "ANSWER_S", limit)
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
    monkeypatch.setattr(server_module, "ANSWER_S", 0.05)
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
    made = server_module.Connection(config, uvicorn.server.ServerState(), {})
    made.connection_made(transport)
    made.pause_writing()
    await asyncio.sleep(0.2)
    made._stop()


SLOW = [b"GET / HTTP/1.1\r\n", *(f"X-{i}: 1\r\n".encode() for i in range(40))]
WHOLE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("sent", [[], SLOW, [WHOLE, *SLOW]])
def test_headers_that_never_end_close_the_connection(monkeypatch, tls, sent):
    monkeypatch.setattr(server_module, "HEADERS_S", 0.2)
    came, took = asyncio.run(kept_open(sent, 0.02, tls))
    assert took < 3.5
    assert (b"200 OK" in came) == (WHOLE in sent)
