"""Which slices are held out: by a column, or by dealing groups."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import TrainingError
from slicewise.training.crossval.fold_split import fold_names, held_out, read_with_folds


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    return write_heads(tmp_path, groups=9, per_group=1)


def groups_of(manifest: Manifest, split: str) -> set[str]:
    return {row.group for row in manifest.subset(split).rows}


@pytest.mark.parametrize("fold", ["a", "b", "c"])
def test_one_fold_is_the_test_split(tmp_path, manifest, fold):
    split = held_out(run_config(tmp_path, folds={"validation_share": 0.2}), manifest, fold)
    assert {row.extra["fold"] for row in split.subset("test").rows} == {fold}
    assert len(split.subset("test").rows) == 12
    assert [row.path for row in split.rows] == [row.path for row in manifest.rows]
    parts = [groups_of(split, name) for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 36


def test_validation_has_about_its_share_of_every_class(tmp_path):
    manifest = write_heads(tmp_path, groups=12, per_group=1)
    split = held_out(run_config(tmp_path, folds={"validation_share": 0.25}), manifest, "a")
    counts = dict.fromkeys(FOUR_CLASS.classes, 0)
    for row in split.subset("val").rows:
        counts[row.label] += 1
    assert set(counts.values()) == {2}


def test_validation_groups_depend_on_the_seed_alone(tmp_path, manifest):
    def chosen(seed: int, rows: Manifest) -> set[str]:
        return groups_of(held_out(run_config(tmp_path, seed=seed), rows, "a"), "val")

    shuffled = replace(manifest, rows=manifest.rows[::-1])
    assert chosen(1, manifest) == chosen(1, shuffled)
    assert len({frozenset(chosen(seed, manifest)) for seed in range(5)}) > 1


def test_nothing_is_held_out_for_the_final_model(tmp_path, manifest):
    split = held_out(run_config(tmp_path), manifest, None)
    assert {row.split for row in split.rows} == {"train", "val"}


def test_slices_of_an_untold_type_choose_no_validation_group(tmp_path, manifest):
    untold = tuple(
        replace(row, label="tumor") if row.label == "pituitary" else row for row in manifest.rows
    )
    split = held_out(run_config(tmp_path), replace(manifest, rows=untold), None)
    assert "val" in {row.split for row in split.rows if row.label == "glioma"}
    assert {row.split for row in split.rows if row.label == "tumor"} == {"train"}


def test_folds_are_those_of_the_column(tmp_path, manifest):
    assert fold_names(run_config(tmp_path), manifest) == ["a", "b", "c"]
    with pytest.raises(TrainingError, match=r"folds.column 'site': .*none. Give folds.count"):
        fold_names(run_config(tmp_path, folds={"column": "site"}), manifest)
    rows = tuple(replace(row, extra={"fold": "a"}) for row in manifest.rows)
    with pytest.raises(TrainingError, match=r"at least two folds; got a"):
        fold_names(run_config(tmp_path), replace(manifest, rows=rows))


@pytest.fixture
def unfolded(tmp_path) -> Manifest:
    """Nine groups of each class with one or two slices, without folds."""
    manifest = write_heads(tmp_path, groups=9, per_group=1)
    rows = tuple(replace(row, extra={}) for row in manifest.rows)
    twice = tuple(replace(row, path=f"copy/{row.path}") for row in rows if row.group[-1] in "135")
    manifest = replace(manifest, rows=rows + twice)
    manifest.write(tmp_path / "manifest.csv")
    return manifest


def dealt(folder, **folds) -> Manifest:
    return read_with_folds(run_config(folder, folds=folds))


def test_whole_groups_are_dealt_with_every_class_in_every_fold(tmp_path, unfolded):
    manifest = dealt(tmp_path, count=4)
    assert fold_names(run_config(tmp_path, folds={"count": 4}), manifest) == list("1234")
    homes: dict[str, set[str]] = {}
    for row in manifest.rows:
        homes.setdefault(row.group, set()).add(row.extra["fold"])
    assert all(len(found) == 1 for found in homes.values())
    for label in FOUR_CLASS.classes:
        counts = [
            sum(row.label == label and row.extra["fold"] == fold for row in manifest.rows)
            for fold in "1234"
        ]
        assert sum(counts) == 12
        assert set(counts) == {3}


def test_the_seed_alone_deals_the_folds(tmp_path, unfolded):
    def folds_of(seed: int) -> dict[str, str]:
        rows = read_with_folds(run_config(tmp_path, seed=seed, folds={"count": 3})).rows
        return {row.path: row.extra["fold"] for row in rows}

    first = folds_of(1)
    replace(unfolded, rows=unfolded.rows[::-1]).write(tmp_path / "manifest.csv")
    assert folds_of(1) == first
    assert folds_of(2) != first


def test_a_dealt_fold_is_held_out(tmp_path, unfolded):
    config = run_config(tmp_path, folds={"count": 3})
    split = held_out(config, read_with_folds(config), "2")
    assert {row.extra["fold"] for row in split.subset("test").rows} == {"2"}
    parts = [groups_of(split, name) for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 36


def test_folds_of_the_manifest_are_not_dealt_again(tmp_path, manifest):
    with pytest.raises(TrainingError, match=r"folds.count 3: the manifest has folds of its own"):
        dealt(tmp_path, count=3)


def test_more_folds_than_groups_of_a_class_are_refused(tmp_path, unfolded):
    with pytest.raises(TrainingError, match="at least 10 groups of every class; glioma has 9"):
        dealt(tmp_path, count=10)
