"""Memory is scored on the split that there is, with and without a slice's own group."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.quality.copies import Sides
from slicewise.data.quality.memorisation import memorisation


def thumbs(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([thumbnail(rng.random((40, 40)).astype(np.float32)) for _ in range(n)])


def test_copies_in_training_give_a_perfect_score_that_vanishes_without_them():
    base = thumbs(40)
    labels = ["a", "b"] * 20
    twice = np.concatenate([base, base])
    groups = np.tile(np.arange(40), 2)
    sides = Sides(("train",) * 40 + ("test",) * 40, "the folders")
    found = memorisation(twice, labels * 2, groups, sides)
    assert found is not None
    assert found.accuracy.value == 1
    assert found.grouped.value == pytest.approx(0.5, abs=0.25)
    assert found.majority.value == 0.5
    np.testing.assert_array_equal(found.neighbours, np.arange(40))


def test_without_a_split_a_fifth_is_drawn_at_random_and_said():
    sides = Sides(("",) * 50, "")
    one = memorisation(thumbs(50), ["a"] * 50, np.arange(50), sides)
    two = memorisation(thumbs(50), ["a"] * 50, np.arange(50), sides)
    assert one is not None
    assert two is not None
    assert len(one.test) == 10
    assert not set(one.train) & set(one.test)
    assert one.test.tolist() == two.test.tolist()
    assert "random 80/20" in one.split


def test_folds_hold_out_the_first():
    sides = Sides(("1",) * 5 + ("2",) * 5 + ("3",) * 5, "the folds given")
    found = memorisation(thumbs(15), ["a"] * 15, np.arange(15), sides)
    assert found is not None
    assert found.test.tolist() == [0, 1, 2, 3, 4]


def test_a_flat_test_slice_is_answered_wrong():
    """It resembles nothing, so it does not get the label of whichever slice comes first."""
    flat = thumbnail(np.full((40, 40), 0.1, np.float32))
    known = thumbs(4)
    sides = Sides(("train",) * 4 + ("test",) * 2, "the folders")
    found = memorisation(np.stack([*known, flat, known[3]]), ["a"] * 6, np.arange(6), sides)
    assert found is not None
    assert found.neighbours.tolist() == [-1, 3]
    assert (found.accuracy.value, found.grouped.value) == (0.5, 0.5)


def test_one_slice_cannot_be_split():
    assert memorisation(thumbs(1), ["a"], np.arange(1), Sides(("",), "")) is None


def test_slices_without_a_fold_are_no_fold():
    sides = Sides(("",) * 5 + ("1",) * 5 + ("2",) * 5, "the folds given")
    found = memorisation(thumbs(15), ["a"] * 15, np.arange(15), sides)
    assert found is not None
    assert found.test.tolist() == [5, 6, 7, 8, 9]
    assert found.train.tolist() == [10, 11, 12, 13, 14]
    assert "slices without a split take no part" in found.split


def test_one_side_and_slices_without_one_are_no_split():
    sides = Sides(("",) * 10 + ("train",) * 40, "the folders")
    found = memorisation(thumbs(50), ["a"] * 50, np.arange(50), sides)
    assert found is not None
    assert len(found.test) == 10
    assert "random 80/20" in found.split
    assert found.split.endswith("since the folders name train only")
