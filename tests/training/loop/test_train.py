"""From a configuration to a bundle that answers."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import numpy_helper
from PIL import Image

from builders_training import register_small, run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import BINARY, FOUR_CLASS
from slicewise.errors import LeakageError, TrainingError
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import load_bundle, pack_bundle, write_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.rule import DecisionRule
from slicewise.training.config import RunConfig, load_config, save_config
from slicewise.training.data.dataset import load_split
from slicewise.training.export.graph import onnx_bytes, rounded
from slicewise.training.export.quantize import calibration_images, quantized
from slicewise.training.loop import train as module
from slicewise.training.loop.checkpoints import trained_network
from slicewise.training.loop.train import summary, train

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
    assert info.evaluation.as_json()["accuracy"] == metrics["accuracy"]
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
    module.train_manifest(config, FOUR_CLASS, own, folder, "x", module.own_measures("x"))
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
        module.train_manifest(config, FOUR_CLASS, other, finished, "x", module.own_measures("x"))


def test_a_run_killed_while_it_writes_the_bundle_is_finished_later(heads, finished):
    config = run_config(heads, **QUICK)
    figures = load_bundle(finished / "bundle").info.evaluation.as_json()
    partial = config.folder / "partial/bundle"
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
    assert load_bundle(bundle).info.evaluation.as_json() == figures
    assert not partial.parent.exists()


@pytest.fixture
def trained(finished, tmp_path, monkeypatch) -> RunConfig:
    """A copy of a finished run that may be changed; training again is an error."""
    folder = tmp_path / "runs/quick"
    shutil.copytree(finished, folder)

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "fit", refuse)
    config = load_config(folder / "config.yaml").model_copy(update={"runs": tmp_path / "runs"})
    save_config(config, folder / "config.yaml")
    return config


def with_bundle(config: RunConfig, **values: object) -> RunConfig:
    return config.model_copy(update={"bundle": config.bundle.model_copy(update=values)})


def test_a_changed_bundle_section_is_written_without_training(trained, capsys):
    before = load_bundle(trained.folder / "bundle")
    changed = with_bundle(trained, version="2.2.0", intended_use="Research on phantoms.")
    bundle = load_bundle(train(changed, FOUR_CLASS, "x"))
    assert (bundle.info.version, bundle.info.intended_use) == ("2.2.0", "Research on phantoms.")
    assert bundle.info.decision == before.info.decision
    for name in ("model.onnx", "seen.npz"):
        assert bundle.files[name] == before.files[name]
    report = json.loads((trained.folder / "evaluation/metrics.json").read_text())
    assert report["bundle"]["sha256"] == bundle.identity != before.identity
    assert "bundle.version, bundle.intended_use changed" in capsys.readouterr().err
    assert load_config(trained.folder / "config.yaml") == changed
    assert not (trained.folder / "partial").exists()
    train(changed, FOUR_CLASS, "x")
    assert load_bundle(trained.folder / "bundle").identity == bundle.identity


def test_a_bundle_that_remembers_no_slices_is_made_anew(trained, capsys):
    """As versions before had it: their answers could not be pooled with those of today."""
    before = load_bundle(trained.folder / "bundle")
    others = {name: part for name, part in before.files.items() if name != "trust.npz"}
    rule = before.info.decision.model_copy(update={"acceptance": None})
    shutil.rmtree(trained.folder / "bundle")
    write_bundle(
        trained.folder / "bundle", before.info.model_copy(update={"decision": rule}), others
    )
    after = load_bundle(train(trained, FOUR_CLASS, "x"))
    assert after.files["trust.npz"] == before.files["trust.npz"]
    assert "it remembers no training slices" in capsys.readouterr().err


def test_a_refit_needs_no_start_weights(trained):
    model = trained.model.model_copy(update={"weights": Path("gone.safetensors")})
    config = trained.model_copy(update={"model": model})
    save_config(config, trained.folder / "config.yaml")
    before = load_bundle(trained.folder / "bundle")
    train(config, FOUR_CLASS, "x", refit=True)
    after = load_bundle(trained.folder / "bundle")
    assert after.identity != before.identity
    assert after.files["model.onnx"] == before.files["model.onnx"]


def test_a_refit_that_fails_leaves_the_bundle(trained, monkeypatch):
    before = load_bundle(trained.folder / "bundle").identity

    def fail(*_: object, **__: object) -> None:
        raise TrainingError("no room")

    monkeypatch.setattr(module, "write_product", fail)
    changed = with_bundle(trained, version="2.2.0")
    with pytest.raises(TrainingError, match="no room"):
        train(changed, FOUR_CLASS, "x")
    assert load_bundle(trained.folder / "bundle").identity == before
    assert load_config(trained.folder / "config.yaml") == trained


def test_a_kill_between_report_and_bundle_is_mended_later(trained, monkeypatch, capsys):
    folder, usual = trained.folder, module._put
    before = load_bundle(folder / "bundle").identity

    def killed(new: Path, *places: Path) -> None:
        if new.name == "bundle":
            raise KeyboardInterrupt
        usual(new, *places)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_put", killed)
        with pytest.raises(KeyboardInterrupt):
            train(trained, FOUR_CLASS, "x", refit=True)
    path = folder / "evaluation/metrics.json"
    assert load_bundle(folder / "bundle").identity == before
    assert json.loads(path.read_text())["bundle"]["sha256"] != before
    train(trained, FOUR_CLASS, "x")
    after = load_bundle(folder / "bundle").identity
    assert json.loads(path.read_text())["bundle"]["sha256"] == after
    assert "its report is of another bundle" in capsys.readouterr().err
    train(trained, FOUR_CLASS, "x")
    assert load_bundle(folder / "bundle").identity == after


def test_a_decision_fitted_elsewhere_is_written_where_it_changed(trained):
    manifest = Manifest.read(trained.data.manifest)
    given = DecisionRule(temperature=1.25, fitted_on="elsewhere")

    def once(decision: DecisionRule) -> str:
        folder, figures = trained.folder, module.own_measures("x")
        module.train_manifest(trained, FOUR_CLASS, manifest, folder, "x", figures, decision)
        return load_bundle(folder / "bundle").identity

    first = once(given)
    assert load_bundle(trained.folder / "bundle").info.decision == given
    assert once(given) == first
    assert once(given.model_copy(update={"temperature": 1.5})) != first


def test_a_refit_without_a_checkpoint_names_it(trained):
    (trained.folder / "checkpoints/best.ckpt").unlink()
    with pytest.raises(TrainingError, match=r"best\.ckpt: expected the checkpoint"):
        train(with_bundle(trained, weight_storage="float32"), FOUR_CLASS, "x")


def test_weights_are_stored_otherwise_from_the_checkpoint(trained):
    before = load_bundle(trained.folder / "bundle")
    bundle = load_bundle(train(with_bundle(trained, weight_storage="float32"), FOUR_CLASS, "x"))
    assert (before.info.weight_storage, bundle.info.weight_storage) == ("float16", "float32")
    kernels = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load_model_from_string(bundle.files["model.onnx"]).graph.initializer
        if tensor.name == "network.backbone.first.0.weight"
    ]
    state = torch.load(trained.folder / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    np.testing.assert_array_equal(kernels[0], state["network.backbone.first.0.weight"].numpy())


def test_whole_numbers_are_fitted_on_training_slices_from_the_checkpoint(trained):
    folder = train(with_bundle(trained, weight_storage="int8"), FOUR_CLASS, "x")
    bundle = load_bundle(folder)
    assert bundle.info.weight_storage == "int8"
    manifest = Manifest.read(trained.data.manifest)
    images = calibration_images(load_split(trained, manifest, "train"))
    network = trained_network(trained, FOUR_CLASS, trained.folder)
    whole = onnx_bytes(rounded(network, "float32"), trained.preprocessing.size, "float32")
    assert bundle.files["model.onnx"] == quantized(whole, images)
    card = (folder / "MODEL_CARD.md").read_text()
    assert "whole numbers of eight bits" in card
    assert "stored as" not in card


def test_a_run_of_an_older_version_is_taken_as_it_is(trained):
    path = trained.folder / "config.yaml"
    content = yaml.safe_load(path.read_text())
    del content["bundle"]["operating_point"], content["trainer"]["profile"], content["folds"]
    path.write_text(yaml.safe_dump(content))
    before = load_bundle(trained.folder / "bundle").identity
    assert train(trained, FOUR_CLASS, "x") == trained.folder / "bundle"
    assert load_bundle(trained.folder / "bundle").identity == before


def test_a_tumor_of_an_unknown_type_is_learnt_from_and_not_measured_on(tmp_path, monkeypatch):
    register_small(monkeypatch)
    manifest = write_heads(tmp_path)
    unknown = tuple(
        replace(row, label="tumor") if row.label == "glioma" and row.group.endswith(name) else row
        for row in manifest.rows
        for name in ["3" if row.split == "test" else "0"]
    )
    replace(manifest, rows=unknown).write(tmp_path / "manifest.csv")
    bundle = load_bundle(train(run_config(tmp_path), FOUR_CLASS, "made for a test"))
    used = Manifest.read(tmp_path / "runs/quick/manifest.csv")
    assert {row.split for row in used.rows if row.label == "tumor"} == {"train"}
    assert len(used.rows) == len(unknown) - 2
    assert bundle.info.origin.training_slices == len(used.subset("train").rows)
    assert bundle.info.evaluation.n == len(used.subset("test").rows)


def test_a_leak_is_refused_before_anything_is_trained(heads):
    manifest = Manifest.read(heads / "manifest.csv")
    rows = tuple(replace(row, group="one") for row in manifest.rows)
    config = run_config(heads)
    figures = module.own_measures("x")
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
    assert info.evaluation.description.startswith("Measured on the validation split")
    assert (info.evaluation.split, info.evaluation.allow_seen) == ("val", True)


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
