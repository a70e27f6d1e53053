"""Does a change of the code change an answer? Two checkouts, more than 200 inputs made in code.

    python tools/compare_checkouts.py OLD NEW [--out DIR] [--python PY]

Both command lines get the same inputs in fresh processes. Labels, probabilities (to 1e-6),
decisions, reasons, study answers, which inputs are errors, manifests, metrics, counts and exit
codes have to be equal. Names listed in `comparison_answers.RENAMED` may differ, and the wording of
errors is only noted. Exit code 0: all equal; 1: not; 2: wrong use.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from comparison_answers import (
    Answer,
    Outcome,
    Reader,
    compare,
    manifest,
    numbers,
    read_lines,
    read_object,
)
from comparison_inputs import class_folders, inputs, write

_TIMEOUT_S = 600
_SHOWN_NOTES = 20


@dataclass(frozen=True, slots=True)
class Command:
    """One command line.

    Args:
        name: What to call it.
        arguments: After `slicewise`; `{out}` stands for the folder of the checkout's files.
        read: What of it is compared beside the exit code.
        evaluates: Whether it needs the extra `evaluate`.
    """

    name: str
    arguments: tuple[str, ...]
    read: Reader | None = None
    evaluates: bool = False


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout and how its command line is called.

    Args:
        folder: Where it lies.
        python: The interpreter that runs it.
        code: What runs its command line.
    """

    folder: Path
    python: Path
    code: str

    @classmethod
    def at(cls, folder: Path, python: Path) -> Checkout:
        """The checkout in a folder.

        Raises:
            ValueError: It declares no command `slicewise`, or another package would be run.
        """
        try:
            project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
            module, function = project["project"]["scripts"]["slicewise"].split(":")
        except (OSError, KeyError) as error:
            raise ValueError(f"{folder}: expected a checkout of SliceWise; {error!r}") from error
        code = f"import sys; from {module} import {function} as main; sys.exit(main())"
        found = cls(folder.absolute(), python, code)
        probe = found.run(["-c", "import slicewise; print(slicewise.__file__)"], folder)
        where = probe.stdout.strip()
        if not where or not Path(where).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{folder}: {python} runs another package: {where or probe.stderr}")
        return found

    def has(self, module: str) -> bool:
        """Whether its interpreter finds a module."""
        code = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({module!r}))"
        return self.run(["-c", code], self.folder).returncode == 0

    def run(self, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run its interpreter in a folder."""
        own = {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=folder,
            env={**os.environ, **own},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_TIMEOUT_S,
        )

    def answer(self, command: Command, folder: Path, out: str) -> tuple[Answer, float]:
        """The answer to a command, and the seconds that it took."""
        arguments = [argument.replace("{out}", out) for argument in command.arguments]
        answer, started = Answer(), time.perf_counter()
        try:
            done = self.run(["-c", self.code, *arguments], folder)
            traceback = "Traceback (most recent call last)" in done.stderr
            answer.add("process", {"exit code": done.returncode, "traceback": traceback})
            if command.read is not None:
                command.read(answer, done.stdout, folder / out)
        except subprocess.TimeoutExpired:
            answer.unreadable = f"stopped after {_TIMEOUT_S} s"
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            answer.unreadable = f"{error!r}; standard error ends with {done.stderr[-200:]!r}"
        return answer, time.perf_counter() - started


def commands(given: Sequence[str]) -> list[Command]:
    """What is run.

    Args:
        given: Paths of all inputs, in folders of which the first names the kind of input.
    """
    folders = dict.fromkeys(path.rsplit("/", 1)[0] for path in given if path.startswith("series/"))
    mixed = ["inputs/heads", *(f"inputs/{folder}" for folder in folders)]
    few = ["inputs/strange", *mixed[1:4]]
    single = [f"inputs/{p}" for p in given if p.startswith(("broken/", "names/", "dicom/"))]
    with_missing = (*single, "inputs/missing.png", "inputs/missing/")
    build = ("data", "build", "classes", "--skip", "unknown_class", "--out")
    patients = ("--pattern", r"(?P<patient>\d{3})", "--copies", "one", "--task", "binary")
    evaluation = ("--split", "all", "--allow-seen", "--resamples", "50", "--gallery", "0", "--json")
    return [
        Command("predict, folder", ("predict", "inputs", "--json"), read_object),
        Command("predict, one by one", ("predict", *with_missing, "--json"), read_object),
        Command("predict --tta", ("predict", *few, "--tta", "--json"), read_object),
        Command(
            "predict --threshold", ("predict", *mixed, "--threshold", "0.3", "--json"), read_object
        ),
        Command("predict --jsonl", ("predict", "inputs/archives", *few, "--jsonl"), read_lines),
        Command("predict, text", ("predict", "inputs/heads")),
        Command("predict, text, failures", ("predict", "inputs/broken")),
        Command("predict, missing path", ("predict", "inputs/missing.png")),
        Command("predict, missing bundle", ("predict", "inputs/heads", "--bundle", "missing")),
        Command("no arguments", ("predict",)),
        Command("empty path", ("predict", "")),
        Command("two forms", ("predict", "inputs/heads", "--json", "--jsonl")),
        Command("threshold out of range", ("predict", "inputs/heads", "--threshold", "2")),
        Command("unknown option", ("predict", "inputs/heads", "--nonsense")),
        Command("unknown command", ("nonsense",)),
        Command("--version", ("--version",)),
        Command("data build", (*build, "{out}/all.csv"), manifest("all.csv")),
        Command("data build, options", (*build, "{out}/some.csv", *patients), manifest("some.csv")),
        Command("data build, unknown class", ("data", "build", "classes", "--out", "{out}/x.csv")),
        Command("data build, missing", ("data", "build", "missing", "--out", "{out}/x.csv")),
        Command("data stats", ("data", "stats", "{out}/all.csv"), numbers("all.stats.json")),
        Command("data stats, verify", ("data", "stats", "{out}/all.csv", "--mode", "verify")),
        Command("data phantom", ("data", "phantom", "{out}/phantom", "--size", "64")),
        Command(
            "data audit",
            ("data", "audit", "classes", "--skip", "unknown_class", "--out", "{out}", "--json"),
            numbers("audit.json"),
            evaluates=True,
        ),
        Command(
            "evaluate",
            ("evaluate", "{out}/all.csv", "--out", "{out}", *evaluation),
            numbers("metrics.json"),
            evaluates=True,
        ),
        Command(
            "evaluate, missing", ("evaluate", "{out}/no.csv", "--out", "{out}"), evaluates=True
        ),
    ]


def compared(
    checkouts: tuple[Checkout, Checkout], wanted: Sequence[Command], folder: Path
) -> dict[str, Outcome]:
    """Run commands in both checkouts, side by side, and print a line on each.

    Args:
        checkouts: The old one and the new one.
        wanted: What to run.
        folder: Where the inputs lie and the commands run.
    """
    outcomes = {}
    evaluates = all(c.has(module) for c in checkouts for module in ("matplotlib", "sklearn"))
    print(f"{'command':<26} {'entries':>7} {'equal':>6} {'different':>9} {'old s':>6} {'new s':>6}")
    with ThreadPoolExecutor(2) as pool:
        for command in wanted:
            if command.evaluates and not evaluates:
                print(f"{command.name:<26} skipped: the extra 'evaluate' is not installed")
                continue
            sides = zip(checkouts, ("out_old", "out_new"), strict=True)
            runs = [pool.submit(c.answer, command, folder, out) for c, out in sides]
            (old, before_s), (new, after_s) = (run.result() for run in runs)
            outcome = outcomes[command.name] = compare(old, new)
            print(
                f"{command.name:<26} {len(old.entries):7} {outcome.equal:6} "
                f"{len(outcome.differences):9} {before_s:6.1f} {after_s:6.1f}",
                flush=True,
            )
    return outcomes


def show(outcomes: Mapping[str, Outcome]) -> None:
    """Print each difference with the names of all entries that have it, and the first notes."""
    alike: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        for d in outcome.differences:
            what = f"{name}: {d.field or 'entry'} {d.old!a} -> {d.new!a}"
            alike.setdefault(what, []).append(ascii(d.entry))
    for what, entries in alike.items():
        print(f"different, {what} in {len(entries)}: {', '.join(entries)}")
    notes = [f"note, {name}: {note}" for name, o in outcomes.items() for note in o.notes]
    for note in notes[:_SHOWN_NOTES]:
        print(note)
    if len(notes) > _SHOWN_NOTES:
        print(f"and {len(notes) - _SHOWN_NOTES} more notes")


def as_json(outcomes: Mapping[str, Outcome]) -> str:
    """All outcomes, in ASCII, whatever names hold."""
    return json.dumps({name: asdict(outcome) for name, outcome in outcomes.items()}, indent=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and say whether all is equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("old", type=Path, metavar="OLD", help="checkout before the change")
    parser.add_argument("new", type=Path, metavar="NEW", help="checkout after it")
    parser.add_argument("--out", type=Path, help="folder for differences.json")
    parser.add_argument("--python", default=sys.executable, help="interpreter that runs both")
    given = parser.parse_args(arguments)
    python = shutil.which(given.python)
    if python is None:
        parser.error(f"--python {given.python}: expected an interpreter")
    try:
        old, new = (Checkout.at(at, Path(python).absolute()) for at in (given.old, given.new))
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        made = inputs()
        write(made, Path(folder) / "inputs")
        write(class_folders(), Path(folder) / "classes")
        outcomes = compared((old, new), commands(list(made)), Path(folder))
    show(outcomes)
    if given.out is not None:
        (given.out / "differences.json").write_text(as_json(outcomes), encoding="utf-8")
    different = sum(len(outcome.differences) for outcome in outcomes.values())
    equal = sum(outcome.equal for outcome in outcomes.values())
    print(f"{len(made)} files as inputs: {equal} values equal, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
