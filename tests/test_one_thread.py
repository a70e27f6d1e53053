"""scikit-learn works in one thread: its steps here are too short to share, so others only spin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_info, threadpool_limits

from slicewise.data.quality import shortcuts
from slicewise.data.quality.issues import unusual_appearance
from slicewise.data.quality.shortcuts import FEATURES
from slicewise.fitting.ood_fit import Seen, fit_ood_detector
from slicewise.imaging.appearance import APPEARANCE_NAMES

RANDOM = np.random.default_rng(0)


def numbers(rows: int, columns: int) -> np.ndarray:
    return RANDOM.normal(size=(rows, columns)).astype(np.float32)


def seen(shift: float) -> Seen:
    looks = numbers(60, len(APPEARANCE_NAMES))
    return Seen(numbers(60, 8) + shift, looks, np.repeat(["a", "b"], 30))


def probed() -> object:
    return shortcuts.probe(numbers(60, len(FEATURES)), ["a", "b"] * 30, np.arange(60), "class")


def most_threads() -> int:
    return max(library["num_threads"] for library in threadpool_info())


@pytest.mark.parametrize(
    ("model", "method", "work"),
    [
        (HistGradientBoostingClassifier, "fit", probed),
        (HistGradientBoostingClassifier, "predict", probed),
        (NearestNeighbors, "kneighbors", lambda: unusual_appearance(numbers(60, 9), range(60))),
        (LogisticRegression, "fit", lambda: fit_ood_detector(seen(0), seen(3))),
    ],
    ids=["probe, fit", "probe, answers", "neighbours", "out of distribution"],
)
def test_it_works_in_one_thread_and_leaves_others_theirs(
    monkeypatch, model: type, method: str, work: Callable[[], object]
) -> None:
    usual, used = getattr(model, method), []

    def counted(*given: object, **named: object) -> object:
        used.append(most_threads())
        return usual(*given, **named)

    monkeypatch.setattr(shortcuts, "_TREES", 2)
    monkeypatch.setattr(model, method, counted)
    with threadpool_limits(2):
        work()
        assert most_threads() == 2
    assert set(used) == {1}
