"""Counts by class, source and split; what makes patients known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from builders_data import item
from slicewise.data.groups import Bond, Key
from slicewise.data.quality.leakage import Sides, leak_free
from slicewise.data.quality.results import AuditResults, ClassCount, class_counts


def known_patients(*items) -> bool:
    """The property of findings on these slices alone."""
    return AuditResults.known_patients.fget(SimpleNamespace(items=items))


def test_slices_different_slices_and_groups_are_counted_apart():
    items = [
        item(0, patient="p"),
        item(1, patient="p"),
        item(2, patient="q", cluster="1"),
        item(3, label="no_tumor", source="other"),
    ]
    sides = Sides(("train", "train", "train", ""), "folders")
    assert class_counts(items, sides, leak_free(items)) == [
        ClassCount("glioma", "made", "train", slices=3, distinct=2, groups=1),
        ClassCount("no_tumor", "other", "", slices=1, distinct=1, groups=1),
    ]


def test_a_count_calls_its_label_a_class():
    written = ClassCount("glioma", "made", "", 1, 1, 1).as_json()
    assert list(written) == ["class", "source", "split", "slices", "distinct", "groups"]


def test_patients_are_known_where_more_than_copies_ties_every_slice():
    assert known_patients(item(0, patient="p"), item(1, group="g"), item(2, index="3"))
    assert not known_patients(item(0, patient="p"), item(1))
    by_copies = replace(item(0), inherited=(Key(Bond.GROUP, "copies:ab"),))
    assert not known_patients(by_copies)
