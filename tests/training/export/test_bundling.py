"""What a finished run hands over, that it answers as the network did, and what its card says."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from typer.testing import CliRunner

from builders import CLASSES, bundle_info
from builders_public import index_of, row_of, ship
from builders_training import logits_of, run_config, run_values, write_heads
from slicewise.cli.main import app
from slicewise.data.duplicates.fingerprint import Fingerprints, fingerprints
from slicewise.data.duplicates.search import match
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import FOUR_CLASS
from slicewise.evaluation.seen import find_seen, units_of
from slicewise.imaging.preprocess import PreprocessSpec, to_batch
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import Bundle, TaskInfo, load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import BundleReference
from slicewise.inference.measured import Evaluation
from slicewise.inference.rule import STUDY_RULES, Acceptance, DecisionRule
from slicewise.training.config import BundleConfig
from slicewise.training.data.dataset import load_slices, load_split
from slicewise.training.export.bundling import (
    draft,
    exported,
    make_product,
    model_card,
    seen_fingerprints,
)
from slicewise.training.export.decision_fit import evidence_of, fit_decision
from slicewise.training.export.graph import rounded
from slicewise.training.loop.train import prepare, train
from slicewise.training.network.config import ModelConfig
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
        blank = fingerprints([np.zeros((32, 32), np.float32)] * len(rows))
        others = find_seen(load_bundle(finished / "bundle"), blank, units_of(rows))
        assert not others.patients.any()  # names alone tie nothing
        assert set(others.alike.tolist()) == {known}


def test_groups_of_slices_that_the_index_knows_by_pixels_are_remembered(tmp_path, monkeypatch):
    """Saved again as PNG, in a manifest that says nothing of public slices."""
    manifest = write_heads(tmp_path, groups=2)
    paths = [Path(manifest.resolve(row)) for row in manifest.rows[:3]]
    rows = [row_of(path, n, "figshare:gli_1", file_sha256=f"{n + 1:x}" * 64)
            for n, path in enumerate(paths)]  # fmt: skip
    ship(monkeypatch, index_of(tmp_path / "index.npz", rows))
    one = replace(manifest, rows=manifest.rows[:1])
    content = seen_fingerprints([load_slices(one, PreprocessSpec(size=32), tmp_path / "c")])
    bundle = Bundle(bundle_info(), "cd" * 32, {"seen.npz": content})
    blank = fingerprints([np.zeros((32, 32), np.float32)] * 2)
    asked = units_of([manifest.rows[2], manifest.rows[6]], [rows[2]["pixel_sha256"], ""])
    assert find_seen(bundle, blank, asked).patients.tolist() == [True, False]


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


@pytest.fixture
def card(finished: Path) -> str:
    return (finished / "bundle/MODEL_CARD.md").read_text()


def evaluated(finished: Path, **changes: Any) -> Evaluation:
    """What was measured of the finished run, with other metrics in it."""
    measured = load_bundle(finished / "bundle").info.evaluation.as_json()
    return Evaluation.model_validate(measured | changes)


def shown(estimate: dict[str, Any]) -> str:
    if estimate["ci_low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['ci_low']:.3f}-{estimate['ci_high']:.3f})"


def test_the_figures_are_the_measured_ones(finished, card):
    metrics = json.loads((finished / "evaluation/metrics.json").read_text())
    for key, title in (
        ("accuracy", "Accuracy"),
        ("macro_auroc", "Macro AUROC"),
        ("brier", "Brier score"),
        ("memorisation_1nn", "Pixel 1-NN accuracy on the same split (no learning)"),
    ):
        assert f"| {title} | {shown(metrics[key])} |" in card
    assert shown(metrics["tumor"]["sensitivity"]) in card
    assert shown(metrics["per_class"]["glioma"]["auroc"]) in card
    assert "(8 slices, 4 groups)" in card


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"trust": 1.5, "unknown": 0.02}, "Answers of a trust score of 1.500 and more may be"),
        ({"confidence": 0.875}, "Answers of confidence 0.875 and more may be"),
    ],
)
def test_it_says_from_where_on_answers_are_accepted(finished, limit, expected):
    info = load_bundle(finished / "bundle").info
    acceptance = Acceptance(target=0.99, accuracy=0.985, coverage=0.7, n=40, groups=20, **limit)
    decision = info.decision.model_copy(update={"acceptance": acceptance})
    manifest = Manifest.read(finished / "manifest.csv")
    card = model_card(info.model_copy(update={"decision": decision}), manifest, {})
    assert expected in card
    assert ("2.0 % would be accepted as another one" in card) == ("unknown" in limit)


def test_it_says_that_rare_classes_counted_for_more(finished, card):
    info = load_bundle(finished / "bundle").info
    weighted = {"temperature": 1.5, "fitted_on": "here", "class_balance": 0.5}
    decision = info.decision.model_copy(update=weighted)
    manifest = Manifest.read(finished / "manifest.csv")
    weighed = model_card(info.model_copy(update={"decision": decision}), manifest, {})
    assert "fitted on here, where a class counts as its frequency to the power 0.5" in weighed
    assert "to the power" not in card
    alike = info.decision.model_copy(update={**weighted, "class_balance": 1.0})
    evened = model_card(info.model_copy(update={"decision": alike}), manifest, {})
    assert "fitted on here, where all classes count alike." in evened


def test_what_is_accepted_of_held_out_slices_stands_beside(finished):
    info = load_bundle(finished / "bundle").info
    figure = {"value": 0.471, "ci_low": 0.399, "ci_high": 0.528}
    right = {"value": 0.983, "ci_low": None, "ci_high": None}
    rule = {"decisions": {"accept": {"share": figure, "accuracy": right}}}
    acceptance = Acceptance(trust=1.5, target=0.99, accuracy=0.985, coverage=0.7, n=40, groups=20)
    changed = info.model_copy(
        update={
            "decision": info.decision.model_copy(update={"acceptance": acceptance}),
            "evaluation": evaluated(finished, rule_across_folds=rule),
        }
    )
    card = model_card(changed, Manifest.read(finished / "manifest.csv"), {})
    assert "0.471 (0.399-0.528) of the held-out slices were accepted and 0.983 of these" in card


def test_it_says_what_it_was_made_from_and_how(finished, card):
    info = load_bundle(finished / "bundle").info
    assert card.startswith("# quick 2.1.0\n")
    assert "16 slices in 8 leak-free groups" in card
    assert info.origin.manifest_sha256 in card
    assert "| even | glioma | 4 | 2 |" in card
    assert "slicewise train quick.yaml" in card
    assert "* weights: MIT" in card
    assert "Measured on the test split" in card
    assert f"Tumor threshold {info.decision.operating_point.threshold:.3f}" in card
    assert "stored as float16" in card


def test_it_says_that_it_is_no_medical_device(card):
    assert "Not a medical device" in card
    assert "every answer asks for review" in card


def test_nothing_of_the_machine_is_told(tmp_path):
    """The card of a run whose configuration and weights lie in folders of this machine."""
    write_heads(tmp_path)
    path = tmp_path / "quick.yaml"
    path.write_text(yaml.safe_dump(run_values(tmp_path, trainer={"epochs": 1})))
    assert CliRunner().invoke(app, ["train", str(path)]).exit_code == 0
    bundle = tmp_path / "runs/quick/bundle"
    for file in ("MODEL_CARD.md", "bundle.json"):
        text = (bundle / file).read_text()
        assert "slicewise train quick.yaml" in text
        assert str(tmp_path) not in text
        assert "{{" not in text
    graph = (bundle / "model.onnx").read_bytes()
    for folder in (tmp_path, Path(model_card.__globals__["__file__"]).parent):
        assert str(folder).encode() not in graph


def test_what_is_missing_is_said_to_be(tmp_path, finished):
    evaluation = evaluated(
        finished,
        ece={"value": None, "reason": "too few slices"},
        brier={"value": 0.25, "ci_low": None, "ci_high": None},
    )
    info = bundle_info(evaluation=evaluation, decision=DecisionRule())
    card = model_card(info, write_heads(tmp_path, groups=1), {})
    assert "| Expected calibration error | not available: too few slices |" in card
    assert "| Brier score | 0.250 |" in card
    assert "No tumor threshold was fitted" in card
    assert "Temperature" not in card
    assert "No temperature was fitted" in card


def written(manifest: Manifest, finished: Path, frozen_stages: int = 0, **changes: Any) -> str:
    info = bundle_info(**{"evaluation": evaluated(finished), **changes})
    return model_card(info, manifest, {}, frozen_stages)


def with_sources(manifest: Manifest, source_of: Callable[[ManifestRow], str]) -> Manifest:
    rows = tuple(replace(row, source=source_of(row)) for row in manifest.rows)
    return replace(manifest, rows=rows)


def test_frozen_stages_are_not_said_to_be_trained(tmp_path, finished):
    manifest = write_heads(tmp_path)
    assert "All weights were trained afterwards" in written(manifest, finished)
    card = written(manifest, finished, frozen_stages=2)
    assert "The first 2 stages kept the start weights" in card
    assert "All weights" not in card


def test_the_card_of_a_run_knows_its_frozen_stages(tmp_path):
    write_heads(tmp_path)
    config = run_config(tmp_path, model={"frozen_stages": 1}, trainer={"epochs": 1})
    card = (train(config, FOUR_CLASS, "x") / "MODEL_CARD.md").read_text()
    assert "The first stage kept the start weights" in card


def test_a_task_without_a_negative_class_has_no_word_on_thresholds(tmp_path, finished):
    task = TaskInfo(name="three_class", classes=CLASSES[:3], negative_class=None)
    card = written(write_heads(tmp_path), finished, task=task, decision=DecisionRule())
    assert "Tumor threshold" not in card
    assert "No tumor threshold" not in card
    assert "different sources" not in card


@pytest.mark.parametrize(
    ("source_of", "expected"),
    [
        (lambda row: "b" if row.label == "no_tumor" else "a", "come from different sources"),
        (
            lambda row: "b" if row.label == "no_tumor" and row.group[-1] != "0" else "a",
            "come mostly from different sources",
        ),
        (lambda _: "a", None),
    ],
    ids=["disjoint", "mostly", "one source"],
)
def test_sources_are_a_limit_only_where_they_differ(tmp_path, finished, source_of, expected):
    card = written(with_sources(write_heads(tmp_path), source_of), finished)
    assert (expected in card) if expected else ("different sources" not in card)


def test_what_was_held_out_is_told_from_what_watched(tmp_path, finished):
    manifest = write_heads(tmp_path)
    assert "8 others watched over training, and 8 were held out" in written(manifest, finished)
    rows = tuple(row for row in manifest.rows if row.split != "test")
    assert "8 others watched over training.\n" in written(replace(manifest, rows=rows), finished)


def test_the_figures_of_the_threshold_are_not_taken_for_held_out_ones(tmp_path, finished, card):
    assert "Measured on the slices that fitted it: expect the held-out metrics above." in card
    evaluation = evaluated(finished, allow_seen=True)
    own = written(write_heads(tmp_path), finished, evaluation=evaluation)
    assert "Measured on the slices that fitted it: expect less on new patients." in own


def test_a_converted_bundle_says_what_it_was(finished):
    info = load_bundle(finished / "bundle").info
    manifest = Manifest.read(finished / "manifest.csv")
    assert "Only the format changed" not in model_card(info, manifest, {})
    older = BundleReference("quick", "2.0.9", "ab" * 32)
    origin = info.origin.model_copy(update={"converted_from": older})
    card = model_card(info.model_copy(update={"origin": origin}), manifest, {})
    assert f"2.1.0 is 2.0.9 (`{'ab' * 32}`) in bundle schema 2. Only the format changed" in card
