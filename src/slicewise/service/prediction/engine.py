"""One request to its answers: read, answer in shared passes, draw, record, and only then reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any, TypeVar

from slicewise.audit_log.records import Arm, PredictionRecord
from slicewise.audit_log.store import AuditStore
from slicewise.errors import OverloadError
from slicewise.imaging.slice import Failure
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.predict import joined
from slicewise.inference.results import SeriesAnswers
from slicewise.service.http.uploads import Upload, limits_of
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.prediction.admission import Door, Ticket
from slicewise.service.prediction.answers import Answered, Wish, together
from slicewise.service.prediction.batching import Batcher
from slicewise.service.prediction.pictures import Pictures, draw, not_drawn, to_draw
from slicewise.service.prediction.reading import Reading, ReadSeries, read_uploads
from slicewise.service.prediction.recording import MANY, Origin, Recorder, records_of
from slicewise.service.prediction.shadow import Shadow
from slicewise.service.prediction.traffic_split import Rollout
from slicewise.service.settings import MEBIBYTE, Settings

WORKERS = 2
"""Threads that decode and draw; forward passes and the database have threads of their own."""

BODIES = 4
"""Bytes of uploads in work, in largest uploads."""

DECODED = 2
"""Decoded pixels in work, in largest requests."""

MOST_PICTURES = 64
"""Slices of one request that are drawn; the answer says where there were more."""

MOST_PICTURE_BYTES = 48 * MEBIBYTE
"""Of all pictures of one request together, as base64."""

ANSWERS = 4
"""Bytes of pictures, and of answers that clients have not taken, in largest answers."""
Result = TypeVar("Result")


class Engine:
    """Answers requests in one process; its methods are called on the event loop."""

    def __init__(
        self,
        settings: Settings,
        classifiers: dict[Arm, Classifier],
        store: AuditStore,
        metrics: Metrics,
    ) -> None:
        """Start the threads.

        Args:
            settings: Limits and sizes.
            classifiers: The main bundle and, where there is one, its challenger.
            store: Where every answer is written before it is given.
            metrics: Where all is counted.
        """
        self._settings = settings
        self._limits = limits_of(settings)
        self._metrics = metrics
        self._recorder = Recorder(store, metrics)
        self._rollout = Rollout(settings)
        self._coming = 0
        self._batchers = {
            arm: Batcher(classifier, settings, metrics, lambda: self._coming, arm.value)
            for arm, classifier in classifiers.items()
        }
        self.door = Door(
            settings.queue_size,
            BODIES * settings.max_upload_bytes,
            DECODED * self._limits.max_volume_pixels,
            ANSWERS * MOST_PICTURE_BYTES,
            lambda: max(batcher.each_s for batcher in self._batchers.values()),
        )
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="work")
        self._jobs: set[asyncio.Task[None]] = set()
        self._working: dict[asyncio.Future[Any], float] = {}
        self._stops: set[Event] = set()
        self._shadow: Shadow | None = None
        if self._rollout.has_shadow:
            challenger = self._batchers[Arm.CHALLENGER]
            self._shadow = Shadow(
                challenger, settings.batch_size, self._recorder, self.work, self._start
            )

    @property
    def classifiers(self) -> dict[Arm, Classifier]:
        """The bundles that answer, by arm."""
        return {arm: batcher.classifier for arm, batcher in self._batchers.items()}

    @property
    def main(self) -> Classifier:
        """The bundle that answers where no challenger does."""
        return self._batchers[Arm.MAIN].classifier

    @property
    def alive(self) -> bool:
        """Whether all forward passes are run, and a thread is there to decode."""
        latest = time.monotonic() - self._settings.request_timeout_s
        hanging = sum(began < latest for began in self._working.values())
        return hanging < WORKERS and all(batcher.alive for batcher in self._batchers.values())

    async def answer(
        self, uploads: Sequence[Upload], ticket: Ticket, origin: Origin, wish: Wish
    ) -> Answered:
        """Answer for the files of one request; when this returns, every answer is on disk.

        Args:
            uploads: The files.
            ticket: Of the request.
            origin: Where it comes from.
            wish: How it wants its answers.

        Raises:
            OverloadError: It took longer than a request may take.
            LimitError: It holds more slices than a request may hold.
            ConfigError: A threshold for a model without a negative class, or an unknown class.
            AuditError: The answers could not be recorded; then none is given.
        """
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                return await self._answer(uploads, ticket, origin, wish)
        except TimeoutError:
            limit = self._settings.request_timeout_s
            raise OverloadError(f"not answered within {limit:g} s; send less", 5) from None

    async def work(self, job: Callable[..., Result], *given: Any) -> Result:
        """Run something in one of the threads that decode and draw."""
        return await asyncio.shield(self._working_on(job, *given))

    async def _off_loop(self, slices: int, job: Callable[[], Result]) -> Result:
        """Do at once what is short, and in a thread what is not."""
        return await self.work(job) if slices > MANY else job()

    def _working_on(self, job: Callable[..., Result], *given: Any) -> asyncio.Future[Result]:
        """What a thread works on; it is done when the thread is, whoever stops to wait."""
        future = asyncio.get_running_loop().run_in_executor(self._workers, partial(job, *given))
        self._working[future] = time.monotonic()
        future.add_done_callback(self._working.pop)
        return future

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

    async def _answer(
        self, uploads: Sequence[Upload], ticket: Ticket, origin: Origin, wish: Wish
    ) -> Answered:
        self._check(wish)
        reading = await self._read(uploads, ticket)
        results: list[SeriesAnswers] = []
        records: list[PredictionRecord] = []
        for read in reading.series:
            answers = await self._forward(read, ticket, wish)
            classifier = self.classifiers[read.arm]
            join = partial(joined, read.series, answers, classifier, threshold=wish.threshold)
            results.append(await self._off_loop(len(answers), join))
            given = results[-1].answers
            rows = partial(records_of, read, given, read.arm, origin)
            records += await self._off_loop(len(answers), rows)
        recorded = self._start(
            self._recorder.write(records)
        )  # the disk works while pictures are drawn
        drawn, undrawn = await self._draw_all(results, ticket, wish)
        await asyncio.shield(recorded)
        if self._shadow is not None:
            self._shadow.start(reading, [row.id for row in records], ticket, origin, wish)
        put = partial(together, results, records, drawn, [*reading.failures, *undrawn])
        return await self._off_loop(len(records), put)

    def _check(self, wish: Wish) -> None:
        """Refuse what a bundle that answers cannot do, before anything is decoded."""
        silent = {Arm.CHALLENGER} if self._rollout.has_shadow else set()
        for arm in self._batchers.keys() - silent:
            classifier = self._batchers[arm].classifier
            classifier.threshold(wish.threshold)
            if wish.drawing is not None:
                wish.drawing.require_class(classifier.bundle.classes)

    async def _read(self, uploads: Sequence[Upload], ticket: Ticket) -> Reading:
        """What the files hold; where nobody waits any more, the thread is told and waited for."""
        self._coming += 1
        stop = Event()
        self._stops.add(stop)
        ticket.share()
        reading = self._working_on(
            read_uploads,
            uploads,
            self._limits,
            self._rollout.arm_of,
            self.classifiers.__getitem__,
            ticket,
            stop,
        )
        reading.add_done_callback(lambda _: ticket.leave())
        try:
            with self._metrics.stage("decode"):
                return await asyncio.shield(reading)
        finally:
            stop.set()
            self._stops.discard(stop)
            self._coming -= 1

    async def _forward(self, read: ReadSeries, ticket: Ticket, wish: Wish) -> list[Answer]:
        """Answers for a series, as many slices at a time as there is room for."""
        batcher = self._batchers[read.arm]
        limit = batcher.classifier.threshold(wish.threshold)
        answers: list[Answer] = []
        while len(answers) < len(read.ready):
            left = len(read.ready) - len(answers)
            more = ticket.more(min(left, self._settings.batch_size) - 1)
            window = read.ready[len(answers) : len(answers) + 1 + more]
            waiting = batcher.submit(window, limit, tta=wish.tta)
            answers += await asyncio.gather(*map(asyncio.wrap_future, waiting))
            ticket.less(more)
        return answers

    async def _draw_all(
        self, results: Sequence[SeriesAnswers], ticket: Ticket, wish: Wish
    ) -> tuple[list[Pictures | None], list[Failure]]:
        """Pictures in the order of the slices, and what is said where there were too many."""
        drawn: list[Pictures | None] = []
        left_out: list[str] = []
        room, size = MOST_PICTURES, 0
        for slice_, answer, wanted in to_draw(results):
            picture = None
            if wish.drawing is not None and wanted and room and size < MOST_PICTURE_BYTES:
                with self._metrics.stage("draw"):
                    picture = await self.work(draw, slice_, answer, wish.drawing)
                picture = picture if ticket.has_room_to_answer(picture.size) else None
                room, size = (0, size) if picture is None else (room - 1, size + picture.size)
            if picture is None and wish.drawing is not None and wanted:
                left_out.append(slice_.source)
            drawn.append(picture)
        return drawn, not_drawn(left_out, len(drawn) - drawn.count(None))

    def _start(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a job beside the request; it is finished even where the request is not."""
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task


async def _wait(for_: Iterable[asyncio.Future[Any]], ends_at: float) -> None:
    """Wait until all are done, or the time has come."""
    if waited := set(for_):
        await asyncio.wait(waited, timeout=max(0.0, ends_at - time.monotonic()))
