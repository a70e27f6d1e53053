"""What is fitted to a finished graph."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import BINARY, FOUR_CLASS, THREE_CLASS
from slicewise.errors import EvaluationError
from slicewise.fitting.acceptance import fit_acceptance
from slicewise.fitting.calibration import fit_bias_corrected, fit_temperature
from slicewise.fitting.conformal import fit_conformal
from slicewise.fitting.operating_point import (
    least_cost,
    target_sensitivity,
    target_specificity,
    youden_j,
)
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import CARD_NAME, TRUST_NAME, load_bundle, write_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import REJECTING, Reason, probabilities_of, threshold_of
from slicewise.inference.rule import DecisionRule
from slicewise.inference.trust import TrustReference
from slicewise.predictions.table import PredictionTable
from slicewise.synthetic.ood.kinds import KINDS, ood_slices
from slicewise.training.config import BundleConfig
from slicewise.training.data import dataset
from slicewise.training.data.dataset import DecodedSlices, load_slices
from slicewise.training.export import decision_fit as module
from slicewise.training.export.bundling import draft, exported, make_product
from slicewise.training.export.decision_fit import evidence_of, fit_decision, fit_refusal
from slicewise.training.loop.train import prepare
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import create_network


def table_of(folder, task, logits):
    """Two slices of each class in one group each, in the order of the classes."""
    manifest = write_heads(folder, groups=1, classes=task.classes)
    targets = np.repeat(np.arange(len(task.classes)), 2)
    rows = manifest.rows
    return PredictionTable(
        classes=task.classes,
        negative_class=task.negative_class,
        logits=logits,
        targets=targets,
        groups=np.array([row.group for row in rows]),
        sources=np.array([row.source for row in rows]),
        paths=np.array([row.path for row in rows]),
    )


def logits_of(task, right: float, wrong: int = 0) -> np.ndarray:
    targets = np.repeat(np.arange(len(task.classes)), 2)
    logits = np.eye(len(task.classes), dtype=np.float32)[targets] * right
    logits[:wrong] = logits[:wrong, ::-1]
    return logits


def test_temperature_then_threshold_on_calibrated_scores(tmp_path):
    logits = logits_of(FOUR_CLASS, 3.0, wrong=1)
    logits[6] += np.array([0.5, 0, 0, 0], np.float32)
    table = table_of(tmp_path, FOUR_CLASS, logits)
    rule = fit_decision(table, "the validation split", BundleConfig())
    assert rule.temperature == pytest.approx(fit_temperature(logits, table.targets))
    point = rule.operating_point
    assert (point.rule, point.sensitivity, point.specificity) == ("youden_j", 1.0, 1.0)
    assert (point.n, point.groups) == (8, 4)
    scores = 1 - probabilities_of(logits, rule.temperature)[:, 2]
    tumor = table.targets != 2
    assert scores[~tumor].max() < point.threshold <= scores[tumor].min()


def test_a_task_without_a_negative_class_has_no_threshold(tmp_path):
    rule = fit_decision(
        table_of(tmp_path, THREE_CLASS, logits_of(THREE_CLASS, 3.0, wrong=1)),
        "here",
        BundleConfig(),
    )
    assert rule.operating_point is None
    assert rule.temperature is not None


def test_what_cannot_be_fitted_stays_unfitted_and_is_told(tmp_path, capsys):
    """All right, so no temperature is best; all scores alike, so no threshold is."""
    flat = np.zeros((4, 2), np.float32)
    rule = fit_decision(table_of(tmp_path, BINARY, flat), "here", BundleConfig())
    assert rule.operating_point is None
    assert "NO TUMOR THRESHOLD FITTED, 0.5 is used" in capsys.readouterr().err
    right = table_of(tmp_path, BINARY, logits_of(BINARY, 3.0))
    perfect = fit_decision(right, "here", BundleConfig())
    assert perfect.temperature is None
    assert perfect.operating_point is not None
    assert "NOT CALIBRATED (temperature): " in capsys.readouterr().err


def test_sets_and_acceptance_are_fitted_on_calibrated_answers(tmp_path):
    table = noisy_table(tmp_path)
    wanted = settings(refusal={"coverage": 0.9, "accept_target": 0.95})
    rule = fit_decision(table, "here", wanted)
    calibrated = table.decided(DecisionRule(temperature=rule.temperature))
    assert rule.conformal == fit_conformal(calibrated, 0.9)
    assert rule.acceptance == fit_acceptance(calibrated, 0.95)


def test_nothing_is_accepted_where_no_confidence_is_good_enough(tmp_path, capsys):
    flat = np.zeros((4, 2), np.float32)
    rule = fit_decision(table_of(tmp_path, BINARY, flat), "here", BundleConfig())
    assert rule.acceptance is None
    assert "NOTHING WILL BE ACCEPTED" in capsys.readouterr().err


def settings(**values: object) -> BundleConfig:
    return BundleConfig.model_validate(values)


def noisy_table(tmp_path):
    """Many slices whose scores overlap, the same logits eight times over with noise."""
    table = table_of(tmp_path, FOUR_CLASS, logits_of(FOUR_CLASS, 2.0))
    many = table.take(np.tile(np.arange(8), 25))
    noise = np.random.default_rng(0).normal(scale=1.2, size=many.logits.shape)
    return replace(many, logits=(many.logits + noise).astype(np.float32))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("youden_j", lambda *case: youden_j(*case)),
        (
            {"rule": "target_sensitivity", "value": 0.95},
            lambda *case: target_sensitivity(*case, 0.95),
        ),
        (
            {"rule": "target_specificity", "value": 0.9},
            lambda *case: target_specificity(*case, 0.9),
        ),
        (
            {"rule": "cost", "missed": 5, "false_alarm": 2, "prevalence": 0.3},
            lambda *case: least_cost(*case, missed=5, false_alarm=2, prevalence=0.3),
        ),
    ],
    ids=["youden", "sensitivity", "specificity", "cost"],
)
def test_the_threshold_follows_the_rule_that_is_asked_for(tmp_path, given, expected):
    table = noisy_table(tmp_path)
    rule = fit_decision(table, "here", settings(operating_point=given))
    calibrated = table.decided(rule)
    case = (calibrated.tumor_probability(), calibrated.is_tumor(), calibrated.groups)
    assert rule.operating_point == expected(*case)
    low, high = rule.operating_point.sensitivity_ci
    assert low <= rule.operating_point.sensitivity <= high


def test_a_rule_that_cannot_be_met_leaves_no_threshold(tmp_path, capsys):
    table = noisy_table(tmp_path)
    flipped = replace(table, logits=-table.logits)
    asked = settings(operating_point={"rule": "target_sensitivity", "value": 1.0})
    rule = fit_decision(flipped, "here", asked)
    assert rule.operating_point is None
    assert "target_sensitivity=1: no threshold qualifies among 200" in capsys.readouterr().err
    threshold = threshold_of(rule, "no_tumor", None)
    assert (threshold.value, threshold.reasons) == (0.5, (Reason.THRESHOLD_NOT_FITTED,))


def test_class_biases_are_fitted_where_asked_for(tmp_path):
    table = noisy_table(tmp_path)
    rule = fit_decision(table, "here", settings(calibration="bias_corrected"))
    temperature, biases = fit_bias_corrected(table.logits, table.targets)
    assert rule.temperature == temperature
    assert rule.class_bias == dict(zip(FOUR_CLASS.classes, biases, strict=True))
    scores = table.decided(rule).tumor_probability()
    np.testing.assert_allclose(
        scores, 1 - probabilities_of(table.logits, temperature, biases)[:, 2]
    )
    found = np.mean(scores[table.is_tumor()] >= rule.operating_point.threshold)
    assert rule.operating_point.sensitivity == pytest.approx(found)


def test_a_rare_class_counts_for_more_where_asked_for(tmp_path):
    table = noisy_table(tmp_path)
    kept = np.flatnonzero((table.targets != 2) | (np.arange(table.targets.size) % 4 == 0))
    rare = table.take(kept)
    plain = fit_decision(rare, "here", settings(calibration="bias_corrected"))
    even = fit_decision(rare, "here", settings(calibration="bias_corrected", class_balance=1))
    assert even.class_bias["no_tumor"] > plain.class_bias["no_tumor"]
    assert (plain.class_balance, even.class_balance) == (0, 1)


CHEAP = [KINDS[name] for name in ("gaussian_noise", "stripes", "barcode")]
OOD_REASONS = {Reason.POSSIBLY_OUT_OF_DISTRIBUTION, Reason.OUT_OF_DISTRIBUTION}


def graph_of(config, manifest) -> bytes:
    torch.manual_seed(0)
    network = create_network(ModelConfig(name="small"), FOUR_CLASS, weights=None)
    return exported(config, network.eval(), manifest)


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Fifty validation slices of as many groups, three cheap out-of-distribution kinds."""
    folder = tmp_path_factory.mktemp("heads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "kinds_of", lambda: CHEAP)
        manifest = write_heads(folder, groups=50)
        refusal = {"per_kind": 20, "reviewed": 0.05, "rejected": 0.02}
        config = run_config(folder, bundle={"refusal": refusal})
        made = make_product(config, FOUR_CLASS, graph_of(config, manifest), manifest)
        yield made, draft(made, config, FOUR_CLASS, manifest), manifest


def slices_of(manifest: Manifest, split: str) -> DecodedSlices:
    cache = manifest.folder / "runs" / "cache"
    return load_slices(manifest.subset(split), PreprocessSpec(size=32), cache)


def test_limits_survive_the_way_through_a_bundle_on_disk(product, tmp_path):
    made, bundle, manifest = product
    info = bundle.info.model_copy(update={"version": "0.1.0"})
    write_bundle(tmp_path / "bundle", info, {**made.files, CARD_NAME: b"card"})
    limits = load_bundle(tmp_path / "bundle").info.decision.out_of_distribution
    assert limits.fitted_on_kinds == tuple(sorted(kind.name for kind in CHEAP))
    classifier = Classifier.load(tmp_path / "bundle")
    rows = manifest.subset("test").rows
    real = classifier.predict([read_slice(manifest.resolve(row)) for row in rows])
    refused = [bool(OOD_REASONS & set(answer.reasons)) for answer in real]
    assert np.mean(refused) < 0.25
    for kind in ("gaussian_noise", "coloured_noise"):  # the second was not fitted on
        images = classifier.predict(list(ood_slices(kind, 20, 99, [])))
        assert np.mean([bool(OOD_REASONS & set(answer.reasons)) for answer in images]) > 0.9
        assert not any(answer.decision == "accept" for answer in images)


def test_stated_shares_of_validation_slices_are_above_the_limits(product):
    limits = product[1].info.decision.out_of_distribution
    assert limits.reviewed == pytest.approx(0.05, abs=0.02)
    assert limits.rejected == pytest.approx(0.02, abs=0.02)
    assert limits.review_above <= limits.reject_above


def test_rejection_is_for_what_the_reasons_say(product):
    classifier = Classifier(product[1])
    for answer in classifier.predict(list(ood_slices("gaussian_noise", 10, 5, []))):
        assert (answer.decision == "reject") == bool(REJECTING & set(answer.reasons))


def test_evidence_is_in_the_order_of_the_manifest(product):
    _, bundle, manifest = product
    classifier = Classifier(bundle)
    found = evidence_of(classifier, slices_of(manifest, "val"))
    table = found.table(classifier)
    rows = manifest.subset("val").rows
    assert table.paths.tolist() == [row.path for row in rows]
    last = classifier.forward([read_slice(manifest.resolve(rows[-1]))])
    np.testing.assert_allclose(table.logits[-1], last.logits[0], atol=1e-5)
    np.testing.assert_allclose(found.seen.embeddings[-1], last.embedding[0], atol=1e-5)


def test_too_few_validation_slices_are_refused(tmp_path):
    manifest = write_heads(tmp_path)
    config = run_config(tmp_path)
    made = make_product(config, FOUR_CLASS, graph_of(config, manifest), manifest)
    classifier = Classifier(draft(made, config, FOUR_CLASS, manifest))
    real = evidence_of(classifier, slices_of(manifest, "val"))
    with pytest.raises(EvaluationError, match="expected 50 validation slices or more; got 8"):
        fit_refusal(classifier, real, real, config.bundle.refusal, 1)


def test_training_slices_are_remembered_by_class(product):
    """The bundle answers with the distances that its rule was fitted on."""
    made, bundle, manifest = product
    classifier = Classifier(bundle)
    known = evidence_of(classifier, slices_of(manifest, "train"))
    again = known.trust_reference(FOUR_CLASS.classes, 42)
    stored = TrustReference.from_bytes(made.files[TRUST_NAME], 4)
    np.testing.assert_array_equal(again.classes, stored.classes)
    rows = manifest.subset("val").rows
    answers = classifier.answers([read_slice(manifest.resolve(row)) for row in rows])
    table = evidence_of(classifier, slices_of(manifest, "val")).table(classifier, stored)
    np.testing.assert_allclose(
        np.stack([answer.class_distances for answer in answers]), table.class_distances, atol=1e-4
    )


def test_a_tumor_of_unknown_type_is_no_neighbour(product):
    _, bundle, manifest = product
    known = evidence_of(Classifier(bundle), slices_of(manifest, "train"))
    rows = tuple(
        replace(row, label="tumor") if i % 3 == 0 else row
        for i, row in enumerate(known.manifest.rows)
    )
    mixed = replace(known, manifest=replace(known.manifest, rows=rows))
    found = mixed.trust_reference(FOUR_CLASS.classes, 42)
    assert len(found.places) == sum(row.label != "tumor" for row in rows)


@pytest.mark.parametrize("given", [None, DecisionRule()])
def test_each_slice_is_decoded_once_and_the_number_of_threads_changes_nothing(
    tmp_path, monkeypatch, given
):
    manifest = write_heads(tmp_path, groups=50)
    monkeypatch.setattr(module, "kinds_of", lambda: CHEAP)
    monkeypatch.setattr(module, "BATCH", 8)
    decoded = Counter()

    def counted(reference):
        decoded[reference] += 1
        return read_slice(reference)

    monkeypatch.setattr(dataset, "read_slice", counted)
    sections = {"bundle": {"refusal": {"per_kind": 20}, "weight_storage": "int8"}}
    config = run_config(tmp_path, **sections)
    prepare(config, FOUR_CLASS, manifest)
    made = make_product(config, FOUR_CLASS, graph_of(config, manifest), manifest, given)
    assert made.decision.out_of_distribution is not None
    for split, times in (("train", 1), ("val", 1), ("test", 0)):
        paths = [manifest.resolve(row) for row in manifest.subset(split).rows]
        assert {decoded[path] for path in paths} == {times}
    several = run_config(tmp_path, trainer={"threads": 4}, **sections)
    again = make_product(several, FOUR_CLASS, made.files["model.onnx"], manifest, given)
    assert again.decision == made.decision
    for name in ("trust.npz", "ood.npz"):
        np.testing.assert_equal(arrays_of(again.files[name]), arrays_of(made.files[name]))


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as stored:
        return dict(stored)
