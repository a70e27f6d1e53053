"""The service under load, beside a plain Flask app: speed, sameness, endurance, kill.

    python -m benchmarks.service --seconds 20 [--only speed sameness endurance kill uploads]
                                 [--threads 1] [--workers 1] [--bundle B] [--requests 10000]
                                 [--minutes 10] [--postgres URL] [--out RESULTS.json]

Run it with nothing else running. Everything is on one machine: server and load generator share its
processors, and the generator's own use of them is told. Exit code 1 where one of them did not pass:
speed has a rate and a latency to reach.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import service_uploads
from benchmarks.service_process import plain, slicewise
from benchmarks.service_speed import lines, speed
from benchmarks.service_trials import endurance, kill, sameness
from slicewise.inference.bundle import bundled_model, load_bundle

MODES = ("speed", "sameness", "endurance", "kill", "uploads")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for and print it, then end the process.

    Args:
        arguments: As on the command line; None for those of the process.
    """
    given = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    found: dict[str, Any] = {"machine": _machine(), "bundle": load_bundle(given.bundle).identity}
    with tempfile.TemporaryDirectory(prefix="slicewise-bench-") as folder:
        for mode in given.only:
            print(f"\n{mode}", flush=True)
            found[mode] = MEASURES[mode](given, Path(folder))
            for line in _text(mode, found[mode]):
                print(f"  {line}", flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    passed = [one["passed"] for one in _judged(found)]
    sys.exit(0 if all(passed) else 1)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service")
    parser.add_argument("--seconds", type=float, default=20, help="of each row of speed")
    parser.add_argument("--only", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--threads", type=int, default=1, help="of a forward pass, both servers")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument("--bundle", type=Path, default=bundled_model())
    parser.add_argument("--requests", type=int, default=10_000, help="of sameness")
    parser.add_argument("--minutes", type=float, default=10, help="of endurance")
    parser.add_argument("--postgres", help="URL of an empty database for kill, beside SQLite")
    parser.add_argument("--out", type=Path, help="JSON of all figures")
    return parser.parse_args(arguments)


def _speed(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    ours = slicewise(_sqlite(folder, "speed"), given.bundle, given.threads, given.workers)
    kinds = [ours, *(plain(given.bundle, given.threads, lock=lock) for lock in (False, True))]
    return speed(kinds, given.bundle, given.threads, given.seconds, folder / "speed.log")


def _sameness(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    kind = slicewise(_sqlite(folder, "sameness"), given.bundle, given.threads, given.workers)
    return sameness(kind, given.requests, folder / "sameness.log")


def _endurance(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    kind = slicewise(_sqlite(folder, "endurance"), given.bundle, given.threads, given.workers)
    return endurance(kind, given.minutes, folder / "endurance.log")


def _kill(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """On SQLite and, where a URL was given, on PostgreSQL, with one worker and with two."""
    key = {"SLICEWISE_AUDIT_KEY": secrets.token_hex(32)}
    databases = {"SQLite": _sqlite(folder, "kill")}
    if given.postgres:
        databases["PostgreSQL"] = given.postgres
    found: dict[str, Any] = {}
    for name, url in databases.items():
        for workers in (1, 2):
            kind = slicewise(url, given.bundle, given.threads, workers, key)
            found[f"{name}, {workers} workers"] = kill(
                kind, url, {**os.environ, **key}, folder / "kill.log"
            )
    return found


def _uploads(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    kind = slicewise(_sqlite(folder, "uploads"), given.bundle, given.threads)
    return service_uploads.uploads(kind, folder, folder / "uploads.log")


MEASURES = {
    "speed": _speed,
    "sameness": _sameness,
    "endurance": _endurance,
    "kill": _kill,
    "uploads": _uploads,
}


def _sqlite(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"


def _text(mode: str, found: Mapping[str, Any]) -> Iterator[str]:
    if mode == "speed":
        yield from lines(found)
    elif mode == "uploads":
        yield from service_uploads.lines(found)
    elif mode == "kill":
        for name, one in found.items():
            yield f"{name}: {_plain_text(one)}"
    else:
        yield _plain_text(found)


def _plain_text(found: Mapping[str, Any]) -> str:
    shown = {k: v for k, v in found.items() if not isinstance(v, list) or k == "examples"}
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else
        f"{name.replace('_', ' ')} {value}"
        for name, value in shown.items()
    )  # fmt: skip


def _judged(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for mode in ("speed", "sameness", "endurance", "uploads"):
        if mode in found:
            yield found[mode]
    yield from found.get("kill", {}).values()


def _machine() -> dict[str, Any]:
    return {"processors": os.cpu_count(), "python": platform.python_version(),
            "system": platform.platform()}  # fmt: skip


if __name__ == "__main__":
    main()
