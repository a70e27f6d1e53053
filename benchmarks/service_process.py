"""Servers as processes of their own: started, waited for, weighed and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 60.0
END_S = 60.0
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a server is started.

    Args:
        name: What it is called in the tables.
        command: With `{port}` in it.
        environment: Added to the present one.
        ready: Path that answers 200 once it can work.
        path: Where pictures are posted, heat map included.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: str
    path: str


class Server:
    """A running server and the processes it started."""

    def __init__(self, kind: Kind, log: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self._log = log.open("ab")
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [part.format(port=self.port) for part in kind.command],
            env={**os.environ, **kind.environment},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._wait()
        self.start_up_s = time.perf_counter() - started

    def memory_mb(self, *, peak: bool = False) -> float:
        """Resident memory of all its processes together, MB; the highest so far where asked."""
        field = "VmHWM" if peak else "VmRSS"
        return sum(_status_kb(pid, field) for pid in self.pids()) / 1000

    def cpu_seconds(self) -> float:
        """Used so far by all its processes."""
        return sum(_cpu_seconds(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """Its process and all that it started."""
        found, new = [], [self._process.pid]
        while new:
            found += new
            new = [child for pid in new for child in _children(pid)]
        return found

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that crashed does not."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as if the power had failed (SIGKILL to every process)."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait; kill it where it does not."""
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def _wait(self) -> None:
        end = time.perf_counter() + START_S
        while time.perf_counter() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.kind.name} ended with {self._process.returncode}")
            if _answers(f"http://127.0.0.1:{self.port}{self.kind.ready}"):
                return
            time.sleep(0.01)
        self.kill()
        raise RuntimeError(f"{self.kind.name} was not ready within {START_S} s")


@contextmanager
def running(kind: Kind, log: Path) -> Iterator[Server]:
    """A server that is stopped at the end."""
    server = Server(kind, log)
    try:
        yield server
    finally:
        server.stop()


def slicewise(
    database: str,
    bundle: Path,
    threads: int,
    workers: int = 1,
    more: Mapping[str, str] | None = None,
) -> Kind:
    """The service, with the command that an engineer types."""
    return Kind(
        name="slicewise serve" if workers == 1 else f"slicewise serve, {workers} workers",
        command=(sys.executable, "-c", "from slicewise.cli.main import main; main()", "serve",
                 "--port", "{port}", "--bundle", str(bundle), "--threads", str(threads),
                 "--workers", str(workers), "--database", database),
        environment={"SLICEWISE_RATE_LIMIT": "0", **(more or {})},
        ready="/readyz",
        path="/v1/predict?explain=true",
    )  # fmt: skip


def plain(bundle: Path, threads: int, *, lock: bool) -> Kind:
    """The plain app, as it is written or with a lock round its model."""
    return Kind(
        name="Flask app, model locked" if lock else "Flask app as written",
        command=(sys.executable, "-m", "benchmarks.plain_app", "--port", "{port}",
                 "--bundle", str(bundle), "--threads", str(threads), *(["--lock"] * lock)),
        environment={"OMP_NUM_THREADS": str(threads)},
        ready="/health",
        path="/predict",
    )  # fmt: skip


class Scale:
    """Looks at the memory of a server until the end, from a thread of its own."""

    def __init__(self, server: Server, every_s: float) -> None:
        self._server = server
        self._every_s = every_s
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> list[tuple[float, float]]:
        """Seconds and MB of every look."""
        self._over.set()
        self._thread.join()
        return self._samples

    def _look(self) -> None:
        while not self._over.wait(self._every_s):
            at = time.perf_counter() - self._started
            self._samples.append((at, self._server.memory_mb()))


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 (loopback)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _children(pid: int) -> Sequence[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _status_kb(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK
