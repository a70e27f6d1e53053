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
from typing import Literal, get_args

import prometheus_client as prometheus
from prometheus_client import multiprocess

from slicewise.inference.decision import BundleReference

prometheus.disable_created_metrics()  # when each series began: as many series again

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's own variable: where workers keep their numbers, so that any can tell all."""

Stage = Literal["decode", "queue", "forward", "draw", "record"]
STAGES: tuple[Stage, ...] = get_args(Stage)

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_SLICES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_WORKER = "worker-"
"""Beginning of the name of the file by which a worker says that it has numbers in the folder."""

_PREFIX = "slicewise-service-"
_OWNER = "owner"  # file that a service holds a lock on as long as it needs the folder


class Metrics:
    """The numbers of one process. Every method may be called from any thread."""

    def __init__(self) -> None:
        own = self._registry = prometheus.CollectorRegistry()
        seconds = partial(prometheus.Histogram, buckets=_SECONDS, registry=own)
        counter = partial(prometheus.Counter, registry=own)
        gauge = partial(prometheus.Gauge, registry=own)
        summed, largest = (partial(gauge, multiprocess_mode=m) for m in ("livesum", "livemax"))
        self._stages = seconds(
            "slicewise_stage_seconds", "Time of one stage of an answer.", ["stage"]
        )
        for stage in STAGES:
            self._stages.labels(stage)
        self._batches = prometheus.Histogram(
            "slicewise_batch_slices", "Slices in one forward pass.", buckets=_SLICES, registry=own
        )
        self._queue = summed(
            "slicewise_queue_slices", "Slices that wait for a forward pass.", ["arm"]
        )
        self._decisions = counter(
            "slicewise_decisions",
            "Answers for slices, by what was answered.",
            ["arm", "label", "decision"],
        )
        self._reasons = counter(
            "slicewise_reasons",
            "Reasons given with answers; why they were not simply accepted.",
            ["arm", "reason"],
        )
        self._responses = counter("slicewise_responses", "HTTP responses.", ["route", "status"])
        self._requests = seconds(
            "slicewise_request_seconds",
            "Time from the first byte of a request to the last of its response.",
            ["route"],
        )
        self._bundles = largest(
            "slicewise_bundle",
            "1 for each bundle that is loaded.",
            ["arm", "name", "version", "sha256"],
        )
        folder = shared_folder()
        if folder is None:
            prometheus.ProcessCollector(registry=own)
        else:
            (folder / f"{_WORKER}{os.getpid()}").touch()

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.observe_stage(name, time.perf_counter() - started)

    def observe_stage(self, name: Stage, seconds: float) -> None:
        """Count a time measured elsewhere, such as the wait in the queue."""
        self._stages.labels(name).observe(seconds)

    def batch_size(self, slices: int) -> None:
        self._batches.observe(slices)

    def queue_depth(self, slices: int, arm: str) -> None:
        self._queue.labels(arm).set(slices)

    def decision(self, label: str, decision: str, reasons: Sequence[str], arm: str) -> None:
        self._decisions.labels(arm, label, decision).inc()
        for reason in reasons:
            self._reasons.labels(arm, reason).inc()

    def response(self, route: str, status: int, seconds: float) -> None:
        """Count one response by the template of its route, never the path as it was sent."""
        self._responses.labels(route, str(status)).inc()
        self._requests.labels(route).observe(seconds)

    def bundle(self, arm: str, reference: BundleReference) -> None:
        self._bundles.labels(arm, reference.name, reference.version, reference.sha256).set(1)

    def render(self) -> bytes:
        """Prometheus text: of this process, or of all workers where they share a folder."""
        folder = shared_folder()
        if folder is None:
            return prometheus.generate_latest(self._registry)
        forget_dead(folder)
        together = prometheus.CollectorRegistry()
        multiprocess.MultiProcessCollector(together, str(folder))
        return prometheus.generate_latest(together)


@contextmanager
def shared_among_workers() -> Iterator[None]:
    """A folder for the numbers of workers started within; who calls this keeps to its own."""
    with private_folder() as folder:
        os.environ[SHARED_FOLDER] = str(folder)
        yield


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


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for as long as it is needed, in memory where there is such a file system."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_memory()))
    try:
        with (folder / _OWNER).open("wb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path:
    shm = Path("/dev/shm")  # noqa: S108 (the folder made there is private)
    return shm if shm.is_dir() else Path(tempfile.gettempdir())


def remove_left_over() -> None:
    """Remove private folders whose service was killed: nobody holds the lock of these."""
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
