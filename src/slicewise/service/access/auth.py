"""Who is calling: an API key in a header, or anybody where the service is open; how often."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from slicewise.audit_log.keys import KeyStore, Role
from slicewise.errors import AccessError, RateLimitError
from slicewise.service.access.headers import is_exposed
from slicewise.service.settings import Settings

FAILURES_A_MINUTE = 30  # wrong keys from one address before it has to wait
OPEN_SECONDS = 1.0  # how long an open service believes that there is no key
MOST_NAMES = 10_000  # names remembered before those that wait for nothing are forgotten
_bearer = HTTPBearer(auto_error=False, description="An API key from `slicewise keys create`.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: the name of the key, or `open` where none is needed, and its role."""

    name: str
    role: Role

    def require(self, role: Role, wish: str = "") -> None:
        """Raise an AccessError, which begins with what was wished, without at least a role."""
        if not self.role.allows(role):
            raise AccessError(
                f"{wish}expected the role {role} or more; got {self.role}", known=True
            )


ANYBODY = Caller("open", Role.ADMIN)  # of a service that is open, which is only on loopback


class RateLimiter:
    """Admits a steady rate a name with room for one minute's worth at once; 0 is no limit.

    The generic cell rate algorithm (ITU-T I.371): one number a name, the time at which its bucket
    would be empty. Every worker process counts for itself.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._empty_at: dict[str, float] = {}

    def wait(self, name: str) -> float:
        """Seconds until a request may come again; 0 where it may come now, and is counted."""
        if not self._per_minute:
            return 0.0
        now, each = self._clock(), 60.0 / self._per_minute
        empty_at = max(self._empty_at.get(name, now), now) + each
        late = empty_at - now - 60.0
        if late > 1e-9:
            return late
        if len(self._empty_at) >= MOST_NAMES:
            self._empty_at = {known: at for known, at in self._empty_at.items() if at > now}
        self._empty_at[name] = empty_at
        return 0.0


class Access:
    """Finds the caller of a request and counts what they send; one per process."""

    def __init__(self, settings: Settings, keys: KeyStore) -> None:
        self._keys = keys
        self._requests = RateLimiter(settings.rate_limit)
        self._failures = RateLimiter(FAILURES_A_MINUTE)
        self._any_key = is_exposed(settings)  # or might as well be: without one nobody comes in
        self._asked_at = -math.inf

    async def admit(self, secret: str | None, address: str) -> Caller:
        """The caller behind a secret; None where none was sent.

        Wrong keys are counted by the address, and so are requests where nobody needs a key.

        Raises:
            AccessError: No key, or none that is valid.
            RateLimitError: Too many requests, or too many wrong keys from one address.
        """
        if await self.is_open():
            _require_no_wait(self._requests.wait(f"address {address}"), "requests")
            return ANYBODY
        if not secret:
            raise AccessError(
                "expected an API key, as `Authorization: Bearer` or `X-API-Key`; got none",
                known=False,
            )
        key = await asyncio.to_thread(self._keys.find, secret)
        if key is None:
            _require_no_wait(self._failures.wait(address), "wrong keys")
            raise AccessError("the API key is not valid", known=False)
        _require_no_wait(self._requests.wait(f"key {key.name}"), "requests")
        return Caller(key.name, key.role)

    async def is_open(self) -> bool:
        """Whether no key is needed: only on loopback, until the first key is made."""
        if not self._any_key and time.monotonic() - self._asked_at >= OPEN_SECONDS:
            self._any_key = bool(await asyncio.to_thread(self._keys.list))
            self._asked_at = time.monotonic()
        return not self._any_key


def caller_dependency(role: Role) -> Callable[..., Awaitable[Caller]]:
    """A FastAPI dependency that gives the caller, who must have at least a role.

    FastAPI reads a declared body before it asks dependencies, so a route takes the request and
    reads the body itself (`dependencies.json_of`, `UploadRequest.results`).
    """

    async def caller(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        header: Annotated[str | None, Security(_header)],
    ) -> Caller:
        access: Access = request.app.state.access
        secret = header if bearer is None else bearer.credentials
        found = await access.admit(secret, request.client.host if request.client else "unknown")
        request.state.caller = found
        found.require(role)
        return found

    return caller


def _require_no_wait(seconds: float, what: str) -> None:
    if seconds:
        whole = math.ceil(seconds)
        raise RateLimitError(f"too many {what}; wait {whole} s", whole)
