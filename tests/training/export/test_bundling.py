"""What a finished run hands over, and that it answers as the network did."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from builders_training import logits_of, run_config, write_heads
from slicewise.data.duplicates.fingerprint import Fingerprints, fingerprints
from slicewise.data.duplicates.search import match
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.imaging.preprocess import PreprocessSpec, to_batch
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.rule import STUDY_RULES
from slicewise.training.config import BundleConfig, ModelConfig
from slicewise.training.data.dataset import load_slices, load_split
from slicewise.training.export.bundling import draft, exported, make_product, seen_fingerprints
from slicewise.training.export.decision_fit import fit_decision
from slicewise.training.export.evidence import evidence_of
from slicewise.training.export.graph import rounded
from slicewise.training.loop.train import prepare
from slicewise.training.network.model import create_network


@pytest.fixture
def manifest(finished: Path) -> Manifest:
    return Manifest.read(finished / "manifest.csv")


def trained_weights(finished: Path):
    network = create_network(ModelConfig(name="small"), FOUR_CLASS, weights=None)
    state = torch.load(finished / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    network.load_state_dict({key.removeprefix("network."): v for key, v in state.items()})
    return network.eval()


def test_the_bundle_describes_its_run(finished, manifest):
    info = load_bundle(finished / "bundle").info
    assert (info.name, info.version, info.weight_storage) == ("quick", "2.1.0", "float16")
    assert (info.task.classes, info.task.negative_class) == (FOUR_CLASS.classes, "no_tumor")
    assert (info.preprocessing.size, info.preprocessing.channels) == (32, ("grey",))
    assert info.study == STUDY_RULES
    assert info.licences == {"weights": "MIT"}
    origin = info.origin
    assert (origin.training_slices, origin.training_groups) == (16, 8)
    assert (origin.architecture, origin.manifest_sha256) == ("small", manifest.sha256)
    assert origin.run_id.startswith("quick-")
    assert set(info.files) == {"model.onnx", "trust.npz", "seen.npz", "MODEL_CARD.md"}


def test_matrices_are_stored_as_float16(finished):
    graph = onnx.load(finished / "bundle/model.onnx").graph
    kinds = {tensor.data_type for tensor in graph.initializer if len(tensor.dims) > 1}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_the_bundle_answers_with_the_weights_of_the_best_epoch(finished, manifest):
    config = run_config(finished.parent.parent)
    test = manifest.subset("test")
    images = load_slices(test, config.preprocessing, finished.parent / "other").images
    found = Classifier.load(finished / "bundle").run(to_batch(images)).logits
    network = trained_weights(finished)
    np.testing.assert_allclose(found, logits_of(rounded(network, "float16"), images), atol=1e-4)
    assert np.abs(found - logits_of(network, images)).max() > 0


def test_temperature_and_threshold_come_from_the_validation_split(finished, manifest):
    rule = load_bundle(finished / "bundle").info.decision
    assert (rule.operating_point.n, rule.operating_point.groups) == (8, 4)
    config = run_config(finished.parent.parent, bundle={"weight_storage": "float16"})
    splits = prepare(config, FOUR_CLASS, manifest)
    stored = rounded(trained_weights(finished), "float16")
    logits = logits_of(stored, splits["val"].images)
    classifier = Classifier.load(finished / "bundle")
    found = evidence_of(classifier, load_split(config, manifest, "val")).table(classifier)
    again = fit_decision(replace(found, logits=logits), "here", BundleConfig())
    assert again.temperature == pytest.approx(rule.temperature, rel=1e-3)
    found = again.operating_point
    assert found.threshold == pytest.approx(rule.operating_point.threshold, abs=1e-3)
    assert found.sensitivity == rule.operating_point.sensitivity


def test_train_and_validation_slices_are_remembered_and_no_others(finished, manifest):
    seen = Fingerprints.load(finished / "bundle/seen.npz")
    assert len(seen) == 24
    for split, known in (("train", True), ("val", True), ("test", False)):
        rows = manifest.subset(split).rows
        asked = fingerprints([read_slice(manifest.resolve(row)).pixels for row in rows])
        assert {len(hits) > 0 for hits in match(asked, seen)} == {known}


def test_a_draft_answers_before_its_figures_are_known(tmp_path):
    manifest = write_heads(tmp_path)
    config = run_config(tmp_path)
    torch.manual_seed(0)
    network = create_network(ModelConfig(name="small"), FOUR_CLASS, weights=None)
    product = make_product(config, FOUR_CLASS, exported(config, network, manifest), manifest)
    bundle = draft(product, config, FOUR_CLASS, manifest)
    (answer,) = Classifier(bundle).predict([read_slice(manifest.resolve(manifest.rows[0]))])
    assert answer.bundle.sha256 == "draft"
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_fingerprints_are_the_same_bytes_again(tmp_path):
    slices = load_slices(write_heads(tmp_path, groups=2), PreprocessSpec(size=32), tmp_path)
    with np.load(io.BytesIO(seen_fingerprints([slices]))) as first:
        kept = {name: first[name] for name in first.files}
    with np.load(io.BytesIO(seen_fingerprints([slices]))) as again:
        for name, values in kept.items():
            np.testing.assert_array_equal(again[name], values)


def test_every_file_is_listed_with_its_hash(finished):
    info = json.loads((finished / "bundle/bundle.json").read_text())
    for name, digest in info["files"].items():
        assert hashlib.sha256((finished / "bundle" / name).read_bytes()).hexdigest() == digest
