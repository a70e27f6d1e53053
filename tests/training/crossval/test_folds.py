"""Cross-validation from folds to a final model."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import ConfigError, LeakageError, TrainingError
from slicewise.inference.bundle import load_bundle
from slicewise.predictions.files import read_predictions
from slicewise.training.config import OperatingPointConfig, load_config
from slicewise.training.crossval.folds import (
    cross_validate,
    fold_names,
    held_out,
    read_with_folds,
    train_fold,
)


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    return write_heads(tmp_path, groups=9, per_group=1)


def test_an_unknown_fold_is_named(tmp_path, manifest):
    with pytest.raises(ConfigError, match="fold 'd': the manifest has a, b, c"):
        train_fold(run_config(tmp_path), FOUR_CLASS, "d", "x")


def test_a_group_in_two_folds_is_refused_before_anything_is_trained(tmp_path, manifest):
    rows = tuple(
        replace(row, split="", group="one" if row.label == "glioma" else row.group)
        for row in manifest.rows
    )
    replace(manifest, rows=rows).write(tmp_path / "manifest.csv")
    config = run_config(tmp_path)
    with pytest.raises(LeakageError, match=r"1 groups are in several: one in \['test', "):
        train_fold(config, FOUR_CLASS, "a", "x")
    assert not (config.folder / "fold-a/log.csv").exists()


def test_cross_validation_pools_every_row_once(tmp_path, monkeypatch):
    manifest = write_heads(tmp_path, groups=4)
    rows = tuple(
        replace(row, split="", extra={"fold": "1" if row.group[-1] in "02" else "2"})
        for row in manifest.rows
    )
    manifest = replace(manifest, rows=rows)
    manifest.write(tmp_path / "manifest.csv")
    without_pictures(monkeypatch)
    config = run_config(tmp_path, trainer={"epochs": 1}, folds={"validation_share": 0.3})
    bundle = cross_validate(config, FOUR_CLASS, "slicewise train quick.yaml --folds")
    assert bundle == config.folder / "final/bundle"
    pooled = config.folder / "cross_validation"
    report = json.loads((pooled / "metrics.json").read_text())
    assert (report["n"], report["groups"]) == (32, 16)
    alone = json.loads((config.folder / "fold-1/evaluation/metrics.json").read_text())
    assert report["folds"]["1"]["accuracy"] == alone["accuracy"]
    assert [report["folds"][name]["n"] for name in "12"] == [16, 16]
    values = [report["folds"][name]["accuracy"]["value"] for name in "12"]
    assert report["over_folds"]["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert set(report["calibration_comparison"]["methods"]) == {
        *("uncalibrated", "temperature", "bias_corrected"),
    }
    assert (pooled / "calibration.png").is_file()
    assert report["split"] == "cross-validation over fold 1, 2"
    assert report["memorisation_1nn"]["value"] is not None
    with (pooled / "predictions.csv").open(newline="") as stream:
        found = sorted(line["path"] for line in csv.DictReader(stream))
    assert len(set(found)) == 32
    info = load_bundle(bundle).info
    final = held_out(config, manifest, None)
    trained, watching = (len(final.subset(name).rows) for name in ("train", "val"))
    assert watching > 0
    assert info.evaluation.description.startswith("Cross-validation")
    assert f"on {trained} of the 32 slices" in info.evaluation.description
    assert f"the other {watching}, in whole groups" in info.evaluation.description
    assert info.evaluation.as_json()["accuracy"] == report["accuracy"]
    assert info.origin.training_slices == len(held_out(config, manifest, None).subset("train").rows)
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "By fold, each answered by a model that was trained without it" in card
    assert "| Accuracy | " in card
    own = load_bundle(config.folder / "fold-1/bundle").info
    assert own.evaluation.n == 16

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("slicewise.training.loop.train.fit", refuse)
    assert cross_validate(config, FOUR_CLASS, "slicewise train quick.yaml --folds") == bundle

    changed = config.bundle.model_copy(
        update={
            "calibration": "bias_corrected",
            "operating_point": OperatingPointConfig(rule="target_sensitivity", value=0.5),
        }
    )
    config = config.model_copy(update={"bundle": changed})
    assert cross_validate(config, FOUR_CLASS, "slicewise train quick.yaml --folds") == bundle
    for part in ("fold-1", "fold-2", "final"):
        rule = load_bundle(config.folder / part / "bundle").info.decision
        assert rule.operating_point.rule == "target_sensitivity=0.5"
        written = load_config(config.folder / part / "config.yaml").bundle
        assert written.calibration == "bias_corrected"


def test_folds_without_a_column_are_dealt_and_kept(tmp_path, monkeypatch):
    manifest = write_heads(tmp_path, groups=4)
    rows = tuple(replace(row, split="", extra={}) for row in manifest.rows)
    replace(manifest, rows=rows).write(tmp_path / "manifest.csv")
    without_pictures(monkeypatch)
    folds = {"validation_share": 0.3, "count": 2}
    config = run_config(tmp_path, trainer={"epochs": 1}, folds=folds)
    bundle = cross_validate(config, FOUR_CLASS, "x")
    report = load_bundle(bundle).info.evaluation
    assert sum(report.folds[name].n for name in "12") == report.n == 32
    kept = Manifest.read(config.folder / "fold-1/manifest.csv")
    assert {row.extra["fold"] for row in kept.subset("test").rows} == {"1"}


def test_labels_of_the_held_out_fold_change_nothing_that_is_fitted(tmp_path, monkeypatch):
    """Turning all labels of the held-out fold round leaves weights, temperature and threshold."""
    without_pictures(monkeypatch)
    turned = dict(zip(FOUR_CLASS.classes, FOUR_CLASS.classes[::-1], strict=True))

    def fitted(folder: Path, turn: bool) -> tuple[object, ...]:
        manifest = write_heads(folder, groups=6)
        rows = tuple(
            replace(
                row,
                split="",
                label=turned[row.label] if turn and row.extra["fold"] == "a" else row.label,
            )
            for row in manifest.rows
        )
        replace(manifest, rows=rows).write(folder / "manifest.csv")
        config = run_config(folder, trainer={"epochs": 2}, folds={"validation_share": 0.3})
        bundle = load_bundle(train_fold(config, FOUR_CLASS, "a", "x"))
        answers = config.folder / "fold-a/evaluation/predictions.csv"
        table = read_predictions(answers, "no_tumor")
        return bundle.info.decision, bundle.files["model.onnx"], table

    decision, graph, table = fitted(tmp_path / "straight", False)
    other, same, flipped = fitted(tmp_path / "turned", True)
    assert decision.temperature is not None
    assert other == decision
    assert same == graph
    np.testing.assert_array_equal(table.logits, flipped.logits)
    assert (table.targets == 3 - flipped.targets).all()


def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slicewise.evaluation.report.write_plots", lambda *_: None)


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


def of_sources(folder: Path, counts: dict[tuple[str, str], list[int]]) -> Manifest:
    """A manifest without files: groups of so many slices, of a class and a source."""
    rows = [
        ManifestRow(
            path=f"{label}/{source}/{group}-{number}.png",
            label=label,
            source=source,
            patient_id="",
            group=f"{label} {source} {group}",
            split="",
            sha256="0" * 64,
            width=64,
            height=64,
            extra={"fold": "a"},
        )
        for (label, source), sizes in counts.items()
        for group, size in enumerate(sizes)
        for number in range(size)
    ]
    return Manifest(tuple(rows), folder)


SITES = {
    ("no_tumor", "scans"): [20] * 16,
    ("no_tumor", "single"): [1] * 40,
    ("no_tumor", "few"): [3] * 8,
    ("no_tumor", "two"): [9] * 2,
    ("glioma", "scans"): [5] * 16,
    ("glioma", "uneven"): [7] * 8,
}


def validated(folder: Path, manifest: Manifest, **sections: object) -> Counter[tuple[str, str]]:
    split = held_out(run_config(folder, **sections), manifest, None)
    return Counter((row.label, row.source) for row in split.subset("val").rows)


def test_every_source_of_a_class_has_its_share_of_the_validation(tmp_path):
    manifest = of_sources(tmp_path, SITES)
    by_label = [validated(tmp_path, manifest, seed=seed) for seed in range(5)]
    assert any(not found["no_tumor", "few"] for found in by_label)
    expected = {
        ("no_tumor", "scans"): 40,
        ("no_tumor", "single"): 6,  # 5, and 1 for the class, since `two` gives none
        ("no_tumor", "few"): 3,
        ("glioma", "scans"): 10,
        ("glioma", "uneven"): 7,
    }
    folds = {"validation_by": "label_and_source"}
    for seed in range(5):
        found = validated(tmp_path, manifest, seed=seed, folds=folds)
        assert {kind: found[kind] for kind in expected} == expected


def test_a_source_with_groups_enough_is_validated_where_another_fills_the_class(tmp_path):
    """Two groups of 100 are more than the share of the class already."""
    counts = {("glioma", "large"): [100] * 13, ("glioma", "small"): [5] * 7 + [4]}
    found = validated(
        tmp_path, of_sources(tmp_path, counts), folds={"validation_by": "label_and_source"}
    )
    assert found == {("glioma", "large"): 200, ("glioma", "small"): 4}


def test_groups_by_source_depend_on_the_seed_alone(tmp_path):
    manifest = of_sources(tmp_path, SITES)

    def chosen(seed: int, rows: Manifest) -> set[str]:
        config = run_config(tmp_path, seed=seed, folds={"validation_by": "label_and_source"})
        return groups_of(held_out(config, rows, None), "val")

    shuffled = replace(manifest, rows=manifest.rows[::-1])
    assert chosen(1, manifest) == chosen(1, shuffled)
    assert len({frozenset(chosen(seed, manifest)) for seed in range(5)}) > 1


def test_nothing_is_held_out_for_the_final_model(tmp_path, manifest):
    split = held_out(run_config(tmp_path), manifest, None)
    assert {row.split for row in split.rows} == {"train", "val"}


def test_slices_of_an_unknown_type_choose_no_validation_group(tmp_path, manifest):
    unknown = tuple(
        replace(row, label="tumor") if row.label == "pituitary" else row for row in manifest.rows
    )
    split = held_out(run_config(tmp_path), replace(manifest, rows=unknown), None)
    assert "val" in {row.split for row in split.rows if row.label == "glioma"}
    assert {row.split for row in split.rows if row.label == "tumor"} == {"train"}


def test_folds_are_those_of_the_column(tmp_path, manifest):
    assert fold_names(run_config(tmp_path), manifest) == ["a", "b", "c"]
    with pytest.raises(ConfigError, match=r"folds.column 'site': .*none. Give folds.count"):
        fold_names(run_config(tmp_path, folds={"column": "site"}), manifest)
    rows = tuple(replace(row, extra={"fold": "a"}) for row in manifest.rows)
    with pytest.raises(ConfigError, match=r"at least two folds; got a"):
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
