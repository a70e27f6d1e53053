"""Folds as hard boundaries: what crosses them is refused, dropped or moved."""

import pytest

from builders_data import item
from slicewise.data.build.boundaries import (
    boundary,
    inherit,
    kept_boundary,
    kept_splits,
    keys_of,
    split_names,
    within_folds,
)
from slicewise.data.build.config import BuildConfig
from slicewise.data.groups import Bond, group_names
from slicewise.errors import ConfigError, LeakageError, ManifestError

FOLDED = "(?P<fold>x)"
"""A pattern that gives folds."""


def config(**fields) -> BuildConfig:
    source = {"root": "x", "pattern": fields.pop("pattern", None)}
    return BuildConfig(sources=[source], **fields)


ITEMS = [
    item(0, fold="1", group="a"),
    item(1, fold="1", group="a"),
    item(2, fold="2", group="a"),
    item(3, fold="2", group="b"),
    item(4, fold="3", group="c", cluster="3"),
]


def test_what_speaks_for_belonging_together():
    kinds = {key.bond: key.name for key in keys_of(item(1, patient="7", group="g", fold="2"))}
    assert kinds == {Bond.COPIES: "1", Bond.PATIENT: "made:7", Bond.GROUP: "made:g"}
    assert keys_of(item(1, fold="2"))[-1].bond == Bond.FOLD
    assert keys_of(item(1, dicom="dicom_ab"))[-1].name == "dicom_ab"
    assert keys_of(item(1, index="3"))[-1].bond == Bond.VOLUME


def test_the_same_patient_number_elsewhere_is_somebody_else():
    here, there = item(1, patient="7"), item(2, patient="7", source="other")
    assert len(set(group_names([keys_of(here), keys_of(there)]))) == 2


def test_crossing_groups_are_refused():
    with pytest.raises(LeakageError, match=r"2 leak-free units.*1 x copies, 1 x group"):
        within_folds(ITEMS, config())


def test_crossing_slices_are_dropped():
    kept, dropped, moved = within_folds(ITEMS, config(on_conflict="drop", pattern=FOLDED))
    assert [i.cluster_name for i in kept] == ["0", "1", "3"]
    assert "in fold 2, but made:a is mostly in fold 1" in dropped[0].reason
    assert moved == 0


def test_crossing_groups_are_moved_whole():
    kept, dropped, moved = within_folds(ITEMS, config(on_conflict="move", pattern=FOLDED))
    assert [i.fold for i in kept] == ["1", "1", "1", "2", "2"]
    assert (dropped, moved) == ([], 2)


def test_what_was_left_out_goes_on_tying():
    kept = [item(0, patient="p"), item(1, cluster="7"), item(2, patient="q"), item(3)]
    chain = [item(7, cluster="7", patient="p"), item(8, cluster="8", patient="p", group="g")]
    end = item(9, cluster="8", source="other", patient="q")
    names = group_names([keys_of(i) for i in inherit(kept, [*chain, end])])
    assert names == ["patient:made:p", "patient:made:p", "patient:made:q", "copies:3"]
    other = item(2, patient="q", source="other")
    names = group_names([keys_of(i) for i in inherit([*kept[:2], other], [*chain, end])])
    assert set(names) == {"patient:made:p"}


def test_a_tie_through_a_slice_that_was_left_out_crosses_a_fold():
    kept = [item(0, patient="p", fold="1"), item(1, cluster="7", fold="2", group="b")]
    items = inherit(kept, [item(7, cluster="7", patient="p", fold="1")])
    with pytest.raises(LeakageError, match="1 x copies"):
        within_folds(items, config())


def test_without_folds_nothing_crosses():
    items = [item(0), item(1)]
    assert within_folds(items, config()) == (items, [], 0)
    with pytest.raises(ConfigError, match="expected slices with folds, got none"):
        split_names(items, ["a", "b"], config(pattern="(?P<fold>x)?", test_fold="1"))
    assert boundary(items, config()) == "70/15/15 by group, stratified by class and source, seed 42"


def test_published_splits_are_kept_and_validation_is_dealt():
    items = [item(i).in_fold("train" if i < 20 else "test") for i in range(25)]
    splits = split_names(items, [str(i) for i in range(25)], config(published_splits=True))
    assert splits[20:] == ["test"] * 5
    assert splits[:20].count("val") == 3
    with pytest.raises(ManifestError, match="expected every slice below"):
        split_names(items[:20], ["g"] * 20, config(published_splits=True))


def test_kept_splits_stay_and_groups_without_one_are_dealt():
    items = [item(i).in_fold("train" if i < 20 else "test") for i in range(25)]
    assert kept_splits(items, [str(i) for i in range(25)], 1) == ["train"] * 20 + ["test"] * 5
    assert kept_boundary(items, 1) == "as given (test, train)"
    more = [*items, *(item(25 + i) for i in range(40))]
    groups = [str(i) for i in range(25)] + [f"g{i // 2}" for i in range(40)]
    splits = kept_splits(more, groups, 1)
    assert splits[:25] == ["train"] * 20 + ["test"] * 5
    assert [splits[25:].count(name) for name in ("train", "val", "test")] == [28, 6, 6]
    assert splits[25::2] == splits[26::2]
    assert kept_boundary(more, 1).endswith("40 slices without one dealt 70/15/15 by group, seed 1")
