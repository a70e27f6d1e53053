"""Which mistakes are made: pairs of true and answered class, where they come from, how sure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from slicewise.arrays import Bools, Floats, Ints
from slicewise.predictions.table import PredictionTable

CONFIDENT = 0.9
"""Confidence from which on a wrong answer is called a confident one."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """One kind of mistake.

    Args:
        share_of_true: Share of all slices of the true class.
        confident: How many of them are at least `CONFIDENT`.
    """

    true: str
    answered: str
    n: int
    groups: int
    share_of_true: float
    median_confidence: float
    confident: int
    sources: dict[str, int]


def confusions(table: PredictionTable) -> list[Confusion]:
    """Every pair of true and answered class that occurs, the most frequent first."""
    pairs = Counter(
        (int(true), int(said))
        for true, said in zip(table.targets, table.predicted, strict=True)
        if true != said
    )
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [_confusion(table, true, said) for (true, said), _ in ranked]


def confident_errors(table: PredictionTable, most: int) -> Ints:
    """Rows of wrong answers, at most so many, the most confident first."""
    wrong = np.flatnonzero(table.predicted != table.targets)
    order = np.argsort(-table.confidence[wrong], kind="stable")
    return wrong[order][:most].astype(np.int64)


def confidence_spread(table: PredictionTable) -> dict[str, Any]:
    """How sure right and wrong answers are: number, 10th, 50th and 90th percentile.

    Returns:
        `right` and `wrong`, each with `n`, `p10`, `p50`, `p90` (None without a slice) and
        `confident`, how many are at least `CONFIDENT`.
    """
    right, sure = table.predicted == table.targets, table.confidence
    return {"right": _spread(sure, right), "wrong": _spread(sure, ~right)}


def patterns(table: PredictionTable) -> dict[str, Any]:
    """Both of them, as `metrics.json` holds them."""
    pairs = [asdict(pair) for pair in confusions(table)]
    return {"confidence": confidence_spread(table), "mistakes": pairs}


def _confusion(table: PredictionTable, true: int, said: int) -> Confusion:
    mine = (table.targets == true) & (table.predicted == said)
    sure = table.confidence[mine]
    return Confusion(
        true=table.classes[true],
        answered=table.classes[said],
        n=int(mine.sum()),
        groups=int(np.unique(table.groups[mine]).size),
        share_of_true=float(mine.sum() / (table.targets == true).sum()),
        median_confidence=float(np.median(sure)),
        confident=int((sure >= CONFIDENT).sum()),
        sources=dict(sorted(Counter(table.sources[mine].tolist()).items())),
    )


def _spread(sure: Floats, chosen: Bools) -> dict[str, Any]:
    values = sure[chosen]
    names = ("p10", "p50", "p90")
    found = np.quantile(values, [0.1, 0.5, 0.9]).tolist() if values.size else [None] * len(names)
    confident = int((values >= CONFIDENT).sum())
    return {"n": int(values.size), **dict(zip(names, found, strict=True)), "confident": confident}
