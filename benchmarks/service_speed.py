"""Speed: the service and the plain app take turns under one load; beside them, the bare graph."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.kernel import interleaved
from benchmarks.service_alike import differences
from benchmarks.service_inputs import pictures
from benchmarks.service_load import Outcome, Plan, drive
from benchmarks.service_process import Kind, Scale, Server
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.read import read_slices
from slicewise.inference.bundle import load_bundle
from slicewise.inference.classifier import Classifier

CLIENTS = (1, 8, 32)
WARM_UP_S = 2.0
SAMPLE_S = 0.25
BARE_ROUNDS = 60
BARE_BATCH = 8
RIGHT_REQUESTS, RIGHT_CLIENTS = 120, 8

RATE = "best rate, as a share of the bare batched rate"
ALONE = "p50 alone, times bare forward pass and decoding"
LEAST_RATE, MOST_ALONE = 0.6, 2.0
"""What has to be reached; the other figures are told without a limit."""


@dataclass(frozen=True, slots=True)
class Row:
    """One server under one load.

    Args:
        server: Which.
        clients: How many at once.
        n: Answered requests.
        p50_ms: Median latency; None where nothing was answered.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        a_second: Answered requests a second.
        failed: Requests with another status than 200, and broken connections.
        retries: 503s that were asked again.
        server_cpu: Processors that the server used, on average.
        load_cpu: Processors that the load generator used, on average.
    """

    server: str
    clients: int
    n: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    a_second: float
    failed: int
    retries: int
    server_cpu: float
    load_cpu: float


@dataclass(frozen=True, slots=True)
class Bare:
    """Milliseconds of ONNX Runtime alone with the same number of threads, and of decoding."""

    batch_1_ms: float
    batched_ms_a_slice: float
    decode_ms: float


def speed(
    kinds: Sequence[Kind], bundle: Path, threads: int, seconds: float, log: Path
) -> dict[str, Any]:
    """Measure everything once.

    Args:
        kinds: Servers, the service first.
        bundle: Which all of them run.
        threads: Of a forward pass.
        seconds: Of each server at each number of clients.
        log: Where the servers' own output goes.
    """
    bare = bare_times(bundle, threads)
    with ExitStack() as stack:
        stands = [_Stand(stack, kind, log) for kind in kinds]
        for stand in stands:
            stand.drive(1, WARM_UP_S)
        rows = [stand.row(clients, seconds) for clients in CLIENTS for stand in stands]
        wrong = {stand.kind.name: stand.wrong() for stand in stands}
    against = _against(rows, bare, {stand.kind.name: stand.peak_mb for stand in stands})
    return {
        "bare": asdict(bare),
        "rows": [asdict(row) for row in rows],
        "start_up_s": {stand.kind.name: stand.start_up_s for stand in stands},
        "peak_memory_mb": {stand.kind.name: stand.peak_mb for stand in stands},
        "crashes": {stand.kind.name: stand.crashes for stand in stands},
        "wrong_under_load": wrong,
        "against": against,
        "targets": targets(against),
        "passed": all(targets(against).values()),
    }


class _Stand:
    """A server at its place in the comparison; started again where it crashed."""

    def __init__(self, stack: ExitStack, kind: Kind, log: Path) -> None:
        self.kind = kind
        self.peak_mb = 0.0
        self.crashes = 0
        self._log = log
        self._server = Server(kind, log)
        self.start_up_s = self._server.start_up_s
        stack.callback(lambda: self._server.stop())

    def drive(self, clients: int, seconds: float | None, **plan: Any) -> Outcome:
        """Put a load on it and look at its memory."""
        if not self._server.alive:
            self.crashes += 1
            self._server = Server(self.kind, self._log)
        scale = Scale(self._server, SAMPLE_S)
        asked = pictures(self.kind.path)
        got = drive(Plan(self._server.port, asked, clients, seconds=seconds, **plan))
        seen = [mb for _, mb in scale.end()] or [0.0]
        self.peak_mb = max(self.peak_mb, *seen, self._server.memory_mb(peak=True))
        return got

    def row(self, clients: int, seconds: float) -> Row:
        """One row of the table."""
        before = self._server.cpu_seconds()
        got = self.drive(clients, seconds)
        cpu = max(0.0, self._server.cpu_seconds() - before)
        p50, p90, p99 = (_percentile(got.latencies_ms, q) for q in (50, 90, 99))
        answered = got.statuses[200]
        return Row(
            server=self.kind.name,
            clients=clients,
            n=answered,
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            a_second=answered / got.seconds,
            failed=sum(got.statuses.values()) - answered,
            retries=got.retries,
            server_cpu=cpu / got.seconds,
            load_cpu=got.cpu_seconds / got.seconds,
        )

    def wrong(self) -> dict[str, int]:
        """Answers under load that are not those given alone, by what differs."""
        count = len(pictures(self.kind.path))
        alone = self.drive(1, None, count=count, keep="answers")
        together = self.drive(RIGHT_CLIENTS, None, count=RIGHT_REQUESTS, keep="answers")
        return differences(alone, together).as_counts()


def bare_times(bundle: Path, threads: int) -> Bare:
    """ONNX Runtime on ready arrays, all outputs, and decoding plus preprocessing a picture."""
    classifier = Classifier(load_bundle(bundle), threads)
    contents = cycle(_pngs())
    spec = classifier.bundle.info.preprocessing
    image = preprocess(read_slices(next(contents), "slice.png")[0].pixels, spec).image
    one, many = to_batch(image[None]), to_batch(np.stack([image] * BARE_BATCH))
    tasks: dict[str, Callable[[], object]] = {
        "one": lambda: classifier.run(one),
        "many": lambda: classifier.run(many),
        "decode": lambda: preprocess(read_slices(next(contents), "slice.png")[0].pixels, spec),
    }
    times = {k: statistics.median(v) for k, v in interleaved(tasks, BARE_ROUNDS).items()}
    return Bare(times["one"], times["many"] / BARE_BATCH, times["decode"])


def _pngs() -> list[bytes]:
    """The pictures themselves, out of the requests that carry them."""
    found = []
    for asked in pictures("/"):
        start = asked.body.index(b"\x89PNG")
        with Image.open(io.BytesIO(asked.body[start:])) as opened:
            buffer = io.BytesIO()
            opened.save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def _percentile(times: Sequence[float], q: float) -> float | None:
    return float(np.percentile(times, q)) if times else None


def _against(rows: Sequence[Row], bare: Bare, memory: Mapping[str, float]) -> dict[str, float]:
    """The figures that are asked for: against the bare graph, and against the other server."""
    names = list(dict.fromkeys(row.server for row in rows))
    ours = {row.clients: row for row in rows if row.server == names[0]}
    best = max(row.a_second for row in ours.values())
    found = {RATE: best * bare.batched_ms_a_slice / 1000}
    if ours[1].p50_ms:
        alone = bare.batch_1_ms + bare.decode_ms
        found[ALONE] = ours[1].p50_ms / alone
    for name in names[1:]:
        theirs = {row.clients: row for row in rows if row.server == name}
        for clients in CLIENTS:
            one, other = ours[clients], theirs[clients]
            if one.p50_ms and other.p50_ms:
                found[f"{name}, {clients} clients: times the latency"] = other.p50_ms / one.p50_ms
            found[f"{name}, {clients} clients: share of the throughput"] = (
                other.a_second / one.a_second
            )
        found[f"{name}: times the memory"] = memory[name] / memory[names[0]]
    return found


def targets(against: Mapping[str, float]) -> dict[str, bool]:
    """What had to be reached, and whether it was; what could not be measured was not.

    Args:
        against: Figures by name.
    """
    return {
        f"{RATE}: at least {LEAST_RATE:g}": against[RATE] >= LEAST_RATE,
        f"{ALONE}: at most {MOST_ALONE:g}": against.get(ALONE, np.inf) <= MOST_ALONE,
    }


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The figures as text."""
    bare = found["bare"]
    yield (
        f"Bare graph, all outputs: {bare['batch_1_ms']:.1f} ms alone, "
        f"{bare['batched_ms_a_slice']:.1f} ms a slice in batches of {BARE_BATCH}; "
        f"decoding and preprocessing {bare['decode_ms']:.1f} ms"
    )
    yield (
        f"{'server':<26} clients      n   p50 ms   p90 ms   p99 ms  req/s  failed  503s  "
        "cpu  load cpu"
    )
    for row in found["rows"]:
        p50, p90, p99 = (_ms_text(row[f"p{q}_ms"]) for q in (50, 90, 99))
        yield (
            f"{row['server']:<26} {row['clients']:7d} {row['n']:6d} {p50} {p90} {p99} "
            f"{row['a_second']:6.1f} {row['failed']:7d} {row['retries']:5d} "
            f"{row['server_cpu']:4.2f} {row['load_cpu']:9.2f}"
        )
    for name, seconds in found["start_up_s"].items():
        counts = ", ".join(f"{k} {v}" for k, v in found["wrong_under_load"][name].items())
        yield (
            f"{name}: ready after {seconds:.2f} s, peak memory "
            f"{found['peak_memory_mb'][name]:.0f} MB, {found['crashes'][name]} crashes; "
            f"with {RIGHT_CLIENTS} clients: {counts}"
        )
    for name, value in found["against"].items():
        yield f"  {name}: {value:.2f}"
    for name, reached in found["targets"].items():
        yield f"{'reached' if reached else 'MISSED'}: {name}"


def _ms_text(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:8.1f}"
