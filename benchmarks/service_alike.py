"""Whether two answers to the same request say the same."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.service_load import Outcome

PROBABILITY = 1e-5
GREY_LEVELS = 1
_PICTURES = ("heatmap", "original")


@dataclass(slots=True)
class Differences:
    """What was found.

    Args:
        compared: Answers looked at.
        wrong: By what differs: how many answers.
        furthest: Largest difference of any probability.
        levels: Largest difference of any pixel of a picture, grey levels.
        examples: The first few, in words.
    """

    compared: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    furthest: float = 0.0
    levels: int = 0
    examples: list[str] = field(default_factory=list)

    def as_counts(self) -> dict[str, int]:
        """How many were compared, and how many differ in what."""
        return {"compared": self.compared, **dict(self.wrong)}


def differences(alone: Outcome, together: Outcome) -> Differences:
    """Compare every different answer under load with the one given alone.

    Answers that are the same to the last byte are one; each counts as often as it came.

    Args:
        alone: With one client; one answer a request.
        together: With many.
    """
    found = Differences()
    for name, answers in together.answers.items():
        expected = next(iter(alone.answers[name].values()))
        for digest, got in answers.items():
            times = together.times[name, digest]
            found.compared += times
            for what in _differs(expected, got, found):
                found.wrong[what] += times
                if len(found.examples) < 5:
                    found.examples.append(f"{name}: {what}")
    return found


def _differs(expected: tuple[int, str], got: tuple[int, str], found: Differences) -> set[str]:
    if expected[0] != got[0]:
        return {"status"}
    return set(_compare(json.loads(expected[1]), json.loads(got[1]), "", found))


def _compare(one: Any, other: Any, name: str, found: Differences) -> list[str]:
    """Names of the fields that differ by more than they may."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        inner = [_compare(one[key], other[key], _named(name, key), found) for key in one]
        return [what for some in inner for what in some]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        inner = [_compare(a, b, name, found) for a, b in zip(one, other, strict=True)]
        return [what for some in inner for what in some]
    if isinstance(one, float) and isinstance(other, float):
        found.furthest = max(found.furthest, abs(one - other))
        return [name] if abs(one - other) > PROBABILITY else []
    if name in _PICTURES and isinstance(one, str) and isinstance(other, str):
        apart = _levels_apart(one, other)
        found.levels = max(found.levels, apart)
        return [name] if apart > GREY_LEVELS else []
    return [] if one == other else [name]


def _named(name: str, key: str) -> str:
    """Class probabilities go by the name of the field that holds them."""
    return name if name in ("probabilities", "all_probabilities") else key


def _levels_apart(one: str, other: str) -> int:
    if one == other:
        return 0
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int)
        for text in (one, other)
    ]
    if pictures[0].shape != pictures[1].shape:
        return 255
    return int(np.abs(pictures[0] - pictures[1]).max())
