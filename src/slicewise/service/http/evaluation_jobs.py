"""Evaluations of data on the server: one at a time, and an end to each."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from slicewise.errors import LimitError, OverloadError, SliceWiseError
from slicewise.service.access.roots import DataRoots

BUSY_S = 30
"""When to come back while another evaluation is running, seconds."""

Result = TypeVar("Result")


class Deadline:
    """Follows the progress of a job, and ends it when its time is up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def end(self) -> None:
        """End the job the next time it reports its progress."""
        self._ends_at = -math.inf

    def __call__(self, what: str, done: int, total: int) -> None:
        """Go on, or not.

        Raises:
            LimitError: The time is up.
        """
        if time.monotonic() > self._ends_at:
            raise LimitError(
                f"{what}: expected to end within {self._seconds:g} s, got {done} of {total}; "
                "send less, or use `slicewise evaluate` on the server"
            )


class EvaluationJobs:
    """Runs one evaluation at a time, beside the requests for single files.

    Args:
        roots: Their places are taken out of every error.
        seconds: For one evaluation.
    """

    def __init__(self, roots: DataRoots, seconds: float) -> None:
        self.roots = roots
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="evaluation")

    def close(self) -> None:
        """Begin no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self, job: Callable[[DataRoots, Deadline], Result]) -> Result:
        """Run a job in a thread; it ends too where nobody waits for it any more.

        Args:
            job: Gets the roots below which it may read, and what to tell its progress.

        Raises:
            OverloadError: Another one is running.
            SliceWiseError: As the job raises, without places on the server.
        """
        if self._lock.locked():
            raise OverloadError("another evaluation is running", BUSY_S)
        deadline = Deadline(self._seconds)
        async with self._lock:
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._thread, job, self.roots, deadline)
            except asyncio.CancelledError:
                deadline.end()
                raise
            except SliceWiseError as error:
                error.args = (self.roots.hidden(str(error)),)
                raise
