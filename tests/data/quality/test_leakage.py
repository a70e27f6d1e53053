"""Copies are counted where they cross splits, sources and labels; memory is scored on the split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_data import item
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.quality.leakage import (
    Sides,
    find_copies,
    leak_free,
    memorisation,
    sides_of,
)
from slicewise.stats.intervals import wilson


def prints(names):
    """Fingerprints whose digests are equal where the names are."""
    digests = np.array([[ord(name)] * 16 for name in names], np.uint8)
    empty = np.zeros((len(names), 56, 56), np.uint8)
    return Fingerprints(empty, np.zeros((len(names), 4), np.float16), digests)


def made(clusters, labels="g" * 9, sources="s" * 9):
    return [
        item(i, label=labels[i], source=sources[i], cluster=str(cluster))
        for i, cluster in enumerate(clusters)
    ]


def test_exact_and_near_groups_are_told_apart():
    items = made([0, 0, 0, 3, 3, 5])
    found = find_copies(items, prints("aabccd"), Sides(("",) * 6, None))
    assert found.exact == [[0, 1], [3, 4]]
    assert found.near == [[0, 1, 2]]
    assert found.distinct == 3


def test_copies_are_counted_in_both_directions():
    items = made([0, 0, 0, 3, 4])
    sides = Sides(("train", "test", "test", "test", "train"), "folders")
    found = find_copies(items, prints("abcde"), sides)
    counts = {(one.side, one.other): (len(one.hits), one.n) for one in found.cross_split}
    assert counts == {("test", "train"): (2, 3), ("train", "test"): (1, 2)}
    test = next(one for one in found.cross_split if one.side == "test")
    assert test.hits == [1, 2]
    assert test.share.value == 2 / 3


def test_slices_without_a_split_take_no_part():
    found = find_copies(made([0, 0, 0]), prints("abc"), Sides(("train", "test", ""), "folders"))
    assert {(one.side, one.n) for one in found.cross_split} == {("train", 1), ("test", 1)}


def test_labels_that_contradict_each_other_and_sources_that_share():
    items = made([0, 0, 2, 2], labels="gmgg", sources="abab")
    found = find_copies(items, prints("abcd"), Sides(("",) * 4, None))
    assert found.conflicts == [[0, 1]]
    assert {(one.side, one.other, len(one.hits)) for one in found.cross_source} == {
        ("a", "b", 2),
        ("b", "a", 2),
    }


def test_a_tumor_of_an_untold_type_contradicts_no_type():
    labels = ["tumor", "glioma", "tumor", "glioma", "meningioma", "tumor", "no_tumor"]
    items = [
        item(i, label=label, cluster=str(cluster))
        for i, (label, cluster) in enumerate(zip(labels, [0, 0, 2, 2, 2, 5, 5], strict=True))
    ]
    found = find_copies(items, prints("abcdefg"), Sides(("",) * 7, None))
    assert found.conflicts == [[3, 4], [5, 6]]


def test_a_patient_on_both_sides_is_a_torn_unit_without_copies():
    items = [item(i, patient="p", cluster=str(i)) for i in range(2)]
    found = find_copies(items, prints("ab"), Sides(("train", "test"), "folds"))
    assert found.torn == {"patient": 1}
    assert leak_free(items).tolist() == [0, 0]


def test_intervals_of_crossing_copies_resample_patients():
    """Eight slices with a copy are two patients: Wilson over two groups, not over eight."""
    items = [
        item(i, patient=f"p{i % 2}", cluster=str(i % 8), source="ab"[i // 8]) for i in range(16)
    ]
    sides = Sides(("train",) * 8 + ("test",) * 8, "folds")
    found = find_copies(items, prints("abcdefghijklmnop"), sides)
    for one in (*found.cross_split, *found.cross_source):
        assert one.share.ci_low == pytest.approx(wilson(2, 2).ci_low)


def test_published_folders_come_before_folds():
    one, two = item(0, fold="1"), item(1, fold="2")
    assert sides_of([one, two], False) == Sides(("1", "2"), "the folds given")
    published = replace(one, published_split="test")
    assert sides_of([published, two], False).names == ("test", "")
    assert sides_of([item(0), item(1)], False).origin is None


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
    sides = Sides(("",) * 50, None)
    one = memorisation(thumbs(50), ["a"] * 50, np.arange(50), sides)
    two = memorisation(thumbs(50), ["a"] * 50, np.arange(50), sides)
    assert one is not None
    assert two is not None
    assert len(one.test) == 10
    assert not set(one.train) & set(one.test)
    assert one.test.tolist() == two.test.tolist()
    assert "random 80/20" in one.split
    assert (one.as_json()["n_train"], one.as_json()["n_test"]) == (40, 10)


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
    assert memorisation(thumbs(1), ["a"], np.arange(1), Sides(("",), None)) is None


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
