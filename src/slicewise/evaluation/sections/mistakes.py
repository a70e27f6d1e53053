"""Which mistakes are made: pairs of true and answered class, where they come from, how sure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from slicewise.arrays import Floats, Ints
from slicewise.predictions.table import PredictionTable

CONFIDENT = 0.9
"""Confidence from which on a wrong answer is called a confident one."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """One kind of mistake: the classes, its slices, and how many of them are confident."""

    true: str
    answered: str
    n: int
    groups: int
    share_of_true: float
    median_confidence: float
    confident: int
    sources: dict[str, int]


def error_analysis(table: PredictionTable) -> dict[str, Any]:
    """Mistakes and how sure right and wrong answers are, as `metrics.json` holds them.

    Returns:
        `mistakes`, from `confusions`; `confidence`: of `right` and `wrong` answers `n`, `p10`,
        `p50` and `p90` (None without a slice) and `confident`, how many are at least `CONFIDENT`.
    """
    right = table.predicted == table.targets
    spread = {"right": _spread(table.confidence[right]), "wrong": _spread(table.confidence[~right])}
    return {"confidence": spread, "mistakes": [asdict(pair) for pair in confusions(table)]}


def confusions(table: PredictionTable) -> list[Confusion]:
    """Every pair of true and answered class that occurs, the most frequent first."""
    pairs = Counter(zip(table.targets.tolist(), table.predicted.tolist(), strict=True))
    wrong = [(pair, count) for pair, count in pairs.items() if pair[0] != pair[1]]
    ranked = sorted(wrong, key=lambda item: (-item[1], item[0]))
    return [_confusion(table, true, answered) for (true, answered), _ in ranked]


def confident_errors(table: PredictionTable, most: int) -> Ints:
    """Rows of wrong answers, at most so many, the most confident first."""
    wrong = np.flatnonzero(table.predicted != table.targets)
    order = np.argsort(-table.confidence[wrong], kind="stable")
    return wrong[order][:most].astype(np.int64)


def _confusion(table: PredictionTable, true: int, answered: int) -> Confusion:
    mine = (table.targets == true) & (table.predicted == answered)
    sure = table.confidence[mine]
    return Confusion(
        true=table.classes[true],
        answered=table.classes[answered],
        n=int(mine.sum()),
        groups=int(np.unique(table.groups[mine]).size),
        share_of_true=float(mine.sum() / (table.targets == true).sum()),
        median_confidence=float(np.median(sure)),
        confident=int((sure >= CONFIDENT).sum()),
        sources=dict(sorted(Counter(table.sources[mine].tolist()).items())),
    )


def _spread(values: Floats) -> dict[str, Any]:
    found = np.quantile(values, [0.1, 0.5, 0.9]).tolist() if values.size else [None] * 3
    percentiles = dict(zip(("p10", "p50", "p90"), found, strict=True))
    return {"n": values.size, **percentiles, "confident": int((values >= CONFIDENT).sum())}
