"""The service as processes: one or several that share a port, and end without losing an answer."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from slicewise.audit_log.keys import KeyStore
from slicewise.audit_log.store import AuditStore
from slicewise.errors import ConfigError
from slicewise.service.access.headers import require_safe
from slicewise.service.app import create_app
from slicewise.service.http.connection import Connection
from slicewise.service.monitoring.logs import configure_logs
from slicewise.service.monitoring.metrics import Metrics, remove_left_over, share_among_workers
from slicewise.service.services import Services, load_classifiers
from slicewise.service.settings import PREFIX, Settings

KEEP_ALIVE_S = 75
"""Longer than the minute after which common load balancers close an idle connection."""

MOST_HEADER_BYTES = 32 * 1024
WORKER_SILENCE_S = 60
"""How long a worker may be silent, as while it starts, before it is replaced."""

BACKLOG = 2048
"""Connections that wait to be taken."""

LEAVE_S = 3.0
"""For threads to end once everything is closed."""

RESTART_S = 1.0
"""Between two tries to replace a worker that cannot start."""

log = structlog.stdlib.get_logger("slicewise.service")


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT; then finish what was begun, within the time set for it.

    Raises:
        ConfigError: The service would be open to others, bundles do not fit, or a worker could not
            start.
        BundleError: A bundle is missing, incomplete or changed.
        AuditError: The audit database cannot be opened.
    """
    require_files(settings)
    remove_left_over()
    keys = KeyStore.open(settings.audit_log)
    try:
        require_safe(settings, keys)
    finally:
        keys.close()
    if settings.workers == 1:
        _serve_here(settings)
    else:
        _serve_in_workers(settings)


def server_config(settings: Settings, application: Callable[[], FastAPI]) -> uvicorn.Config:
    """What uvicorn is told.

    Args:
        settings: What an operator set.
        application: Makes the application of one process.
    """
    proxy = settings.trusted_proxy
    return uvicorn.Config(
        application,
        factory=True,
        http=Connection,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        timeout_worker_healthcheck=WORKER_SILENCE_S,
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


class Server(uvicorn.Server):
    """uvicorn's server, which says where it listens though the socket was made before."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, then say that it answers."""
        await super().startup(sockets)
        if self.started:
            for line in sockets or ():
                tell_where(self.config, line)


class Workers(Multiprocess):
    """uvicorn's workers, replaced as long as one could ever start.

    Nobody is let in any more once they are told to end.
    """

    failed = False
    """Whether a worker could not start before any was ready."""

    _was_ready = False

    def terminate_all(self) -> None:
        """Close the socket, so that connections are refused, then end the workers."""
        for line in self.sockets:
            line.close()
        super().terminate_all()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that ended or hang; signals are not kept waiting meanwhile."""
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set() or self.signal_queue:
                return
            state = self._state(process)
            self._was_ready = self._was_ready or state is True
            if state is not None:
                continue
            process.kill()
            process.join()
            unable = process.exitcode == STARTUP_FAILURE
            if unable and not self._was_ready:
                self.failed = True
                self.should_exit.set()
                return
            log.warning("worker ended", process=process.pid, could_not_start=unable)
            self.should_exit.wait(RESTART_S if unable else 0)
            self.processes[index] = Process(self.config, self.sockets)
            self.processes[index].start()

    def _state(self, process: Process) -> bool | None:
        """Whether a worker is ready; None where it ended or says nothing for too long."""
        ends_at = time.monotonic() + WORKER_SILENCE_S
        try:
            process.parent_conn.send(b"ping")
            while process.process.is_alive() and time.monotonic() < ends_at:
                if process.parent_conn.poll(0.2):
                    return bool(process.parent_conn.recv())
                if self.signal_queue:
                    return False  # it is asked again afterwards
        except (OSError, EOFError):
            pass
        return None


def require_files(settings: Settings) -> None:
    """Check what the settings name before anything is opened.

    Raises:
        ConfigError: A data folder is missing, or certificate and key are none.
    """
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


def listening(settings: Settings) -> socket.socket:
    """A socket that connections queue at from now on.

    Raises:
        ConfigError: Somebody else listens there, or this machine has no such address.
    """
    host = settings.host.strip("[]")
    try:
        family = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0][0]
        line = socket.create_server((host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise ConfigError(
            f"cannot listen on {settings.host}, port {settings.port}: {why}; "
            "--host and --port choose another"
        ) from None
    line.set_inheritable(True)  # workers are started with it
    return line


def tell_where(config: uvicorn.Config, line: socket.socket) -> None:
    """Log the address under which the service is found."""
    scheme = "https" if config.ssl_certfile else "http"
    host = config.host.strip("[]")
    host = f"[{host}]" if ":" in host else host
    log.info("listening", address=f"{scheme}://{host}:{line.getsockname()[1]}")


def _serve_here(settings: Settings) -> None:
    """Open everything first, so that what is wrong is told in one line."""
    line = listening(settings)
    services = Services.open(settings, Metrics())
    server = Server(server_config(settings, partial(_application, settings, services)))

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # Until uvicorn handles signals itself, one has to be kept for it; and it raises the signal
    # again once it has finished, which is no reason to fail.
    signal.signal(signal.SIGTERM, end)
    server.run([line])


def _serve_in_workers(settings: Settings) -> None:
    """Migrate the database and try the bundles once, then start processes that share a socket."""
    line = listening(settings)
    AuditStore.open(settings.audit_log).close()
    load_classifiers(settings)
    configure_logs(settings.log_level)
    config = server_config(settings, partial(_application_of_worker, settings))
    shared = share_among_workers()
    try:
        workers = Workers(config, sockets=[line])
        tell_where(config, line)
        workers.run()
        if workers.failed:
            raise ConfigError("a worker could not start; the log says why")
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def _application_of_worker(settings: Settings) -> FastAPI:
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    return _application(settings)


def _end_with_parent() -> None:
    """End like any worker when the process that started it is gone, however that came about."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _application(settings: Settings, opened: Services | None = None) -> FastAPI:
    """The application of one process, which logs from now on."""
    configure_logs(settings.log_level)
    logging.getLogger("uvicorn.access").propagate = False  # it would log queries as they are sent
    return create_app(settings, opened, _leave_soon)


def _leave_soon() -> None:
    """End the process though a thread hangs: all is closed, and Python would wait for it."""

    def leave() -> None:
        time.sleep(LEAVE_S)
        log.warning("left a thread that did not end")
        logging.shutdown()
        os._exit(0)

    threading.Thread(target=leave, name="leave", daemon=True).start()
