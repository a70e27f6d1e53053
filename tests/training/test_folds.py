from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from builders import CLASSES, decision_rule, write_tiny_bundle
from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import LeakageError, TrainingError
from slicewise.evaluation.predictions import PredictionTable
from slicewise.inference.bundle import load_bundle
from slicewise.inference.decision import DecisionRule
from slicewise.training import folds
from slicewise.training.config import RunConfig
from slicewise.training.folds import cross_validate, fold_names, held_out, pool, train_fold


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


def test_folds_are_those_of_the_column(tmp_path, manifest):
    assert fold_names(run_config(tmp_path), manifest) == ["a", "b", "c"]
    with pytest.raises(TrainingError, match=r"folds.column 'site': expected .* got none"):
        fold_names(run_config(tmp_path, folds={"column": "site"}), manifest)
    rows = tuple(replace(row, extra={"fold": "a"}) for row in manifest.rows)
    with pytest.raises(TrainingError, match=r"at least two folds; got a"):
        fold_names(run_config(tmp_path), replace(manifest, rows=rows))


def test_an_unknown_fold_is_named(tmp_path, manifest):
    with pytest.raises(TrainingError, match="fold 'd': the manifest has a, b, c"):
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
    monkeypatch.setattr("slicewise.evaluation.report.write_plots", lambda *_: None)
    config = run_config(tmp_path, trainer={"epochs": 1}, folds={"validation_share": 0.3})
    bundle = cross_validate(config, FOUR_CLASS, "slicewise train quick.yaml --folds")
    assert bundle == config.folder / "final/bundle"
    pooled = config.folder / "cross_validation"
    report = json.loads((pooled / "metrics.json").read_text())
    assert (report["n"], report["groups"]) == (32, 16)
    assert report["split"] == "cross-validation over fold 1, 2"
    assert report["memorisation_1nn"]["value"] is not None
    with (pooled / "predictions.csv").open(newline="") as stream:
        found = sorted(line["path"] for line in csv.DictReader(stream))
    assert len(set(found)) == 32
    info = load_bundle(bundle).info
    final = held_out(config, manifest, None)
    trained, watching = (len(final.subset(name).rows) for name in ("train", "val"))
    assert watching > 0
    assert info.evaluation["description"].startswith("Cross-validation")
    assert f"on {trained} of the 32 slices" in info.evaluation["description"]
    assert f"the other {watching}, in whole groups" in info.evaluation["description"]
    assert info.evaluation["accuracy"] == report["accuracy"]
    assert info.origin.training_slices == len(held_out(config, manifest, None).subset("train").rows)
    own = load_bundle(config.folder / "fold-1/bundle").info
    assert own.evaluation["n"] == 16

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("slicewise.training.train.fit", refuse)
    assert cross_validate(config, FOUR_CLASS, "slicewise train quick.yaml --folds") == bundle


def fold_files(config: RunConfig, name: str, seen: list[str], decision: DecisionRule) -> None:
    folder = config.folder / f"fold-{name}"
    (folder / "evaluation").mkdir(parents=True)
    refused = {
        "seen": {"count": len(seen), "paths": seen, "check": f"compared in {name}"},
        "failed": {"count": 1, "errors": [{"source": f"{name}.png", "error": "empty"}]},
    }
    (folder / "evaluation/metrics.json").write_text(json.dumps({"refused": refused}))
    write_tiny_bundle(folder / "bundle", decision=decision)


def test_the_pooled_report_adds_up_what_the_folds_refused(tmp_path, manifest, monkeypatch):
    config = run_config(tmp_path)
    fold_files(config, "a", ["x.png"], decision_rule())
    fold_files(config, "b", ["y.png", "z.png"], DecisionRule())
    given = []
    monkeypatch.setattr(folds, "_neighbours", lambda *_: "not asked")
    monkeypatch.setattr(
        folds, "report_from_predictions", lambda _, __, context, **___: given.append(context)
    )
    pool(config, [answers("a"), answers("b")], ["a", "b"], "x")
    refused = given[0].refusals.as_json()["refused"]
    assert refused["seen"]["count"] == 3
    assert refused["seen"]["paths"] == ["x.png", "y.png", "z.png"]
    assert refused["seen"]["check"] == "fold a: compared in a; fold b: compared in b"
    assert [each["source"] for each in refused["failed"]["errors"]] == ["a.png", "b.png"]
    assert given[0].threshold_rule == "youden_j; not fitted in fold b: 0.5 assumed"


def answers(fold: str) -> PredictionTable:
    table = PredictionTable(
        classes=CLASSES,
        negative_class="no_tumor",
        logits=np.eye(4, dtype=np.float32),
        targets=np.arange(4),
        groups=np.array(list("abcd")),
        sources=np.array(["s"] * 4),
        paths=np.array([f"{fold}{i}" for i in range(4)]),
    )
    return table.decided(DecisionRule())


def test_a_fold_without_its_report_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"fold-a.*expected the report of fold a"):
        pool(run_config(tmp_path), [answers("a")], ["a"], "x")
