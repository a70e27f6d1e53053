"""The service as processes: one or several that share a port, and end without losing an answer."""

from __future__ import annotations

import logging
import math
import shutil
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from slicewise.errors import ConfigError
from slicewise.service.app import create_app
from slicewise.service.audit.store import AuditStore
from slicewise.service.connection import Connection
from slicewise.service.keys import KeyStore
from slicewise.service.logs import configure_logs
from slicewise.service.metrics import Metrics, share_among_workers
from slicewise.service.security import require_safe
from slicewise.service.services import Services, load_classifiers
from slicewise.service.settings import Settings

KEEP_ALIVE_S = 75
"""Longer than the minute after which common load balancers close an idle connection."""

MOST_HEADER_BYTES = 32 * 1024
BACKLOG = 2048
"""Connections that wait to be taken."""


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT; then finish what was begun, within the time set for it.

    Raises:
        ConfigError: The service would be open to others, or bundles do not fit.
        BundleError: A bundle is missing, incomplete or changed.
        AuditError: The audit database cannot be opened.
    """
    keys = KeyStore.open(settings)
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


def listening(settings: Settings) -> socket.socket:
    """A socket that connections queue at from now on.

    Raises:
        ConfigError: Somebody else listens there, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        line = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise ConfigError(
            f"cannot listen on {settings.host}, port {settings.port}: {why}; "
            "--host and --port choose another"
        ) from None
    line.set_inheritable(True)  # workers are started with it
    return line


def _serve_here(settings: Settings) -> None:
    """Open everything first, so that what is wrong is told in one line."""
    line = listening(settings)
    services = Services.open(settings, Metrics())
    server = uvicorn.Server(server_config(settings, partial(_application, settings, services)))

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # Until uvicorn handles signals itself, one has to be kept for it; and it raises the signal
    # again once it has finished, which is no reason to fail.
    signal.signal(signal.SIGTERM, end)
    server.run([line])


def _serve_in_workers(settings: Settings) -> None:
    """Migrate the database and try the bundles once, then start processes that share a socket."""
    line = listening(settings)
    AuditStore.open(settings).close()
    load_classifiers(settings)
    configure_logs(settings.log_level)
    config = server_config(settings, partial(_application, settings))
    shared = share_among_workers()
    try:
        Multiprocess(config, sockets=[line]).run()
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def _application(settings: Settings, opened: Services | None = None) -> FastAPI:
    """The application of one process, which logs from now on."""
    configure_logs(settings.log_level)
    logging.getLogger("uvicorn.access").propagate = False  # it would log queries as they are sent
    return create_app(settings, opened)
