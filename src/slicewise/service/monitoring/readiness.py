"""Whether the audit database can be written, asked once for all who want to know."""

from __future__ import annotations

import asyncio

from slicewise.audit_log.store import AuditStore


class Pulse:
    """Used from the event loop only."""

    def __init__(self, store: AuditStore) -> None:
        """Ask nothing yet."""
        self._store = store
        self._asking: asyncio.Future[None] | None = None

    async def beat(self) -> None:
        """Wait for the answer; who comes meanwhile waits for the same one.

        However many probes come, a database that blocks holds one thread.

        Raises:
            AuditError: The database cannot be written.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._store.ping))
            self._asking.add_done_callback(_looked_at)
        await asyncio.shield(self._asking)


def _looked_at(asked: asyncio.Future[None]) -> None:
    """Where nobody waits any more, an error is no news."""
    if not asked.cancelled():
        asked.exception()
