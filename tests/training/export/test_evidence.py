from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import EvaluationError
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import CARD_NAME, TRUST_NAME, load_bundle, write_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import REJECTING, Reason
from slicewise.inference.rule import DecisionRule
from slicewise.inference.trust import TrustReference
from slicewise.synthetic.ood.kinds import KINDS, ood_slices
from slicewise.training.config import ModelConfig
from slicewise.training.data import dataset
from slicewise.training.data.dataset import DecodedSlices, load_slices
from slicewise.training.export import evidence
from slicewise.training.export.bundling import draft, exported, make_product
from slicewise.training.export.evidence import evidence_of, fit_refusal
from slicewise.training.loop.train import prepare
from slicewise.training.network.model import create_network

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
        patch.setattr(evidence, "kinds_of", lambda: CHEAP)
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
    monkeypatch.setattr(evidence, "kinds_of", lambda: CHEAP)
    monkeypatch.setattr(evidence, "BATCH", 8)
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
