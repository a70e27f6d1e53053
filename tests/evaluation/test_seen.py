"""The score of copying agrees with an independent nearest neighbour."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.errors import EvaluationError
from slicewise.evaluation.seen import neighbour_correct


def pictures(n, seed=0, side=96):
    rng = np.random.default_rng(seed)
    return rng.random((n, side, side // 2)).astype(np.float32)


def test_the_score_agrees_with_sklearn():
    references = np.stack([thumbnail(p) for p in pictures(60, seed=1)])
    queries = np.stack([thumbnail(p) for p in pictures(40, seed=2)])
    rng = np.random.default_rng(3)
    known, asked = rng.integers(0, 3, 60), rng.integers(0, 3, 40)
    model = KNeighborsClassifier(1).fit(references, known)
    correct = neighbour_correct(queries, asked, references, known)
    np.testing.assert_array_equal(correct, model.predict(queries) == asked)


def test_a_picture_without_contrast_copies_from_nobody():
    references = np.stack([thumbnail(p) for p in pictures(3)])
    queries = np.stack([np.zeros_like(references[0]), references[1]])
    correct = neighbour_correct(queries, ["a", "a"], references, ["a"] * 3)
    assert correct.tolist() == [False, True]


def test_bad_arguments_are_refused():
    some = np.ones((3, 4), np.float32)
    with pytest.raises(EvaluationError, match="labels: expected shapes"):
        neighbour_correct(some, ["a"], some, ["a"] * 3)
