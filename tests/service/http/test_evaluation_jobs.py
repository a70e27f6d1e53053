"""Long work ends: at its time, and where nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from slicewise.errors import LimitError
from slicewise.service.access.roots import DataRoots
from slicewise.service.http.evaluation_jobs import Deadline, EvaluationJobs


def test_cancelled_work_ends_the_next_time_it_tells_how_far_it_is() -> None:
    ended, began = threading.Event(), threading.Event()

    def job(_roots: DataRoots, deadline: Deadline) -> None:
        try:
            for done in range(1000):
                began.set()
                time.sleep(0.01)
                deadline("measuring", done, 1000)
        except LimitError:
            ended.set()
            raise

    async def cancelled() -> None:
        task = asyncio.create_task(EvaluationJobs(DataRoots(()), 60).run(job))
        await asyncio.to_thread(began.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert ended.wait(2)


def test_a_deadline_says_how_far_the_work_was() -> None:
    with pytest.raises(LimitError, match="got 3 of 8"):
        Deadline(-1)("measuring", 3, 8)
    Deadline(60)("measuring", 3, 8)
