"""Long work on data of the server: one piece at a time, and an end to it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from slicewise.errors import LimitError, OverloadError, SliceWiseError
from slicewise.service.access.roots import Roots

BUSY_S = 30
"""When to come back while other work is being done, seconds."""

Result = TypeVar("Result")


class Deadline:
    """Told how far the work is, and ends it when its time is up."""

    def __init__(self, seconds: float) -> None:
        """Start now."""
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def end(self) -> None:
        """Have the work end the next time it tells how far it is."""
        self._ends_at = -math.inf

    def __call__(self, what: str, done: int, total: int) -> None:
        """Go on, or not.

        Args:
            what: What is being done.
            done: How much of it.
            total: How much there is.

        Raises:
            LimitError: The time is up.
        """
        if time.monotonic() > self._ends_at:
            raise LimitError(
                f"{what}: expected to end within {self._seconds:g} s, got {done} of {total}; "
                "send less, or use `slicewise evaluate` on the server"
            )


class Bulk:
    """Runs one piece of long work at a time, beside the requests for single files."""

    def __init__(self, roots: Roots) -> None:
        """Nothing is running.

        Args:
            roots: Their places are taken out of every error.
        """
        self.roots = roots
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bulk")

    def close(self) -> None:
        """Begin no more work."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self, job: Callable[[], Result], deadline: Deadline) -> Result:
        """Run a piece of work in a thread.

        Args:
            job: The work.
            deadline: What the work tells how far it is; it ends the work where nobody waits for
                it any more, as when the service ends.

        Raises:
            OverloadError: Another piece is running.
            SliceWiseError: As the work raises, without places on the server.
        """
        if self._lock.locked():
            raise OverloadError("another evaluation is running", BUSY_S)
        async with self._lock:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, job)
            except asyncio.CancelledError:
                deadline.end()
                raise
            except SliceWiseError as error:
                error.args = (self.roots.hidden(str(error)),)
                raise
