"""Splits: whole groups, wanted shares, the same for the same seed; no group crosses a fold."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from builders_data import item
from slicewise.data.build.config import BuildConfig
from slicewise.data.build.splits import (
    SHARES,
    boundary,
    crossings,
    deal,
    homes,
    inherit,
    named_folds,
    refuse,
    split_names,
    within_folds,
)
from slicewise.data.groups import Bond, Key, group_names
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


def cohort(seed=0, groups=120):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, groups)
    names = np.repeat([f"g{i}" for i in range(groups)], sizes).tolist()
    labels = np.repeat(rng.choice(["a", "b", "c"], groups, p=[0.6, 0.3, 0.1]), sizes).tolist()
    sources = np.repeat(rng.choice(["x", "y"], groups), sizes).tolist()
    return names, labels, sources


def test_groups_stay_whole_and_classes_have_their_share():
    names, labels, sources = cohort()
    splits = deal(names, labels, sources, shares=SHARES, seed=42)
    assert len({(n, s) for n, s in zip(names, splits, strict=True)}) == len(set(names))
    for label in "abc":
        counts = Counter(s for s, own in zip(splits, labels, strict=True) if own == label)
        for split, share in SHARES.items():
            assert counts[split] / counts.total() == pytest.approx(share, abs=0.04)


def test_the_seed_decides():
    given = cohort()
    first = deal(*given, shares=SHARES, seed=42)
    assert deal(*given, shares=SHARES, seed=42) == first
    assert deal(*given, shares=SHARES, seed=1) != first


def test_the_order_of_rows_does_not_matter():
    names, labels, sources = cohort()
    there = dict(zip(names, deal(names, labels, sources, shares=SHARES, seed=42), strict=True))
    back = (names[::-1], labels[::-1], sources[::-1])
    assert dict(zip(back[0], deal(*back, shares=SHARES, seed=42), strict=True)) == there


def test_folds_by_name_and_by_default():
    folds = ["1", "2", "4", "4"]
    assert named_folds(folds, None, None) == ["test", "val", "train", "train"]
    assert named_folds(folds, "4", None) == ["val", "train", "test", "test"]
    assert named_folds(folds, None, "1") == ["val", "test", "train", "train"]
    assert named_folds(folds, "1", "4") == ["test", "train", "val", "val"]


@pytest.mark.parametrize(
    ("folds", "test", "val", "message"),
    [
        (["1", "2"], None, None, "at least three"),
        (["1", "2", "3", ""], None, None, "a fold for every slice"),
    ],
)
def test_bad_folds_are_refused(folds, test, val, message):
    with pytest.raises(ManifestError, match=message):
        named_folds(folds, test, val)


def test_two_folds_will_do_where_both_are_named():
    folds = ["report", "development"]
    assert named_folds(folds, "report", "development") == ["test", "val"]
    assert named_folds(["val", "test"], None, None) == ["val", "test"]
    with pytest.raises(ManifestError, match="at least three"):
        named_folds(folds, "report", None)


def test_folds_named_like_splits_are_these_splits():
    folds = ["train", "val", "test"]
    assert named_folds(folds, None, None) == ["train", "val", "test"]
    assert named_folds(["a", "b", "train"], None, None) == ["test", "val", "train"]
    assert named_folds(["a", "b", "val"], None, None) == ["test", "train", "val"]
    assert named_folds(["a", "test", "train"], None, None) == ["val", "test", "train"]


@pytest.mark.parametrize(
    ("folds", "test", "val", "message"),
    [
        (["1", "2", "3"], "9", None, "fold '9': expected one of 1, 2, 3"),
        (["1", "2", "3"], "2", "2", "cannot be both"),
        (["train", "val", "test"], "train", None, "fold 'train' cannot be test"),
        (["train", "val", "a"], None, "a", "fold 'a' cannot be val"),
    ],
)
def test_folds_that_are_not_there_or_mean_another_split(folds, test, val, message):
    with pytest.raises(ConfigError, match=message):
        named_folds(folds, test, val)


def test_a_crossing_patient_is_not_named():
    keys = [[Key(Bond.PATIENT, "made:Doe-7")]] * 2
    with pytest.raises(
        LeakageError, match=r"1 x patient\): a patient \(1 in fold 1, 1 in fold 2\)"
    ) as caught:
        refuse(crossings(keys, ["1", "2"]))
    assert "Doe" not in str(caught.value)


def test_crossings_name_the_fold_that_holds_most():
    copies, group, fold = Key(Bond.COPIES, "c"), Key(Bond.GROUP, "g"), Key(Bond.FOLD, "1")
    keys = [[copies, group], [copies], [copies], [group, fold]]
    found = crossings(keys, ["1", "2", "2", "1"])
    assert [(c.key, c.sides, c.home) for c in found] == [(copies, {"1": 1, "2": 2}, "2")]
    with pytest.raises(
        LeakageError,
        match=r"1 leak-free unit stands .*1 x copies.*c\.\.\. \(1 in fold 1, 2 in fold 2\)",
    ):
        refuse(found)
    refuse([])


def test_what_speaks_for_belonging_together():
    kinds = {key.bond: key.name for key in item(1, patient="7", group="g", fold="2").keys}
    assert kinds == {Bond.COPIES: "1", Bond.PATIENT: "made:7", Bond.GROUP: "made:g"}
    assert item(1, fold="2").keys[-1].bond == Bond.FOLD
    assert item(1, dicom="dicom_ab").keys[-1].name == "dicom_ab"
    assert item(1, index="3").keys[-1].bond == Bond.VOLUME


def test_the_same_patient_number_elsewhere_is_somebody_else():
    here, there = item(1, patient="7"), item(2, patient="7", source="other")
    assert len(set(group_names([here.keys, there.keys]))) == 2


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
    names = group_names([i.keys for i in inherit(kept, [*chain, end])])
    assert names == ["patient:made:p", "patient:made:p", "patient:made:q", "copies:3"]
    other = item(2, patient="q", source="other")
    names = group_names([i.keys for i in inherit([*kept[:2], other], [*chain, end])])
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
    items = [replace(item(i), fold="train" if i < 20 else "test") for i in range(25)]
    splits = split_names(items, [str(i) for i in range(25)], config(published_splits=True))
    assert splits[20:] == ["test"] * 5
    assert splits[:20].count("val") == 3
    with pytest.raises(ManifestError, match="expected every slice below"):
        split_names(items[:20], ["g"] * 20, config(published_splits=True))


def test_kept_splits_stay_and_groups_without_one_are_dealt():
    items = [replace(item(i), fold="train" if i < 20 else "test") for i in range(25)]
    groups = [str(i) for i in range(25)]
    rules = config(seed=1)
    assert split_names(items, groups, rules, keep=True) == ["train"] * 20 + ["test"] * 5
    assert boundary(items, rules, keep=True) == "as given (test, train)"
    more = [*items, *(item(25 + i) for i in range(40))]
    splits = split_names(more, [*groups, *(f"g{i // 2}" for i in range(40))], rules, keep=True)
    assert splits[:25] == ["train"] * 20 + ["test"] * 5
    assert [splits[25:].count(name) for name in ("train", "val", "test")] == [28, 6, 6]
    assert splits[25::2] == splits[26::2]
    said = boundary(more, rules, keep=True)
    assert said.endswith("40 slices without one dealt 70/15/15 by group, seed 1")


def test_a_unit_is_at_home_where_most_of_it_is():
    places = [("a", "2"), ("a", "1"), ("a", "2"), ("b", "2"), ("b", "1")]
    assert homes(places) == {"a": "2", "b": "1"}
