"""The service as one process, or several that share a socket; no answer is lost at the end."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import multiprocessing
import os
import signal
import socket
import ssl
import threading
import time
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import ChangeReload

import slicewise
from slicewise.audit_log.chain import chain_key
from slicewise.audit_log.store import AuditStore
from slicewise.errors import ConfigError, ServiceError
from slicewise.service.access.headers import require_safe
from slicewise.service.app import create_app
from slicewise.service.monitoring.logs import configure_logs
from slicewise.service.monitoring.metrics import Metrics, remove_left_over, shared_among_workers
from slicewise.service.services import Services, load_classifiers
from slicewise.service.settings import PREFIX, Settings

KEEP_ALIVE_S = 75
"""Longer than the minute after which common load balancers close an idle connection."""

MOST_HEADER_BYTES = 32 * 1024
WORKER_SILENCE_S = 60  # how long a worker may be silent, as while it starts, before it is replaced
HEARTBEAT_S = 1.0
CHECK_S = 0.2  # between two looks at the workers
BACKLOG = 2048  # connections that wait to be taken
LEAVE_S = 3.0  # for threads to end once everything is closed
RESTART_S = 1.0  # between two tries to replace a worker that cannot start
HEADERS_S = 15.0
"""From the first byte of a request, or the start of a connection, to the end of its headers."""

ANSWER_S = 120.0
"""For a client to take what waits to be sent; until then its answer stays in memory."""

CLOSE_S = 3.0
"""For a client to close its side of TLS once the service ends: one that waits for nothing, such as
a pool of connections, does not look."""

WATCHED = str(Path(slicewise.__file__).parent)
log = structlog.stdlib.get_logger("slicewise.service")
_spawn = multiprocessing.get_context("spawn")


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT; then finish what was begun, within the time set for it.

    Raises:
        ConfigError: It would be open to others, bundles do not fit, or there is no such address.
        ServiceError: It cannot listen there now, or a worker could not start.
        BundleError: A bundle is missing, incomplete or changed.
        AuditError: The audit database cannot be opened, or its key was not given.
    """
    _require_files(settings)
    remove_left_over()
    with _listen(settings) as listener:  # whoever connects waits until all has been checked
        require_safe(settings)
        if settings.workers == 1 and not settings.reload:
            _serve_here(settings, listener)
        else:
            _serve_in_others(settings, listener)


def server_of(settings: Settings, app: FastAPI) -> uvicorn.Server:
    """The server of one process, in which an application answers."""
    proxy = settings.trusted_proxy
    config = uvicorn.Config(
        app,
        http=Connection,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_s),
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="on",
        ws="none",
    )
    return uvicorn.Server(config)


