"""The nearest neighbour is found, and copies are recognised whatever their brightness."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from slicewise.errors import EvaluationError
from slicewise.evaluation import neighbour
from slicewise.evaluation.neighbour import nearest, neighbour_correct, thumbnail


def pictures(n, seed=0, side=96):
    rng = np.random.default_rng(seed)
    return rng.random((n, side, side // 2)).astype(np.float32)


def test_a_thumbnail_is_an_area_average_with_zero_mean_and_unit_length():
    pixels = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    blocks = pixels.reshape(32, 2, 32, 2).mean(axis=(1, 3)).ravel()
    expected = (blocks - blocks.mean()) / np.linalg.norm(blocks - blocks.mean())
    np.testing.assert_allclose(thumbnail(pixels), expected, atol=1e-5)


def test_brightness_and_contrast_drop_out():
    pixels = pictures(1)[0]
    np.testing.assert_allclose(thumbnail(pixels), thumbnail(300 * pixels + 40), atol=1e-4)


def test_a_flat_slice_resembles_nothing():
    assert not thumbnail(np.full((8, 8), 3.0, np.float32)).any()


def test_copies_find_their_original_over_several_blocks(monkeypatch):
    monkeypatch.setattr(neighbour, "BLOCK", 4)
    references = np.stack([thumbnail(p) for p in pictures(10)])
    queries = np.stack([thumbnail(2 * p + 1) for p in pictures(10)[::-1]])
    np.testing.assert_array_equal(nearest(queries, references), np.arange(10)[::-1])


def test_the_score_agrees_with_sklearn():
    references = np.stack([thumbnail(p) for p in pictures(60, seed=1)])
    queries = np.stack([thumbnail(p) for p in pictures(40, seed=2)])
    rng = np.random.default_rng(3)
    known, asked = rng.integers(0, 3, 60), rng.integers(0, 3, 40)
    model = KNeighborsClassifier(1).fit(references, known)
    correct = neighbour_correct(queries, asked, references, known)
    np.testing.assert_array_equal(correct, model.predict(queries) == asked)


def test_bad_arguments_are_refused():
    some = np.ones((3, 4), np.float32)
    with pytest.raises(EvaluationError, match="at least one training slice; got none"):
        nearest(some, np.zeros((0, 4), np.float32))
    with pytest.raises(EvaluationError, match=r"got \(3, 4\) and \(3, 5\)"):
        nearest(some, np.ones((3, 5), np.float32))
    with pytest.raises(EvaluationError, match="labels: expected shapes"):
        neighbour_correct(some, ["a"], some, ["a"] * 3)
    with pytest.raises(EvaluationError, match="finite"):
        thumbnail(np.full((4, 4), np.nan, np.float32))


def test_no_query_has_no_neighbour():
    assert nearest(np.zeros((0, 4), np.float32), np.ones((2, 4), np.float32)).size == 0
