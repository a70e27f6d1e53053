"""What the service counts and times, for Prometheus; one process or several."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

from slicewise.inference.decision import BundleReference

disable_created_metrics()  # when each series began: as many series again, and nobody asks

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's own variable: where workers keep their numbers, so that any can tell all."""

Stage = Literal["decode", "queue", "forward", "draw", "record"]
STAGES: tuple[Stage, ...] = ("decode", "queue", "forward", "draw", "record")

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_SLICES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_WORKER = "worker-"
"""Beginning of the name of the file by which a worker says that it has numbers in the folder."""

_PREFIX = "slicewise-metrics-"
_OWNER = "owner"
"""File that a service holds a lock on as long as it lives."""

_held: list[IO[bytes]] = []


class Metrics:
    """The numbers of one process. Every method may be called from any thread."""

    def __init__(self) -> None:
        """Register all numbers at zero, in a registry of their own."""
        own = self._registry = CollectorRegistry()
        seconds = partial(Histogram, buckets=_SECONDS, registry=own)
        self._stages = seconds(
            "slicewise_stage_seconds", "Time of one stage of an answer.", ["stage"]
        )
        for stage in STAGES:
            self._stages.labels(stage)
        self._batches = Histogram(
            "slicewise_batch_slices", "Slices in one forward pass.", buckets=_SLICES, registry=own
        )
        self._queue = Gauge(
            "slicewise_queue_slices",
            "Slices that wait for a forward pass.",
            ["arm"],
            registry=own,
            multiprocess_mode="livesum",
        )
        self._decisions = Counter(
            "slicewise_decisions",
            "Answers for slices, by what was answered.",
            ["arm", "label", "decision"],
            registry=own,
        )
        self._reasons = Counter(
            "slicewise_reasons",
            "Reasons given with answers; why they were not simply accepted.",
            ["arm", "reason"],
            registry=own,
        )
        self._responses = Counter(
            "slicewise_responses", "HTTP responses.", ["route", "status"], registry=own
        )
        self._requests = seconds(
            "slicewise_request_seconds",
            "Time from the first byte of a request to the last of its response.",
            ["route"],
        )
        self._bundles = Gauge(
            "slicewise_bundle",
            "1 for each bundle that is loaded.",
            ["arm", "name", "version", "sha256"],
            registry=own,
            multiprocess_mode="livemax",
        )
        folder = shared_folder()
        if folder is None:
            ProcessCollector(registry=own)
        else:
            (folder / f"{_WORKER}{os.getpid()}").touch()

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Time what is done inside."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.observe_stage(name, time.perf_counter() - started)

    def observe_stage(self, name: Stage, seconds: float) -> None:
        """Count a time measured elsewhere, such as the wait in the queue."""
        self._stages.labels(name).observe(seconds)

    def batch_size(self, slices: int) -> None:
        """Count one forward pass."""
        self._batches.observe(slices)

    def queue_depth(self, slices: int, arm: str) -> None:
        """Say how many slices wait for the bundle of an arm in this process now."""
        self._queue.labels(arm).set(slices)

    def decision(self, label: str, decision: str, reasons: Sequence[str], arm: str) -> None:
        """Count the answer for one slice by class, decision, reasons and who gave it."""
        self._decisions.labels(arm, label, decision).inc()
        for reason in reasons:
            self._reasons.labels(arm, reason).inc()

    def response(self, route: str, status: int, seconds: float) -> None:
        """Count one response.

        Args:
            route: Template of the route, never the path as it was sent.
        """
        self._responses.labels(route, str(status)).inc()
        self._requests.labels(route).observe(seconds)

    def bundle(self, arm: str, reference: BundleReference) -> None:
        """Say which bundle an arm answers with."""
        self._bundles.labels(arm, reference.name, reference.version, reference.sha256).set(1)

    def render(self) -> bytes:
        """Prometheus text: of this process, or of all workers where they share a folder."""
        folder = shared_folder()
        if folder is None:
            return generate_latest(self._registry)
        forget_dead(folder)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together, str(folder))
        return generate_latest(together)


def share_among_workers() -> Path:
    """Make the folder in which workers keep their numbers; call it before starting them.

    It lies in memory where the system has /dev/shm, and holds numbers and the names of routes,
    classes and reasons. Whoever calls this removes it at the end; for what a killed service left,
    see `remove_left_over`. It has no effect on the process that calls it, which has chosen how to
    count when it imported prometheus_client.
    """
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=_memory())
    os.environ[SHARED_FOLDER] = folder
    _held.append((Path(folder) / _OWNER).open("wb"))
    fcntl.flock(_held[-1], fcntl.LOCK_EX)
    return Path(folder)


def shared_folder() -> Path | None:
    """Where workers keep their numbers together; None in a single process."""
    named = os.environ.get(SHARED_FOLDER)
    return Path(named) if named else None


def forget_dead(folder: Path) -> None:
    """Drop what ended workers said of the present moment; what they counted stays."""
    for file in folder.glob(f"{_WORKER}*"):
        pid = int(file.name.removeprefix(_WORKER))
        if _alive(pid):
            continue
        with suppress(FileNotFoundError):  # another worker was quicker
            file.unlink()
            multiprocess.mark_process_dead(pid, str(folder))


def _memory() -> Path:
    """A file system in memory, where there is one."""
    shm = Path("/dev/shm")  # noqa: S108 (the folder made there is private)
    return shm if shm.is_dir() else Path(tempfile.gettempdir())


def remove_left_over() -> None:
    """Remove folders whose service was killed: nobody holds the lock of these."""
    for folder in _memory().glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _OWNER).open("rb+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
