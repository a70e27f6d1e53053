"""Connections that take too long to ask, or to take their answer, are closed."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 15.0
"""From the first byte of a request, or the start of a connection, to the end of its headers."""

ANSWER_S = 120.0
"""For a client to take what waits to be sent; until then its answer stays in memory."""

CLOSE_S = 3.0
"""For a client to close its side of TLS once the service ends: one that waits for nothing, such as
a pool of connections, does not look."""


class Connection(H11Protocol):
    """uvicorn's protocol with a time for headers and answers; for bodies, see `body.py`."""

    _due: asyncio.TimerHandle | None = None
    _taken_by: asyncio.TimerHandle | None = None
    _encrypted = False

    # uvicorn's own signature, narrower than asyncio's
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._encrypted = transport.get_extra_info("sslcontext") is not None
        # Whatever waits to be taken counts. asyncio pauses above a limit, but over TLS at a limit:
        # with 0 there it would never send anything.
        transport.set_write_buffer_limits(high=int(self._encrypted), low=0)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that is complete up to its body is waited for no longer."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop()
        self._forget_reader()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End with the service, after what was begun."""
        super().shutdown()
        if self._encrypted:
            self._leave_closed()

    def pause_writing(self) -> None:
        """Begin to wait for a client that takes its answer more slowly than it is sent."""
        super().pause_writing()
        if self._taken_by is None:
            self._taken_by = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken what waited."""
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
