"""What one command answered, for `compare_checkouts.py`: how it is read and compared."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

RENAMED = {
    "unlike_training": "possibly_out_of_distribution",
    "far_from_known": "out_of_distribution",
}
"""Names of JSON fields, table columns and reasons: the old one, and what it is called now."""

IGNORED = frozenset(("timing_ms", "heatmap", "bundle"))
"""Fields that differ from run to run, or name the model and not the answer."""

TOLERANCE = 1e-6


@dataclass(slots=True)
class Answer:
    """What one command gave.

    Args:
        entries: Values by name: one entry a prediction, error, row or file of numbers.
        wording: Texts by name, which may change.
        unreadable: Why its output could not be read; None where it could.
    """

    entries: dict[str, Any] = field(default_factory=dict)
    wording: dict[str, str] = field(default_factory=dict)
    unreadable: str | None = None

    def add(self, name: str, value: Any) -> None:
        """Put in an entry; a name that was met before is numbered."""
        numbered = (name if n == 1 else f"{name} (no. {n})" for n in count(1))
        self.entries[next(free for free in numbered if free not in self.entries)] = value


Reader = Callable[[Answer, str, Path], None]
"""Fills an answer from standard output and the folder that the command wrote to."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not equal."""

    entry: str
    field: str
    old: Any
    new: Any


@dataclass(slots=True)
class Outcome:
    """What comparing two answers found: how many values are equal, and which are not."""

    equal: int = 0
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_object(answer: Answer, stdout: str, _out: Path) -> None:
    """From `predict --json`: predictions, studies and errors by source."""
    for kind, items in json.loads(stdout).items():
        for item in items:
            _add_result(answer, kind, item)


def read_lines(answer: Answer, stdout: str, _out: Path) -> None:
    """From `predict --jsonl`; the keys tell what a line is."""
    for line in stdout.removesuffix("\n").split("\n"):  # a name may hold other line ends
        item = json.loads(line)
        kind = "errors" if "error" in item else "studies" if "study" in item else "predictions"
        _add_result(answer, kind, item)


def _add_result(answer: Answer, kind: str, item: Mapping[str, Any]) -> None:
    name = f"{kind} {item['source']}"
    if kind == "errors":
        answer.add(name, {"is an error": True})
        answer.wording[f"error of {item['source']}"] = item["error"]
        return
    answer.add(name, {key: value for key, value in item.items() if key != "source"})
    answer.wording["bundle"] = " ".join(map(str, item.get("bundle", {}).values()))


def manifest(file: str) -> Reader:
    """Reads a manifest and what was left out of it: rows by path."""

    def read(answer: Answer, _stdout: str, out: Path) -> None:
        for row in _rows(out / file):
            answer.add(f"row {row['path']}", row)
        for row in _rows((out / file).with_suffix(".excluded.csv")):
            answer.wording[f"why {row['path']} was left out"] = row.pop("reason")
            answer.add(f"left out {row['path']}", row)

    return read


def _rows(table: Path) -> list[dict[str, str]]:
    text = table.read_text(encoding="utf-8", errors="surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def numbers(file: str) -> Reader:
    """Reads the numbers of a JSON file; of texts and lists of them, only how many there are."""

    def read(answer: Answer, _stdout: str, out: Path) -> None:
        content = json.loads((out / file).read_text(encoding="utf-8"))
        found = {
            key: value for key, value in leaves(renamed(content)) if not isinstance(value, str)
        }
        answer.add(file, {k: len(v) if isinstance(v, list) else v for k, v in found.items()})

    return read


def renamed(value: Any) -> Any:
    """A value with the new names for old ones; a new name that is there already stands."""
    if isinstance(value, Mapping):
        old = {RENAMED[key]: renamed(part) for key, part in value.items() if key in RENAMED}
        return old | {key: renamed(part) for key, part in value.items() if key not in RENAMED}
    if isinstance(value, list):
        return [renamed(part) for part in value]
    return RENAMED.get(value, value) if isinstance(value, str) else value


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers, texts and lists of texts in a value, each with the keys that lead to it."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key == "study" and value.get("decision") == "reject":
                # Since 0.2.0 the count of a rejected series is that of its slices.
                part = {name: one for name, one in part.items() if name != "slices_flagged"}
            if key not in IGNORED:
                yield from leaves(part, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list) and not all(isinstance(part, str) for part in value):
        yield f"{where}.length", len(value)
        for index, part in enumerate(value):
            yield from leaves(part, f"{where}.{index}")
    else:
        yield where, value


def same(old: Any, new: Any) -> bool:
    """Whether two leaves are equal; numbers to the tolerance."""
    kinds = {type(old), type(new)}
    if kinds <= {int, float}:
        return math.isclose(old, new, rel_tol=0, abs_tol=TOLERANCE)
    return bool(old == new and len(kinds) == 1)


def compare(old: Answer, new: Answer) -> Outcome:
    """What is equal in two answers and what is not."""
    outcome = Outcome()
    if old.unreadable or new.unreadable:
        unread = (old.unreadable or "readable", new.unreadable or "readable")
        outcome.differences.append(Difference("output", "", *unread))
    for name in dict.fromkeys((*old.entries, *new.entries)):
        if name in old.entries and name in new.entries:
            _compare_entry(name, old.entries[name], new.entries[name], outcome)
        else:
            there = ("there" if name in answer.entries else "missing" for answer in (old, new))
            outcome.differences.append(Difference(name, "", *there))
    if set(old.entries) == set(new.entries) and list(old.entries) != list(new.entries):
        outcome.notes.append("the entries come in another order")
    for name in (name for name in old.wording if name in new.wording):
        if old.wording[name] != new.wording[name]:
            change = f"{old.wording[name]!a} -> {new.wording[name]!a}"
            outcome.notes.append(f"wording, {name!a}: {change}")
    return outcome


def _compare_entry(name: str, old: Any, new: Any, outcome: Outcome) -> None:
    before, after = dict(leaves(renamed(old))), dict(leaves(renamed(new)))
    for key, value in before.items():
        if key in after and same(value, after[key]):
            outcome.equal += 1
        else:
            outcome.differences.append(Difference(name, key, value, after.get(key, "missing")))
    added = [f"new field: {key}" for key in after if key not in before]
    outcome.notes += [note for note in added if note not in outcome.notes]