class Connection(H11Protocol):
    """Closed where it takes too long to ask, or to take its answer; for bodies, see `http/body`."""

    _due: asyncio.TimerHandle | None = None
    _taken_by: asyncio.TimerHandle | None = None
    _encrypted = False

    # uvicorn's own signature, narrower than asyncio's
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._encrypted = transport.get_extra_info("sslcontext") is not None
        # Whatever waits to be taken counts. asyncio pauses above a limit, but over TLS at a limit:
        # with 0 there it would never send anything.
        transport.set_write_buffer_limits(high=int(self._encrypted), low=0)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._forget_reader()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        super().shutdown()
        if self._encrypted:
            self._leave_closed()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._taken_by is None:
            self._taken_by = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget_reader()
        super().resume_writing()

    def _wait(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(HEADERS_S, self.transport.close)

    def _leave_closed(self) -> None:
        """Once this side is closed, wait no longer for the other than `CLOSE_S`."""
        then = self.transport.abort if self.transport.is_closing() else self._leave_closed
        self.loop.call_later(CLOSE_S, then)

    def _stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _forget_reader(self) -> None:
        if self._taken_by is not None:
            self._taken_by.cancel()
            self._taken_by = None


class Worker:
    """One process that answers, as the process that started it sees it."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._heartbeats, sends = _spawn.Pipe(duplex=False)
        self.process = _spawn.Process(target=_work, args=(settings, listener, sends))
        self.process.start()
        sends.close()
        self.was_ready = False
        self._heard_at = time.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether it ended or hangs."""
        try:
            while self._heartbeats.poll():
                self.was_ready = self._heartbeats.recv()
                self._heard_at = time.monotonic()
        except (OSError, EOFError):
            pass  # it has ended
        silent_s = time.monotonic() - self._heard_at
        return not self.process.is_alive() or silent_s > WORKER_SILENCE_S

    def kill(self) -> bool:
        """End it where it has not ended; whether it was unable to start."""
        self.process.kill()
        self.process.join()
        self._heartbeats.close()
        return not self.was_ready and (self.process.exitcode or 0) > 0


class Workers:
    """Processes that answer; those that ended are replaced as long as one could ever start."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._workers: list[Worker] = []
        self._was_ready = False
        self._stopped = False

    def run(self) -> None:
        """Answer until SIGTERM or SIGINT; ServiceError where none could ever start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            for _ in range(self._settings.workers):
                self._workers.append(Worker(self._settings, self._listener))
            while not self._stopped:
                time.sleep(CHECK_S)
                self._replace_lost()
        except OSError as error:
            raise ServiceError(f"a process could not be started: {error.strerror}") from error
        finally:
            self._listener.close()  # from now on connections are refused
            for worker in self._workers:
                worker.process.terminate()
            for worker in self._workers:
                worker.process.join()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True

    def _replace_lost(self) -> None:
        for index, worker in enumerate(self._workers):
            lost = worker.is_lost
            self._was_ready = self._was_ready or worker.was_ready
            if self._stopped or not lost:
                continue
            unable = worker.kill()
            if unable and not self._was_ready:
                raise ServiceError("a worker could not start; the log says why")
            log.warning("worker ended", process=worker.process.pid, could_not_start=unable)
            time.sleep(RESTART_S if unable else 0)
            self._workers[index] = Worker(self._settings, self._listener)


def _work(settings: Settings, listener: socket.socket, heartbeats: Pipe) -> None:
    configure_logs(settings.log_level)
    server = server_of(settings, create_app(settings, closed=_leave_soon))
    beat = threading.Thread(target=_beat, args=(server, heartbeats), name="heartbeat", daemon=True)
    beat.start()
    server.run([listener])


def _work_until_changed(settings: Settings, sockets: list[socket.socket] | None) -> None:
    configure_logs(settings.log_level)
    server_of(settings, create_app(settings, closed=_leave_soon)).run(sockets)


def _beat(server: uvicorn.Server, heartbeats: Pipe) -> None:
    """Tell the parent whether the server is ready; end with it, however it ended."""
    try:
        while True:
            heartbeats.send(server.started)
            time.sleep(HEARTBEAT_S if server.started else CHECK_S)
    except OSError:
        os.kill(os.getpid(), signal.SIGTERM)


def _serve_here(settings: Settings, listener: socket.socket) -> None:
    """Open everything first, so that an error is one line."""
    services = Services.open(settings, Metrics())
    configure_logs(settings.log_level)
    server = server_of(settings, create_app(settings, services, _leave_soon))

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # Until uvicorn handles signals itself, one has to be kept for it; and it raises the signal
    # again once it has finished, which is no reason to fail.
    signal.signal(signal.SIGTERM, end)
    _log_address(settings, listener)
    server.run([listener])


def _serve_in_others(settings: Settings, listener: socket.socket) -> None:
    """Try the bundles and migrate the database once, then start processes that take the socket."""
    load_classifiers(settings)
    AuditStore.open(settings.audit_log).close()
    configure_logs(settings.log_level)
    _log_address(settings, listener)
    if settings.reload:
        watched = uvicorn.Config(WATCHED, reload=True, reload_dirs=[WATCHED], log_config=None)
        ChangeReload(watched, partial(_work_until_changed, settings), [listener]).run()
        return
    with shared_among_workers():
        Workers(settings, listener).run()


def _require_files(settings: Settings) -> None:
    """Check what the settings name before anything is opened or made."""
    if settings.audit_key is not None or not settings.database_url.startswith("sqlite"):
        chain_key(settings.audit_log, None, may_make=False)
    missing = [str(folder) for folder in settings.data_roots if not folder.is_dir()]
    if missing:
        raise ConfigError(
            f"{PREFIX}DATA_ROOTS: expected folders that exist; got {', '.join(missing)}"
        )
    if settings.tls_certificate is not None and settings.tls_key is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY: expected a certificate and its key "
                f"in PEM; {error.strerror or type(error).__name__}"
            ) from None


def _listen(settings: Settings) -> socket.socket:
    """A socket that connections queue at from now on."""
    host = settings.host.strip("[]")
    try:
        family = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        unnamed = isinstance(error, socket.gaierror)
        why = f"expected a host that exists, such as 127.0.0.1; got none ({error.strerror})"
        if not unnamed:  # the text of the error names the address again
            why = str(error.strerror) if error.errno is None else os.strerror(error.errno)
        is_wrong = unnamed or error.errno == errno.EADDRNOTAVAIL
        raise (ConfigError if is_wrong else ServiceError)(
            f"cannot listen on {settings.host}, port {settings.port}: {why}; "
            "--host and --port choose another"
        ) from None


def _log_address(settings: Settings, listener: socket.socket) -> None:
    scheme = "http" if settings.tls_certificate is None else "https"
    host = settings.host.strip("[]")
    host = f"[{host}]" if ":" in host else host
    log.info("listening", address=f"{scheme}://{host}:{listener.getsockname()[1]}")


def _leave_soon() -> None:
    """End the process though a thread hangs: all is closed, and Python would wait for it."""

    def leave() -> None:
        time.sleep(LEAVE_S)
        log.warning("left a thread that did not end")
        logging.shutdown()
        os._exit(0)

    threading.Thread(target=leave, name="leave", daemon=True).start()
