"""Slices of many requests to shared forward passes, in one thread; answers never mix."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread

from slicewise.inference.classifier import Answer, Classifier, Ready
from slicewise.inference.decision import Threshold
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.settings import Settings

FIRST_GUESS_S = 0.05  # time of one slice until one was measured
_REMEMBERED = 0.9  # of the time measured before, each time a pass was run


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """One slice in the queue, and where its own answer goes."""

    ready: Ready
    limit: Threshold
    tta: bool
    answer: Future[Answer] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """Runs the forward passes of one classifier.

    A pass starts when it is full, when its oldest slice waited for the patience that was set, or
    as soon as no further slice is on its way.

    Args:
        coming: Requests on their way that have slices to hand in; asked from the thread.
        arm: main or challenger, as the queue is counted.
    """

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings,
        metrics: Metrics,
        coming: Callable[[], int],
        arm: str,
    ) -> None:
        self.classifier = classifier
        self._size = settings.batch_size
        self._patience_s = settings.batch_patience_ms / 1000
        self._metrics = metrics
        self._coming = coming
        self._arm = arm
        self._queue: deque[_Waiting] = deque()
        self._changed = Condition()
        self._closed = False
        self._longest_s = settings.request_timeout_s
        self._pass_since = math.inf  # from when the pass runs that runs now
        self.seconds_per_slice = FIRST_GUESS_S  # what one took in the last passes
        self._thread = Thread(target=self._run, name="forward", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether passes are run, and none takes longer than a request may."""
        hangs = time.monotonic() - self._pass_since > self._longest_s
        return self._thread.is_alive() and not self._closed and not hangs

    def submit(
        self, ready: Sequence[Ready], limit: Threshold, *, tta: bool
    ) -> list[Future[Answer]]:
        """Queue slices; one future each, in their order. Cancelled ones are not run."""
        items = [_Waiting(one, limit, tta) for one in ready]
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._queue.extend(items)
            self._metrics.queue_depth(len(self._queue), self._arm)
            self._changed.notify()
        return [item.answer for item in items]

    def close(self) -> None:
        """Answer what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            for tta in (False, True):
                self._forward([item for item in batch if item.tta is tta], tta=tta)

    def _next(self) -> list[_Waiting]:
        """The slices of the next pass; none when the end has come."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            while self._wants_more():
                self._changed.wait(self._left_s())
            batch = [self._queue.popleft() for _ in range(min(self._size, len(self._queue)))]
            self._metrics.queue_depth(len(self._queue), self._arm)
        return batch

    def _wants_more(self) -> bool:
        waiting = 0 < len(self._queue) < self._size and not self._closed
        return waiting and self._coming() > 0 and self._left_s() > 0

    def _left_s(self) -> float:
        """What is left of the patience of the slice that waits longest."""
        return self._queue[0].since + self._patience_s - time.perf_counter()

    def _forward(self, items: Sequence[_Waiting], *, tta: bool) -> None:
        running = [item for item in items if item.answer.set_running_or_notify_cancel()]
        if not running:
            return
        started = time.perf_counter()
        for item in running:
            self._metrics.observe_stage("queue", started - item.since)
        self._answer(running, tta=tta)
        took = (time.perf_counter() - started) / len(running)
        self.seconds_per_slice = _REMEMBERED * self.seconds_per_slice + (1 - _REMEMBERED) * took

    def _answer(self, running: Sequence[_Waiting], *, tta: bool) -> None:
        """Answer in one pass; where it fails, each by itself, so that it fails for one slice."""
        self._metrics.batch_size(len(running))
        self._pass_since = time.monotonic()
        try:
            with self._metrics.stage("forward"):
                answers = self.classifier.answer_ready(
                    [item.ready for item in running], [item.limit for item in running], tta=tta
                )
        except Exception as error:  # whatever it is, the thread has to go on
            if len(running) == 1:
                running[0].answer.set_exception(error)
                return
            for item in running:
                self._answer([item], tta=tta)
            return
        finally:
            self._pass_since = math.inf
        for item, answer in zip(running, answers, strict=True):
            item.answer.set_result(answer)
