"""One request to its results: read, answer in shared passes, draw, record, and only then reply.

A challenger without a share answers in shadow: after the reply, and for the record only.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from threading import Event, get_ident
from typing import Any, TypeVar

import structlog

from slicewise.audit_log.records import Arm, PredictionRecord
from slicewise.audit_log.store import AuditStore
from slicewise.errors import ConfigError, OverloadError
from slicewise.imaging.batches import batched
from slicewise.imaging.slice import Failure
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.predict import joined
from slicewise.inference.results import SeriesAnswers
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.prediction.admission import AdmissionControl
from slicewise.service.prediction.batching import Batcher
from slicewise.service.prediction.pictures import Maps, Pictures, draw, to_draw
from slicewise.service.prediction.results import PredictionRequest, PredictionResults, records_of
from slicewise.service.prediction.traffic_split import arm_of
from slicewise.service.prediction.uploads import (
    PreparedSeries,
    PreparedSlice,
    PreparedUploads,
    failure_on,
    limits_of,
    read_uploads,
)
from slicewise.service.settings import MEBIBYTE, Settings

WORKERS = 2
"""Threads that decode and draw; forward passes and the database have threads of their own."""

BODIES = 4  # bytes of uploads in work, in largest uploads
DECODED = 2  # decoded pixels in work, in largest requests
MOST_PICTURES = 64  # slices of one request that are drawn; the answer says where there were more
MOST_PICTURE_BYTES = 48 * MEBIBYTE  # of all pictures of one request together, as base64
ANSWERS = 4  # bytes of pictures, and of answers that clients have not taken, in largest answers
MANY = 64
"""Slices of one request that are put together in a thread: meanwhile the loop serves others."""

MOST_SHADOWED = 64  # slices that wait for the shadow; what comes beyond is answered without it
Result = TypeVar("Result")
_Answered = list[tuple[PreparedSeries, list[str]]]
"""Series that were answered, each with the ids of its records."""

log = structlog.stdlib.get_logger("slicewise.service")


class Engine:
    """Answers requests in one process; its methods are called on the event loop."""

    def __init__(
        self,
        settings: Settings,
        classifiers: dict[Arm, Classifier],
        store: AuditStore,
        metrics: Metrics,
    ) -> None:
        self.classifiers = classifiers
        self.main = classifiers[Arm.MAIN]
        self._settings = settings
        self._limits = limits_of(settings)
        self._metrics = metrics
        self._store = store
        self._coming = 0
        self._batchers = {
            arm: Batcher(classifier, settings, metrics, lambda: self._coming, arm.value)
            for arm, classifier in classifiers.items()
        }
        self.admission = AdmissionControl(
            settings.queue_size,
            BODIES * settings.max_upload_bytes,
            DECODED * self._limits.max_volume_pixels,
            ANSWERS * MOST_PICTURE_BYTES,
            lambda: max(batcher.seconds_per_slice for batcher in self._batchers.values()),
        )
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="work")
        self._jobs: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Future[Any]] = set()
        self._busy_since: dict[int, float] = {}  # by thread, from when it took its job
        self._stops: set[Event] = set()
        self._shadow = None if settings.challenger_share else self._batchers.get(Arm.CHALLENGER)
        self._shadowed = 0

    @property
    def alive(self) -> bool:
        """Whether a thread is there to decode, and the forward passes of answers are run."""
        latest = time.monotonic() - self._settings.request_timeout_s
        hanging = sum(since < latest for since in list(self._busy_since.values()))
        return hanging < WORKERS and all(batcher.alive for batcher in self._answering())

    async def answer(self, request: PredictionRequest) -> PredictionResults:
        """Answer for the files of a request; when this returns, every prediction is on disk.

        Raises:
            OverloadError: It took longer than a request may take.
            LimitError: It holds more slices than a request may hold.
            ConfigError: A threshold for a model without a negative class, an unknown class, or a
                bundle that is not loaded.
            AuditError: The predictions could not be recorded; then none is given.
        """
        return await self._in_time(self._answer(request))

    async def read(self, request: PredictionRequest) -> PreparedUploads:
        """The slices of a request, as they are made ready to be answered; nothing is recorded.

        Raises:
            OverloadError: It took longer than a request may take, or there is no room.
            LimitError: It holds more slices than a request may hold.
        """
        return await self._in_time(self._read(request))

    async def _in_time(self, job: Coroutine[Any, Any, Result]) -> Result:
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                return await job
        except TimeoutError:
            limit = self._settings.request_timeout_s
            raise OverloadError(f"not answered within {limit:g} s; send less", 5) from None

    async def work(self, job: Callable[..., Result], *given: Any) -> Result:
        """Run something in one of the threads that decode and draw."""
        return await asyncio.shield(self._working_on(job, *given))

    async def _off_loop(self, slices: int, job: Callable[..., Result], *given: Any) -> Result:
        """Do at once what is short, and in a thread what is not."""
        return await self.work(job, *given) if slices > MANY else job(*given)

    def _working_on(self, job: Callable[..., Result], *given: Any) -> asyncio.Future[Result]:
        """What a thread works on; it is done when the thread is, whoever stops to wait."""
        named = partial(copy_context().run, self._timed, job, *given)  # the log has the request id
        future = asyncio.get_running_loop().run_in_executor(self._workers, named)
        self._working.add(future)
        future.add_done_callback(self._working.discard)
        return future

    def _timed(self, job: Callable[..., Result], *given: Any) -> Result:
        """Run a job in the thread that calls, which is busy from now on and not since it waited."""
        thread = get_ident()
        self._busy_since[thread] = time.monotonic()
        try:
            return job(*given)
        finally:
            self._busy_since[thread] = math.inf

    async def close(self) -> None:
        """Finish what was begun beside requests, then end all threads, within `drain_s`."""
        ends_at = time.monotonic() + self._settings.drain_s
        await _wait(self._jobs, ends_at)
        for stop in self._stops:
            stop.set()
        await _wait(self._working, ends_at)
        closing = [asyncio.to_thread(batcher.close) for batcher in self._batchers.values()]
        await _wait(map(asyncio.ensure_future, closing), ends_at)
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: PredictionRequest) -> PredictionResults:
        self._check(request)
        prepared = await self._read(request)
        failures = prepared.failures
        kept: _Answered = []
        answered: list[SeriesAnswers] = []
        records: list[PredictionRecord] = []
        for series in prepared.series:
            batcher = self._batchers[series.arm]
            slices, answers = await self._forward(batcher, series.slices, request, failures)
            if not answers:
                continue
            one, count = series.only(slices), len(answers)
            join = partial(joined, threshold=request.threshold)
            try:
                found = await self._off_loop(count, join, one.series, answers, batcher.classifier)
                rows = await self._off_loop(
                    count, records_of, one, found.answers, one.arm, request.origin
                )
            except Exception as error:  # whatever it is, the other series are answered
                failures.append(failure_on(one.series.source, error))
                continue
            answered.append(found)
            records += rows
            kept.append((one, [row.id for row in rows]))
        # The disk works while pictures are drawn.
        recorded = self._start(self._record(records))
        drawn = await self._draw_all(answered, request, failures)
        await asyncio.shield(recorded)
        ids = [record.id for record in records]
        if self._shadow is not None and ids and request.arm is None:
            self._start_shadow(self._shadow, request, kept, len(ids))
        return await self._off_loop(len(ids), PredictionResults.of, answered, ids, drawn, failures)

    def _check(self, request: PredictionRequest) -> None:
        """Refuse what a bundle that answers cannot do, before anything is decoded."""
        for batcher in self._answering(request.arm):
            batcher.classifier.threshold(request.threshold)
            if request.drawing is not None:
                request.drawing.require_class(batcher.classifier.bundle.classes)

    def _answering(self, named: Arm | None = None) -> list[Batcher]:
        """Who may answer: all but the shadow, or whom the request names."""
        if named is None:
            return [one for one in self._batchers.values() if one is not self._shadow]
        if named not in self._batchers:
            known = ", ".join(self._batchers)
            raise ConfigError(f"arm: expected one that is loaded ({known}); got {named}")
        return [self._batchers[named]]

    async def _read(self, request: PredictionRequest) -> PreparedUploads:
        """What the files hold; where nobody waits any more, the thread is stopped."""
        self._coming += 1
        stop = Event()
        self._stops.add(stop)
        request.admission.share()
        reading = self._working_on(
            read_uploads,
            request.uploads,
            self._limits,
            partial(arm_of, share=self._settings.challenger_share, named=request.arm),
            self.classifiers,
            request.admission,
            stop,
        )
        reading.add_done_callback(lambda _: request.admission.release())
        try:
            with self._metrics.stage("decode"):
                return await asyncio.shield(reading)
        finally:
            stop.set()
            self._stops.discard(stop)
            self._coming -= 1

    async def _forward(
        self,
        batcher: Batcher,
        slices: Sequence[PreparedSlice],
        request: PredictionRequest,
        failures: list[Failure],
    ) -> tuple[list[PreparedSlice], list[Answer]]:
        """Answer as many slices at a time as there is room for; those that fail go to failures."""
        limit = batcher.classifier.threshold(request.threshold)
        answered: list[PreparedSlice] = []
        answers: list[Answer] = []
        done = 0
        while done < len(slices):
            wanted = min(len(slices) - done, self._settings.batch_size)
            more = request.admission.add_slices(wanted - 1)
            window = slices[done : done + 1 + more]
            done += len(window)
            ready = [one.ready for one in window]
            submitted = batcher.submit(ready, limit, tta=request.tta)
            waiting = map(asyncio.wrap_future, submitted)
            found = await asyncio.gather(*waiting, return_exceptions=True)
            request.admission.remove_slices(more)
            for one, answer in zip(window, found, strict=True):
                if isinstance(answer, BaseException):
                    failures.append(failure_on(one.ready.slice_.source, answer))
                else:
                    answered.append(one)
                    answers.append(answer)
        return answered, answers

    async def _draw_all(
        self, answered: Sequence[SeriesAnswers], request: PredictionRequest, failures: list[Failure]
    ) -> list[Pictures | Maps | None]:
        """Pictures in the order of the slices; an entry of the failures tells of those without."""
        drawn: list[Pictures | Maps | None] = []
        left_out: list[str] = []
        room, size, drawing = MOST_PICTURES, 0, request.drawing
        for slice_, answer, wanted in to_draw(answered, drawing):
            drawn.append(None)
            if drawing is None or not wanted:
                continue
            if room and size < MOST_PICTURE_BYTES:
                try:
                    with self._metrics.stage("draw"):
                        picture = await self.work(draw, slice_, answer, drawing)
                except Exception as error:  # its answer stands; the others have their pictures
                    fault = failure_on(slice_.source, error)
                    failures.append(replace(fault, error=f"without its picture: {fault.error}"))
                    continue
                if request.admission.hold_answer(picture.size):
                    drawn[-1] = picture
                    room -= isinstance(picture, Pictures)
                    size += picture.size
                    continue
                room = 0
            left_out.append(slice_.source)
        if left_out:
            text = (
                f"answered without its picture, like {len(left_out) - 1} after it: there was room "
                f"for {len(drawn) - drawn.count(None)} of this request"
            )
            failures.append(Failure(left_out[0], text))
        return drawn

    async def _record(self, records: Sequence[PredictionRecord]) -> None:
        """Write records and count them; they are on disk when this returns, or AuditError."""
        if not records:
            return
        with self._metrics.stage("record"):
            submit = self._store.submit
            few = len(records) <= MANY
            written = submit(records) if few else await asyncio.to_thread(submit, records)
            await asyncio.wrap_future(written)
        for row in records:
            self._metrics.decision(row.label, row.decision, row.reasons, row.arm)

    def _start(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a job beside the request; it is finished even where the request is not."""
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def _start_shadow(
        self, shadow: Batcher, request: PredictionRequest, answered: _Answered, slices: int
    ) -> None:
        """Begin to answer what main answered, unless too much waits."""
        if self._shadowed and self._shadowed + slices > MOST_SHADOWED:
            log.warning("shadow skipped", slices=slices)
            return
        self._shadowed += slices
        job = self._start(self._answer_in_shadow(shadow, request, answered))
        held = request.admission.hand_over_pixels()  # the request leaves, its pixels stay

        def done(_: asyncio.Task[None]) -> None:
            self._shadowed -= slices
            held.release()

        job.add_done_callback(done)

    async def _answer_in_shadow(
        self, shadow: Batcher, request: PredictionRequest, answered: _Answered
    ) -> None:
        for series, given in answered:
            try:
                await self._record(await self._shadow_records(shadow, request, series, given))
            except Exception:  # the caller has the answer already; the log has to tell
                log.exception("shadow failed")

    async def _shadow_records(
        self, shadow: Batcher, request: PredictionRequest, series: PreparedSeries, given: list[str]
    ) -> list[PredictionRecord]:
        """Records of the slices that the shadow can answer; the log counts the others."""
        classifier = shadow.classifier
        limit = classifier.threshold(request.threshold)
        origin = replace(request.origin, started=time.perf_counter())
        done: list[tuple[PreparedSlice, str, Answer]] = []
        faults: list[BaseException] = []
        for window in batched(zip(series.slices, given, strict=True), self._settings.batch_size):
            tried = []
            for slice_, id_ in window:
                try:
                    ready = await self.work(classifier.prepare, slice_.ready.slice_)
                    tried.append((slice_, id_, ready))
                except Exception as error:
                    faults.append(error)
            waiting = shadow.submit([ready for *_, ready in tried], limit, tta=request.tta)
            found = await asyncio.gather(*map(asyncio.wrap_future, waiting), return_exceptions=True)
            for (slice_, id_, _), answer in zip(tried, found, strict=True):
                if isinstance(answer, BaseException):
                    faults.append(answer)
                else:
                    done.append((slice_, id_, answer))
        if faults:
            log.error("shadow failed", slices=len(faults), exc_info=faults[0])
        if not done:
            return []
        slices, ids, answers = map(list, zip(*done, strict=True))
        some = series.only(slices)
        marked = joined(some.series, answers, classifier, threshold=request.threshold)
        return records_of(some, marked.answers, Arm.SHADOW, origin, ids)


async def _wait(futures: Iterable[asyncio.Future[Any]], ends_at: float) -> None:
    if waited := set(futures):
        await asyncio.wait(waited, timeout=max(0.0, ends_at - time.monotonic()))
