"""What keeps a service that others can reach from being open: a check at start, and headers."""

from __future__ import annotations

import ipaddress
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicewise.audit_log.database import Database
from slicewise.audit_log.keys import KeyStore
from slicewise.audit_log.log import revision_of
from slicewise.errors import ConfigError
from slicewise.service.http.prefix import own_path
from slicewise.service.http.problems import problem_response
from slicewise.service.monitoring.logs import PROBES, request_id_of
from slicewise.service.settings import PREFIX, Settings

CONTENT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Of what is no page: a page brings a policy of its own."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with less, browsers send `Origin: null` with our own form
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Sent with every response, unless the route sent its own."""

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_RECORDING = ("/api/random-test", "/api/random-test-detailed")
"""Older routes that answer and record although they are asked by GET."""


def is_loopback(host: str) -> bool:
    if host.lower() in ("localhost", "ip6-localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").split("%")[0]).is_loopback
    except ValueError:
        return False


def is_exposed(settings: Settings) -> bool:
    """Whether others can reach the service: by its address, or through a proxy."""
    return settings.trusted_proxy is not None or not is_loopback(settings.host)


def require_safe(settings: Settings) -> None:
    """Refuse to listen where anybody could call, or read along; a missing database is not made.

    Raises:
        ConfigError: Bound beyond loopback, or behind a proxy, without a key that is valid or
            without TLS here or at a declared proxy; or half a TLS configuration.
        AuditError: The database with the keys cannot be read.
    """
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise ConfigError(
            f"expected {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY together, or neither; got one"
        )
    if (proxy := settings.trusted_proxy) is not None:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            raise ConfigError(
                f"{PREFIX}TRUSTED_PROXY: expected an IP address, or a network without bits of a "
                f"host (10.0.0.0/8); got {proxy!r}"
            ) from None
    if not is_exposed(settings):
        return
    missing = []
    if not _has_key(settings.database_url):
        missing.append("an API key (slicewise keys create NAME)")
    if not _is_encrypted(settings):
        missing.append(
            f"TLS ({PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY) or a proxy that ends it "
            f"({PREFIX}TRUSTED_PROXY, its address)"
        )
    if missing:
        why = f"{settings.host} can be reached by others; without a key or TLS use 127.0.0.1"
        if settings.trusted_proxy is not None:
            why = f"{PREFIX}TRUSTED_PROXY lets others in through a proxy"
        raise ConfigError(f"expected {' and '.join(missing)}; got none. {why}")


def _has_key(url: str) -> bool:
    """Whether a key is in force; no database, or one without tables, has none and gets none."""
    file = make_url(url).database if url.startswith("sqlite") else None
    if file is not None and not Path(file).exists():
        return False
    database = Database(url, create=False)
    with closing(database), database.reading() as connection:
        begun = revision_of(connection) is not None
        return begun and any(key.revoked is None for key in KeyStore(database).list())


class SecurityHeaders:
    """Puts headers on every response; the outermost middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._headers = dict(HEADERS)
        if _is_encrypted(settings):
            self._headers["Strict-Transport-Security"] = "max-age=31536000"
        if settings.cors_origins:
            self._headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, complete if scope["type"] == "http" else send)


class Guard:
    """Turns away what should never have come here; right inside of `RequestLog`.

    * On loopback, where it may be open, the Host header has to name this machine: a page elsewhere
      can point its own name at 127.0.0.1 (DNS rebinding).
    * There, who comes through a proxy that was not declared is refused: others can reach it then.
    * A request that changes or records something and says that another site made it is refused,
      unless that site is among the allowed origins.
    * Behind a declared proxy, whoever comes past it in plain HTTP is refused; probes are not.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._exposed = is_exposed(settings)
        self._by_proxy = settings.trusted_proxy is not None and settings.tls_certificate is None
        self._origins = settings.cors_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        answer = self._app
        if refusal is not None:
            answer = problem_response(403, refusal, request_id_of(scope))
        await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._exposed and not is_loopback(_name(host)):
            return "expected a Host header that names this machine; got another one"
        forwarded = [n for n in headers if n == "forwarded" or n.startswith("x-forwarded-")]
        if not self._exposed and forwarded:
            return (
                "expected no Forwarded or X-Forwarded-... header without a declared proxy; "
                f"its address belongs in {PREFIX}TRUSTED_PROXY"
            )
        if self._by_proxy and scope["scheme"] != "https" and own_path(scope) not in PROBES:
            return "expected HTTPS, through the proxy; got HTTP"
        origin = headers.get("origin")
        changes = scope["method"] not in _SAFE_METHODS
        if own_path(scope) in _RECORDING and headers.get("sec-fetch-site") == "cross-site":
            changes, origin = True, origin or "another site"  # an image on a page names none
        if changes and self._is_foreign(origin, host):
            return "expected a request from a page of this service; its origin is another site"
        return None

    def _is_foreign(self, origin: str | None, host: str) -> bool:
        if origin is None or origin in self._origins:
            return False
        try:
            return urlsplit(origin).netloc != host
        except ValueError:
            return True


def _is_encrypted(settings: Settings) -> bool:
    return settings.tls_certificate is not None or settings.trusted_proxy is not None


def _name(host: str) -> str:
    """The name or address in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
