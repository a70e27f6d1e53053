"""The challenger in shadow: a request answered again, after its reply and for the record only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from itertools import islice
from typing import Any

import structlog

from slicewise.audit_log.records import Arm
from slicewise.inference.classifier import Answer
from slicewise.inference.predict import joined
from slicewise.service.prediction.admission import Ticket
from slicewise.service.prediction.answers import Wish
from slicewise.service.prediction.batching import Batcher
from slicewise.service.prediction.reading import Reading, ReadSeries
from slicewise.service.prediction.recording import Origin, Recorder, records_of

MOST_SHADOWED = 64
"""Slices that wait for the shadow; what comes beyond is answered without it."""

log = structlog.stdlib.get_logger("slicewise.service")


class Shadow:
    """Answers what the main bundle has answered; its methods are called on the event loop."""

    def __init__(
        self,
        batcher: Batcher,
        batch_size: int,
        recorder: Recorder,
        work: Callable[..., Awaitable[Any]],
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """Nothing waits yet.

        Args:
            batcher: Of the challenger.
            batch_size: Slices that are made ready and submitted at a time.
            recorder: Writes the answers.
            work: Runs something in a thread that decodes.
            start: Runs a job that the service finishes before it ends.
        """
        self._batcher = batcher
        self._batch_size = batch_size
        self._recorder = recorder
        self._work = work
        self._start = start
        self._waiting = 0

    def start(
        self, reading: Reading, given: list[str], ticket: Ticket, origin: Origin, wish: Wish
    ) -> None:
        """Begin to answer the slices of a request, unless too many wait already.

        Args:
            reading: The slices.
            given: Ids of the answers that the caller gets, slice by slice.
            ticket: Of the request; its pixels stay counted until the shadow is done.
            origin: Of the request.
            wish: Of the request.
        """
        slices = sum(len(read.ready) for read in reading.series)
        if not slices:
            return
        if self._waiting and self._waiting + slices > MOST_SHADOWED:
            log.warning("shadow skipped", slices=slices)
            return
        self._waiting += slices
        job = self._start(self._answer(reading, given, origin, wish))
        held = ticket.hand_over()  # the request leaves, its pixels stay

        def done(_: asyncio.Task[None]) -> None:
            self._waiting -= slices
            held.leave()

        job.add_done_callback(done)

    async def _answer(self, reading: Reading, given: list[str], origin: Origin, wish: Wish) -> None:
        ids = iter(given)
        try:
            for read in reading.series:
                of_series = list(islice(ids, len(read.ready)))
                await self._answer_series(read, of_series, origin, wish)
        except Exception:  # the caller has the answer already; the log has to tell
            log.exception("shadow failed")

    async def _answer_series(
        self, read: ReadSeries, given: list[str], origin: Origin, wish: Wish
    ) -> None:
        classifier = self._batcher.classifier
        origin = replace(origin, started=time.perf_counter())
        limit = classifier.threshold(wish.threshold)
        answers: list[Answer] = []
        for first in range(0, len(read.ready), self._batch_size):
            window = read.series.slices[first : first + self._batch_size]
            ready = [await self._work(classifier.prepare, slice_) for slice_ in window]
            waiting = self._batcher.submit(ready, limit, tta=wish.tta)
            answers += await asyncio.gather(*map(asyncio.wrap_future, waiting))
        marked = joined(read.series, answers, classifier, threshold=wish.threshold)
        await self._recorder.write(records_of(read, marked.answers, Arm.SHADOW, origin, given))
