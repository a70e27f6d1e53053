"""Bodies that are too large or too slow end before anything is made of them."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicewise.service.http.problems import problem_response
from slicewise.service.monitoring.logs import request_id_of
from slicewise.service.settings import Settings

MOST_OTHER_BYTES = 256 * 1024
"""Of a body without files: it is parsed as one piece on the event loop."""


class BodyLimit:
    """Ends a body at a number of bytes, and at a time since the request began.

    A body that is no multipart form may have `MOST_OTHER_BYTES` at most.

    Where an answer stands before the body was read, the rest is read and dropped, as much again as
    the limit: a client that is still sending would see a broken connection and not the answer.
    What goes on after that is cut off, and so is, at once, a body that is told to be longer.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Wrap an application."""
        self._app = app
        self._most = settings.max_upload_bytes
        self._seconds = settings.body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a body that ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self._most if has_files(headers) else min(self._most, MOST_OTHER_BYTES)
        body = _Body(receive, most, self._seconds, waits="expect" in headers)

        length = headers.get("content-length", "0")
        told = int(length) if length.isdecimal() else 0
        unclear = "content-length" in headers and "transfer-encoding" in headers

        async def answer(message: Message) -> None:
            hopeless = told > 2 * most or unclear
            if message["type"] == "http.response.start" and (hopeless or not await body.is_read()):
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        wrong: tuple[int, str] | None = None
        if unclear:  # a proxy may have ended it elsewhere (RFC 9112 section 6.1)
            wrong = 400, "expected a body with its length or in chunks, got both"
        elif headers.get("content-encoding", "identity").lower() != "identity":
            wrong = 415, "expected a body without Content-Encoding, got a compressed one"
        elif told > most:
            wrong = 413, body.too_large
        if wrong is None:
            await self._app(scope, body.receive, answer)
        else:
            await problem_response(*wrong, request_id_of(scope))(scope, receive, answer)


def has_files(headers: Headers) -> bool:
    """Whether a body is a multipart form, by what is said of it."""
    kind = headers.get("content-type", "").split(";")[0]
    return kind.strip().lower() == "multipart/form-data"


class _Body:
    """What is read of a body, and until when.

    Args:
        receive: Gives its parts.
        most: Bytes of it.
        seconds: From now to its end.
        waits: Whether the client sends it only when asked (Expect: 100-continue).
    """

    def __init__(self, receive: Receive, most: int, seconds: float, *, waits: bool) -> None:
        self._receive = receive
        self._most = most
        self._seconds = seconds
        self._ends_at = asyncio.get_running_loop().time() + seconds
        self._waits = waits
        self._read = 0
        self._over = self._late = False
        self.too_large = f"expected a body of at most {most:,} bytes, got more"

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            HTTPException: 413 or 408.
        """
        message = await self._next()
        if self._read > self._most:
            raise HTTPException(413, self.too_large)
        return message

    async def is_read(self) -> bool:
        """Drop what is left, within bounds; whether the body came to its end."""
        if self._waits and not self._read:
            return self._over
        try:
            while not (self._over or self._late) and self._read <= 2 * self._most:
                await self._next()
        except HTTPException:
            return False
        return self._over

    async def _next(self) -> Message:
        if self._over:  # what comes now is the end of the connection, for which there is no time
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._ends_at):
                message = await self._receive()
        except TimeoutError:
            self._late = True
            detail = f"expected the whole body within {self._seconds:g} s"
            raise HTTPException(408, detail) from None
        self._read += len(message.get("body", b""))
        self._over = message["type"] != "http.request" or not message.get("more_body", False)
        return message
