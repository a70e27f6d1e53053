"""From a configuration to a bundle that answers."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from builders_training import run_config
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import BINARY, FOUR_CLASS
from slicewise.errors import LeakageError, TrainingError
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import load_bundle, pack_bundle
from slicewise.inference.classifier import Classifier
from slicewise.training import train as module
from slicewise.training.config import RunConfig, load_config
from slicewise.training.train import summary, train

QUICK = {"trainer": {"epochs": 1}}


def bundle_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_resnet18_end_to_end(heads, tmp_path):
    config = run_config(heads, model={"name": "resnet18"}, trainer={"epochs": 2})
    bundle = train(config, FOUR_CLASS, "slicewise train quick.yaml")
    folder = config.folder
    assert bundle == folder / "bundle"
    assert load_config(folder / "config.yaml") == config
    with Image.open(folder / "curves.png") as picture:
        assert picture.format == "PNG"
    with (folder / "log.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    manifest = Manifest.read(heads / "manifest.csv")
    assert Manifest.read(folder / "manifest.csv").sha256 == manifest.sha256
    metrics = json.loads((folder / "evaluation/metrics.json").read_text())
    assert (metrics["split"], metrics["n"], metrics["groups"]) == ("test", 8, 4)
    assert metrics["refused"]["seen"]["count"] == 0
    info = load_bundle(bundle).info
    assert info.origin.architecture == "resnet18"
    assert info.evaluation["accuracy"] == metrics["accuracy"]
    pack_bundle(bundle, tmp_path / "b.zip")
    rows = manifest.subset("test").rows
    slices = [read_slice(manifest.resolve(row)) for row in rows]
    answers = Classifier.load(tmp_path / "b.zip").predict(slices)
    hits = sum(answer.label == row.label for answer, row in zip(answers, rows, strict=True))
    assert hits / len(rows) == metrics["accuracy"]["value"]


def run_of(finished: Path) -> tuple[RunConfig, Manifest]:
    return load_config(finished / "config.yaml"), Manifest.read(finished / "manifest.csv")


def test_a_finished_run_is_left_as_it_is(finished, monkeypatch):
    monkeypatch.setattr(module, "prepare", None)
    monkeypatch.setattr(module, "fit", None)
    before = bundle_bytes(finished / "bundle")
    assert train(run_of(finished)[0], FOUR_CLASS, "x") == finished / "bundle"
    assert bundle_bytes(finished / "bundle") == before


def test_the_report_of_an_older_run_is_given_the_identity_of_its_bundle(finished, tmp_path):
    config, manifest = run_of(finished)
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    path = folder / "evaluation/metrics.json"
    report = json.loads(path.read_text())
    identity = load_bundle(finished / "bundle").identity
    assert report["bundle"]["sha256"] == identity
    path.write_text(json.dumps({**report, "bundle": {**report["bundle"], "sha256": "draft"}}))
    own = Manifest(manifest.rows, finished)
    module.train_manifest(config, FOUR_CLASS, own, folder, "x", module.own_figures("x"))
    assert json.loads(path.read_text()) == report
    assert not list(path.parent.glob("*.partial"))


def test_a_finished_run_is_not_given_out_for_another_one(finished):
    config, manifest = run_of(finished)
    with pytest.raises(TrainingError, match="another configuration"):
        train(config.model_copy(update={"seed": 8}), FOUR_CLASS, "x")
    turned = {"glioma": "meningioma", "meningioma": "glioma"}
    rows = (replace(row, label=turned.get(row.label, row.label)) for row in manifest.rows)
    other = replace(manifest, rows=tuple(rows))
    with pytest.raises(TrainingError, match="holds a run on other slices, labels"):
        module.train_manifest(config, FOUR_CLASS, other, finished, "x", module.own_figures("x"))


def test_a_run_killed_while_it_writes_the_bundle_is_finished_later(heads, finished):
    config = run_config(heads, **QUICK)
    figures = load_bundle(finished / "bundle").info.evaluation
    partial = config.folder / "bundle.partial"
    partial.mkdir(parents=True)
    (partial / "model.onnx").write_bytes(b"half of it")
    bundle = module.train_manifest(
        config,
        FOUR_CLASS,
        Manifest.read(heads / "manifest.csv"),
        config.folder,
        "x",
        lambda _: lambda *_: figures,
    )
    assert load_bundle(bundle).info.evaluation == figures
    assert not partial.exists()


def test_a_leak_is_refused_before_anything_is_trained(heads):
    manifest = Manifest.read(heads / "manifest.csv")
    rows = tuple(replace(row, group="one") for row in manifest.rows)
    config = run_config(heads)
    figures = module.own_figures("x")
    leaking = replace(manifest, rows=rows)
    with pytest.raises(LeakageError, match="1 groups are in several"):
        module.train_manifest(config, FOUR_CLASS, leaking, config.folder, "x", figures)
    assert not (config.folder / "log.csv").exists()


def test_without_a_test_split_the_figures_say_where_they_come_from(heads):
    manifest = Manifest.read(heads / "manifest.csv")
    rows = tuple(
        replace(row, label="no_tumor" if row.label == "no_tumor" else "tumor")
        for row in manifest.rows
        if row.split != "test"
    )
    replace(manifest, rows=rows).write(heads / "manifest.csv")
    info = load_bundle(train(run_config(heads, **QUICK), BINARY, "x")).info
    assert info.task.classes == ("no_tumor", "tumor")
    assert info.evaluation["description"].startswith("Measured on the validation split")
    assert (info.evaluation["split"], info.evaluation["allow_seen"]) == ("val", True)


def test_the_bundle_carries_no_paths():
    report = {
        "accuracy": {"value": 1.0},
        "bundle": {"name": "draft"},
        "command": "slicewise train run.yaml",
        "seen_evaluated": {"paths": ["/home/a.png"]},
        "refused": {"seen": {"count": 1, "paths": ["/home/b.png"], "check": "x"}},
    }
    assert summary(report, "words") == {
        "description": "words",
        "command": "slicewise train run.yaml",
        "accuracy": {"value": 1.0},
        "refused": {"seen": 1},
    }
