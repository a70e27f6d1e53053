"""Splits: whole groups, wanted shares, the same for the same seed, and refused leaks."""

from collections import Counter

import numpy as np
import pytest

from slicewise.data.build.splits import SHARES, crossings, deal, named_folds, refuse
from slicewise.data.groups import Bond, Key
from slicewise.errors import ConfigError, LeakageError, ManifestError


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
        LeakageError, match=r"1 x patient\): a patient \(1 in 1, 1 in 2\)"
    ) as caught:
        refuse(crossings(keys, ["1", "2"]))
    assert "Doe" not in str(caught.value)


def test_crossings_name_the_fold_that_holds_most():
    copies, group, fold = Key(Bond.COPIES, "c"), Key(Bond.GROUP, "g"), Key(Bond.FOLD, "1")
    keys = [[copies, group], [copies], [copies], [group, fold]]
    found = crossings(keys, ["1", "2", "2", "1"])
    assert [(c.key, c.sides, c.home) for c in found] == [(copies, {"1": 1, "2": 2}, "2")]
    with pytest.raises(
        LeakageError, match=r"1 leak-free unit stands .*1 x copies.*c \(1 in 1, 2 in 2\)"
    ):
        refuse(found)
    refuse([])
