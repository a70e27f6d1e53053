"""Copies are counted where they cross splits, sources and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_data import item
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.quality.copies import Sides, find_copies, leak_free, sides_of
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
    found = find_copies(items, prints("aabccd"), Sides(("",) * 6, ""))
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
    found = find_copies(items, prints("abcd"), Sides(("",) * 4, ""))
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
    found = find_copies(items, prints("abcdefg"), Sides(("",) * 7, ""))
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
    published = replace(one, found=replace(one.found, published_split="test"))
    assert sides_of([published, two], False).names == ("test", "")
    assert sides_of([item(0), item(1)], False).said == ""
