"""Damaged files of every format that is read: each is read or refused, and nothing else happens.

    python tools/fuzz.py [--count 20000] [--only NAME:NUMBER] [--jobs 2] [--out DIR]

Valid files made in code are damaged, each by its own number, so that every case can be had again.
A finding is any error but one that SliceWise raises on purpose, output, more than 5 s, more than
1 GB, the end of the process, or a good file lost beside the damaged one. Cases run in processes of
their own. --out keeps the files of the findings and `findings.json`. Exit code 0: no finding; 1:
findings; 2: wrong use.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import itertools
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # valid files are built as tests build

import numpy as np

from builders_imaging import AXIAL, dicom_bytes, picture_bytes, ramp, zip_bytes
from fuzz_mutations import mutated
from fuzz_seeds import seeds
from slicewise.errors import InputError, InternalError, SliceWiseError
from slicewise.imaging.read import read_inputs, read_slices
from slicewise.imaging.slice import InternalFailure, Series
from slicewise.progress import steps

_SECONDS, _BYTES = 5.0, 10**9
_MOST_BYTES = 4 << 30  # of address space beyond what a process starts with: it spares the machine
_CASES_EACH = 1000  # of one process
_PRELOADED = [
    "imagecodecs",
    "slicewise.imaging.formats.dicom.image",
    "slicewise.imaging.formats.nifti.volume",
]
_QUIET_ANYWAY = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
_OUTCOMES = ("read", "InputError", "LimitError", "UnsupportedImageError")
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One damage to one valid file."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"

    def data(self) -> bytes:
        """The damaged file."""
        return mutated(seeds()[self.name], self.number)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case.

    Args:
        outcome: `read`, or the class of the error.
        finding: What is wrong with that: `error`, `lost`, `output`, `slow`, `memory` or `crash`.
        message: Of the error, or what was printed.
        trace: Where it happened, as far as that is known.
    """

    outcome: str
    seconds: float
    megabytes: float = 0
    finding: str | None = None
    message: str = ""
    trace: str = ""


class LostError(Exception):
    """A good file was not answered, or what was read is no slice."""


Check = Callable[[Case], None]
"""Reads a case, or raises what is wrong with it."""


def read_case(case: Case) -> None:
    """Read a damaged file; of every five cases one in a folder and one in a zip, between others."""
    data = case.data()
    try:
        _require_slices(data)
    finally:
        if case.number % 5 == 0:
            _read_in_folder(case, data)
        elif case.number % 5 == 1 and not case.name.startswith("zip"):
            _read_in_zip(case, data)


def _require_slices(data: bytes) -> None:
    for slice_ in read_slices(data, "damaged"):
        pixels = slice_.pixels
        if pixels.ndim != 2 or pixels.dtype != np.float32 or not np.isfinite(pixels).all():
            raise LostError(f"expected finite float32 pixels, got {pixels.dtype} {pixels.shape}")


def _read_in_folder(case: Case, data: bytes) -> None:
    place = Path("place")
    place.mkdir(exist_ok=True)
    for name, content in _beside(case, data).items():
        (place / name).write_bytes(content)
    _require_good([place], "place/")


def _read_in_zip(case: Case, data: bytes) -> None:
    place = Path("place.zip")
    place.write_bytes(zip_bytes(_beside(case, data)))
    _require_good([place], "place.zip!")


def _beside(case: Case, data: bytes) -> dict[str, bytes]:
    """The damaged file between two good ones; for a DICOM file, of what was its series."""
    uid = "1.2.3.4" if "enhanced" in case.name else "1.2.3.4.1"
    geometry = {"ImageOrientationPatient": list(AXIAL), "SeriesInstanceUID": uid}
    good = [
        dicom_bytes(ramp(32, 32), SOPInstanceUID=f"1.2.777.{k}", InstanceNumber=k, **geometry)
        for k in (1, 9)
    ]
    if not case.name.startswith("dicom"):
        good[1] = picture_bytes(ramp(32, 32).astype(np.uint8))
    return {"a": good[0], "damaged": data, "z": good[1]}


