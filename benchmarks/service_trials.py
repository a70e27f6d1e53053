"""Sameness, endurance and kill: whether answers mix, memory grows, or an answer is forgotten."""

from __future__ import annotations

import http.client
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.service_alike import differences
from benchmarks.service_inputs import mixed, pictures
from benchmarks.service_load import Outcome, Plan, drive
from benchmarks.service_process import Kind, Scale, Server, running

SAME_CLIENTS, LONG_CLIENTS, KILL_CLIENTS = 64, 32, 8
SAMPLE_S = 2.0
FLAT_MB_A_MINUTE = 1.0
FLAT_SHARE = 0.02
ROUNDS = 3
KILL_AFTER_S = (1.5, 4.0)
GENERATOR_S = 1.5
"""What the load generator needs to start."""


def sameness(kind: Kind, requests: int, log: Path) -> dict[str, Any]:
    """Mixed requests of 64 clients against the answers to the same requests alone.

    Args:
        kind: The service.
        requests: How many.
        log: Where its output goes.
    """
    asked = mixed()
    with running(kind, log) as server:
        alone = drive(Plan(server.port, asked, 1, count=len(asked), keep="answers"))
        together = drive(Plan(server.port, asked, SAME_CLIENTS, count=requests, keep="answers"))
    found = differences(alone, together)
    return {
        "requests": requests,
        "different_requests": len(asked),
        "clients": SAME_CLIENTS,
        "seconds": together.seconds,
        "statuses": _by_status(together),
        "retries_after_503": together.retries,
        "compared": found.compared,
        "wrong": dict(found.wrong),
        "largest_difference_of_a_probability": found.furthest,
        "largest_difference_of_a_pixel": found.levels,
        "examples": found.examples,
        "passed": found.compared == requests and not found.wrong,
    }


def endurance(kind: Kind, minutes: float, log: Path) -> dict[str, Any]:
    """32 clients for a long time, memory looked at every two seconds.

    Memory counts as flat if the straight line through the second half rises by less than 1 MB a
    minute, or by less than 2 % of all of it in that half.

    Args:
        kind: The service.
        minutes: How long.
        log: Where its output goes.
    """
    with running(kind, log) as server:
        drive(Plan(server.port, pictures(kind.path), LONG_CLIENTS, seconds=5))
        memory = Scale(server, SAMPLE_S)
        got = drive(Plan(server.port, pictures(kind.path), LONG_CLIENTS, seconds=60 * minutes))
        samples = memory.end()
    half = samples[len(samples) // 2 :]
    at, mb = np.transpose(half)
    slope = float(np.polyfit(at, mb, 1)[0]) * 60
    grown = slope * minutes / 2
    level = float(mb.mean())
    failed = {s: n for s, n in _by_status(got).items() if s != "200"}
    return {
        "minutes": minutes,
        "clients": LONG_CLIENTS,
        "n": got.statuses[200],
        "a_second": got.statuses[200] / got.seconds,
        "p50_ms": float(np.percentile(got.latencies_ms, 50)),
        "p99_ms": float(np.percentile(got.latencies_ms, 99)),
        "retries_after_503": got.retries,
        "other_than_200": failed,
        "memory_mb": [round(mb, 1) for _, mb in samples],
        "memory_level_mb": level,
        "memory_mb_a_minute": slope,
        "passed": not failed and (slope < FLAT_MB_A_MINUTE or grown < FLAT_SHARE * level),
    }


def kill(kind: Kind, database: str, environment: Mapping[str, str], log: Path) -> dict[str, Any]:
    """SIGKILL in the middle of load, several times on the same database.

    After every round the chain is verified, the service started again and asked for each
    prediction that was acknowledged.

    Args:
        kind: The service, on this database.
        database: Its URL.
        environment: With which the chain is verified: its key, where there is one.
        log: Where its output goes.
    """
    rounds: list[list[str]] = []
    verified: list[str] = []
    for round_ in range(ROUNDS):
        rounds.append(_killed(kind, random.Random(round_).uniform(*KILL_AFTER_S), log))  # noqa: S311
        verified.append(_verify(database, kind, environment))
    acknowledged = [one for ids in rounds for one in ids]
    with running(kind, log) as server:
        lost = list(_lost(server.port, acknowledged))
    return {
        "rounds": ROUNDS,
        "clients": KILL_CLIENTS,
        "acknowledged": len(acknowledged),
        "lost": len(lost),
        "verified": verified,
        "passed": all(rounds) and not lost and all(v.startswith("0:") for v in verified),
    }


def _killed(kind: Kind, seconds: float, log: Path) -> list[str]:
    """Ids that were acknowledged before the server was killed in the middle of load."""
    asked = pictures("/v1/predict")  # drawn before the clock starts
    server = Server(kind, log)
    timer = threading.Timer(seconds + GENERATOR_S, server.kill)
    timer.start()
    try:
        plan = Plan(server.port, asked, KILL_CLIENTS, seconds=60, keep="ids")
        return drive(plan).ids
    finally:
        timer.join()


def _verify(database: str, kind: Kind, environment: Mapping[str, str]) -> str:
    """Exit code and words of `slicewise audit verify`."""
    command = [sys.executable, "-c", "from slicewise.cli.main import main; main()"]
    done = subprocess.run(
        [*command, "audit", "verify", "--database", database],
        env={**dict(kind.environment), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.returncode}: {(done.stdout or done.stderr).strip()}"


def _lost(port: int, ids: Sequence[str]) -> Iterator[str]:
    """Ids that the service does not know."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for one in ids:
        connection.request("GET", f"/v1/predictions/{one}")
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            yield one
    connection.close()


def _by_status(got: Outcome) -> dict[str, int]:
    return {str(status): n for status, n in sorted(got.statuses.items())}
