"""The load generator: as many clients as wanted, in a process of its own that loads nothing heavy.

Each client is a thread with one connection that is kept open where the server keeps it. It sends
its next request as soon as it has the answer to the last (a closed loop). 503 is asked again after
the time the server names.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Literal

GIVEN_UP_S = 120.0
VOLATILE = ("id", "timing_ms", "instance")
"""Fields that differ between two answers to the same request."""

Keep = Literal["nothing", "ids", "answers"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, ready to be sent."""

    name: str
    path: str
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send.

    Args:
        port: On 127.0.0.1.
        requests: Sent in turn, over and over.
        clients: How many at once.
        seconds: How long; None until `count` are answered.
        count: How many; None for `seconds`.
        keep: What to keep of the answers: nothing, the ids of predictions, or every different one.
        slack: Longest wait before a 503 is asked again, seconds.
    """

    port: int
    requests: tuple[Asked, ...]
    clients: int
    seconds: float | None = None
    count: int | None = None
    keep: Keep = "nothing"
    slack: float = 1.0


@dataclass(slots=True)
class Outcome:
    """What came back.

    Args:
        seconds: Wall time from the first request to the last answer.
        cpu_seconds: Of this process.
        latencies_ms: Of every answered request, 503s and the waits after them not counted.
        statuses: How often each was answered; 0 is a broken connection.
        retries: How often 503 was asked again.
        ids: Of predictions that were acknowledged.
        answers: By request: different answers (status and JSON text by digest) without volatile
            fields.
        times: How often each of them came, by request and digest.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    retries: int = 0
    ids: list[str] = field(default_factory=list)
    answers: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    times: Counter[tuple[str, str]] = field(default_factory=Counter)


def drive(plan: Plan) -> Outcome:
    """Send a plan from a fresh process and wait for its end."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_drive, plan).result()


def _drive(plan: Plan) -> Outcome:
    outcome, lock = Outcome(), threading.Lock()
    turns = _turns(plan)
    threads = [
        threading.Thread(target=_client, args=(plan, turns, outcome, lock))
        for _ in range(plan.clients)
    ]
    before, started = _cpu_seconds(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.seconds = time.perf_counter() - started
    outcome.cpu_seconds = _cpu_seconds() - before
    return outcome


class _Turns:
    """The next request for whoever asks; an iterator that threads may share."""

    def __init__(self, turns: Iterator[Asked]) -> None:
        self._turns = turns
        self._lock = threading.Lock()

    def next(self) -> Asked | None:
        with self._lock:
            return next(self._turns, None)


def _turns(plan: Plan) -> _Turns:
    endless = itertools.cycle(plan.requests)
    if plan.count is not None:
        return _Turns(itertools.islice(endless, plan.count))
    end = time.perf_counter() + (plan.seconds or 0.0)
    return _Turns(itertools.takewhile(lambda _: time.perf_counter() < end, endless))


def _client(plan: Plan, turns: _Turns, outcome: Outcome, lock: threading.Lock) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", plan.port, timeout=GIVEN_UP_S)
    broken = False
    while not broken and (asked := turns.next()) is not None:
        status, body, took_ms, retries = _ask(connection, asked, plan.slack)
        broken = status == 0
        with lock:
            outcome.retries += retries
            outcome.statuses[status] += 1
            if not broken:
                outcome.latencies_ms.append(took_ms)
                _keep(outcome, asked, status, body, plan.keep)
    connection.close()


def _ask(
    connection: http.client.HTTPConnection, asked: Asked, slack: float
) -> tuple[int, bytes, float, int]:
    """Status, body, milliseconds, and how often 503 came first; status 0 where it broke."""
    for retries in itertools.count():
        started = time.perf_counter()
        try:
            connection.request("POST", asked.path, asked.body, {"Content-Type": asked.content_type})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0, b"", 0.0, retries
        if response.status != 503:
            return response.status, body, (time.perf_counter() - started) * 1000, retries
        time.sleep(min(slack, float(response.headers.get("Retry-After", slack))))
    raise AssertionError("itertools.count has no end")


def _keep(outcome: Outcome, asked: Asked, status: int, body: bytes, keep: Keep) -> None:
    if keep == "ids" and status == 200:
        outcome.ids += ids_of(json.loads(body))
    if keep == "answers":
        text = json.dumps(_steady(_read(body)), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        outcome.answers.setdefault(asked.name, {})[digest] = (status, text)
        outcome.times[asked.name, digest] += 1


def _read(body: bytes) -> object:
    """JSON, or the words of an error page."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def ids_of(answer: dict[str, object]) -> list[str]:
    """Ids of the predictions in an answer, which may be one or an envelope of several."""
    several = answer.get("predictions")
    found = several if isinstance(several, list) else [answer]
    return [str(one["id"]) for one in found]


def _steady(value: object) -> object:
    """An answer without what differs from one time to the next."""
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [_steady(one) for one in value]
    return value


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