def _require_good(inputs: list[Path], prefix: str) -> None:
    answered = set()
    for answer in read_inputs(inputs):
        if isinstance(answer, InternalFailure):
            raise InternalError(answer.error)
        if isinstance(answer, Series):
            answered |= {slice_.source for slice_ in answer.slices}
    if missing := {prefix + "a", prefix + "z"} - answered:
        raise LostError(f"expected the good files beside it to be read, got none of {missing}")


def judged(case: Case, check: Check, printed: Path) -> Verdict:
    """What becomes of a case in this process, whose output goes to `printed`."""
    start, seconds = _reset_peak(), time.perf_counter()
    finding, trace = None, ""
    outcome, message = "read", ""
    try:
        check(case)
    except (InternalError, LostError) as error:
        finding = "lost" if isinstance(error, LostError) else "error"
        outcome, message, trace = type(error).__name__, str(error), _trace(error)
    except SliceWiseError as error:
        outcome, message = type(error).__name__, str(error)
        if not isinstance(error, InputError):
            finding, trace = "error", _trace(error)
    except BaseException as error:  # a panic of a decoder in Rust is no Exception
        finding, outcome, message = "error", type(error).__name__, str(error)
        trace = _trace(error)
    seconds, megabytes = time.perf_counter() - seconds, (_peak() - start) / 1e6
    if finding is None and (megabytes * 1e6 > _BYTES or "fits into memory" in message):
        finding, message = "memory", message or f"{megabytes:.0f} MB"
    if finding is None and (text := _output(printed)):
        finding, message = "output", text
    return Verdict(outcome, seconds, megabytes, finding, message, trace)


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-6000:]


