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
from slicewise.service.prediction.batching import Batcher
from slicewise.service.prediction.records import Recorder, records_of
from slicewise.service.prediction.results import PredictionRequest
from slicewise.service.prediction.uploads import PreparedSeries

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
        self._batcher = batcher
        self._batch_size = batch_size
        self._recorder = recorder
        self._work = work
        self._start = start
        self._waiting = 0

    def start(
        self, request: PredictionRequest, answered: list[PreparedSeries], given: list[str]
    ) -> None:
        """Begin to answer the slices of a request, unless too many wait already.

        Args:
            request: Its pixels stay counted until the shadow is done.
            answered: What the main bundle answered.
            given: Ids of the records that the caller gets, slice by slice.
        """
        slices = sum(len(series.slices) for series in answered)
        if not slices:
            return
        if self._waiting and self._waiting + slices > MOST_SHADOWED:
            log.warning("shadow skipped", slices=slices)
            return
        self._waiting += slices
        job = self._start(self._answer(request, answered, given))
        held = request.admission.hand_over_pixels()  # the request leaves, its pixels stay

        def done(_: asyncio.Task[None]) -> None:
            self._waiting -= slices
            held.release()

        job.add_done_callback(done)

    async def _answer(
        self, request: PredictionRequest, answered: list[PreparedSeries], given: list[str]
    ) -> None:
        ids = iter(given)
        try:
            for series in answered:
                of_series = list(islice(ids, len(series.slices)))
                await self._answer_series(request, series, of_series)
        except Exception:  # the caller has the answer already; the log has to tell
            log.exception("shadow failed")

    async def _answer_series(
        self, request: PredictionRequest, series: PreparedSeries, given: list[str]
    ) -> None:
        classifier, options = self._batcher.classifier, request.options
        origin = replace(request.origin, started=time.perf_counter())
        limit = classifier.threshold(options.threshold)
        answers: list[Answer] = []
        for first in range(0, len(series.slices), self._batch_size):
            window = series.series.slices[first : first + self._batch_size]
            ready = [await self._work(classifier.prepare, slice_) for slice_ in window]
            waiting = self._batcher.submit(ready, limit, tta=options.tta)
            answers += await asyncio.gather(*map(asyncio.wrap_future, waiting))
        marked = joined(series.series, answers, classifier, threshold=options.threshold)
        await self._recorder.write(records_of(series, marked.answers, Arm.SHADOW, origin, given))