def _reset_peak() -> int:
    """Forget the peak of memory; the bytes that are in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


def _output(printed: Path) -> str:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ctypes.CDLL(None).fflush(None)
    text = printed.read_text(errors="replace")
    os.truncate(printed, 0)
    return text


def _work(connection: Connection, check: Check, home: Path) -> None:
    """Judge one case after another, as they are sent."""
    os.chdir(home)
    printed = home / "printed.txt"
    with printed.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    traces = (home / "traces.txt").open("w")  # not stderr, which readers may turn elsewhere
    faulthandler.enable(traces)
    faulthandler.register(signal.SIGUSR1, traces)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _MOST_BYTES, size + _MOST_BYTES))
    warnings.simplefilter("always")
    for category in _QUIET_ANYWAY:
        warnings.simplefilter("ignore", category)
    seeds()
    connection.send(None)
    while True:
        connection.send(judged(connection.recv(), check, printed))


class _Worker:
    """One process, and the case that it has now."""

    def __init__(self, check: Check, folder: Path) -> None:
        self.home = Path(tempfile.mkdtemp(dir=folder))
        self.connection, theirs = _CONTEXT.Pipe()
        arguments = (theirs, check, self.home)
        self._process = _CONTEXT.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.connection.recv()  # it is ready
        self.left = _CASES_EACH

    def give(self, case: Case) -> None:
        self.case, self.since = case, time.monotonic()
        self.left -= 1
        self.connection.send(case)

    def verdict(self) -> Verdict:
        """What it says of its case, or that it died of it."""
        try:
            answer: Verdict = self.connection.recv()
        except EOFError:
            self._process.join()
            self.left, code = 0, self._process.exitcode
            return self._ended("crash", f"the process ended with {code}")
        return answer

    def interrupted(self) -> Verdict:
        """End it in the middle of its case, and tell where it was."""
        os.kill(self._process.pid or 0, signal.SIGUSR1)
        time.sleep(0.3)
        verdict = self._ended("slow", f"more than {_SECONDS:g} s")
        self.end()
        return verdict

    def end(self) -> None:
        self.left = 0
        self._process.kill()
        self._process.join()

    def _ended(self, finding: str, message: str) -> Verdict:
        trace = (self.home / "traces.txt").read_text()[:6000]
        seconds = time.monotonic() - self.since
        return Verdict("none", seconds, finding=finding, message=message, trace=trace)


def verdicts(
    cases: Iterable[Case], check: Check = read_case, jobs: int = 1, seconds: float = _SECONDS
) -> Iterator[tuple[Case, Verdict]]:
    """Judge cases in child processes, in the order in which they are ready.

    What takes too long is tried once more, because the machine may have been busy.
    """
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    waiting, second = iter(cases), set[Case]()
    with tempfile.TemporaryDirectory() as name:
        free, busy = [_Worker(check, Path(name)) for _ in range(jobs)], list[_Worker]()
        while True:
            for case in itertools.islice(waiting, len(free)):
                worker = free.pop()
                worker.give(case)
                busy.append(worker)
            if not busy:
                break
            ends = min(worker.since for worker in busy) + seconds
            wait([worker.connection for worker in busy], max(0, ends - time.monotonic()))
            for worker in list(busy):
                late = time.monotonic() - worker.since > seconds
                if not (said := worker.connection.poll()) and not late:
                    continue
                busy.remove(worker)
                verdict = worker.verdict() if said else worker.interrupted()
                if verdict.finding == "slow" and worker.case not in second:
                    second.add(worker.case)
                    waiting = itertools.chain([worker.case], waiting)
                else:
                    yield worker.case, verdict
                if not worker.left:
                    worker.end()
                    worker = _Worker(check, Path(name))
                free.append(worker)
        for worker in free:
            worker.end()


def all_cases(count: int) -> list[Case]:
    """So many cases, the seeds in turn."""
    names = list(seeds())
    return [Case(names[k % len(names)], k // len(names)) for k in range(count)]


def table(found: Sequence[tuple[Case, Verdict]]) -> str:
    """How often each format was read, refused, or neither."""
    formats = list(dict.fromkeys(seed.format for seed in seeds().values()))
    lines = [("", "cases", *_OUTCOMES, "findings")]
    for row in (*formats, "all"):
        of_row = [v for c, v in found if row in (seeds()[c.name].format, "all")]
        outcomes = Counter(v.outcome for v in of_row if v.finding is None)
        wrong = sum(v.finding is not None for v in of_row)
        numbers = (len(of_row), *(outcomes[name] for name in _OUTCOMES), wrong)
        lines.append((row, *(f"{number:,}" for number in numbers)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)


def listed(wrong: Sequence[tuple[Case, Verdict]]) -> str:
    """The findings, alike ones in one line: how many, what, and the first of them."""
    alike: dict[tuple[str, str], list[Case]] = {}
    for case, verdict in wrong:
        line = (verdict.message or verdict.trace).strip().partition("\n")[0]
        line = line.removeprefix("damaged: ")
        key = verdict.finding or "", re.sub(r"[-+]?\d[\d.]*(e[-+]\d+)?|\bnan\b|\binf\b", "N", line)
        alike.setdefault(key, []).append(case)
    rows = sorted(alike.items(), key=lambda row: (row[0][0], -len(row[1])))
    return "\n".join(f"{len(c):>6,}  {kind}: {text} ({c[0]})" for (kind, text), c in rows)


def _told(pair: tuple[Case, Verdict]) -> str:
    case, verdict = pair
    costs = f"{verdict.seconds:.2f} s, {verdict.megabytes:.0f} MB"
    first = f"{case}: {verdict.outcome}, {verdict.finding or 'no finding'}, {costs}"
    return "\n".join((first, verdict.message, verdict.trace))


def _kept(found: Sequence[tuple[Case, Verdict]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for case, _ in found:
        (out / f"{case.name}-{case.number}").write_bytes(case.data())
    rows = [{"case": str(case), **asdict(verdict)} for case, verdict in found]
    (out / "findings.json").write_text(json.dumps(rows, indent=2))


def _case(text: str) -> Case:
    name, _, number = text.rpartition(":")
    if name not in seeds():
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(seeds())}, got {name!r}")
    return Case(name, int(number))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, and say with the exit code whether anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000, help="how many cases")
    parser.add_argument("--only", type=_case, help="this one: NAME:NUMBER")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--out", type=Path, help="folder for what was found")
    given = parser.parse_args(arguments)
    cases = all_cases(given.count) if given.only is None else [given.only]
    found = []
    with steps() as progress:
        for pair in verdicts(cases, jobs=given.jobs):
            found.append(pair)
            progress("fuzzing", len(found), len(cases))
    wrong = sorted((pair for pair in found if pair[1].finding), key=lambda pair: pair[0])
    if given.out is not None:
        _kept(wrong if given.only is None else found, given.out)
    print(*([table(found), listed(wrong)] if given.only is None else map(_told, found)), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
