from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders_training import run_config, write_heads
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import EvaluationError
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import CARD_NAME, load_bundle, write_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import REJECTING, Reason
from slicewise.inference.rule import DecisionRule
from slicewise.inference.trust import TrustReference
from slicewise.synthetic.ood.kinds import KINDS, ood_slices
from slicewise.training.config import ModelConfig
from slicewise.training.export import evidence
from slicewise.training.export.bundling import draft, exported, make_product
from slicewise.training.export.evidence import evidence_of, fit_refusal, seen_of, trust_reference_of
from slicewise.training.network.model import create_network

CHEAP = [KINDS[name] for name in ("gaussian_noise", "speckle_noise", "stripes")]
UNLIKE = {Reason.POSSIBLY_OUT_OF_DISTRIBUTION, Reason.OUT_OF_DISTRIBUTION}


def graph_of(config, manifest) -> bytes:
    torch.manual_seed(0)
    network = create_network(ModelConfig(name="small"), FOUR_CLASS, weights=None)
    return exported(config, network.eval(), manifest)


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Fifty validation slices of as many groups, three cheap kinds of strange pictures."""
    folder = tmp_path_factory.mktemp("heads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "kinds_of", lambda: CHEAP)
        manifest = write_heads(folder, groups=50)
        refusal = {"per_kind": 20, "reviewed": 0.05, "rejected": 0.02}
        config = run_config(folder, bundle={"refusal": refusal})
        made = make_product(config, FOUR_CLASS, graph_of(config, manifest), manifest)
        yield made, draft(made, config, FOUR_CLASS, manifest), manifest


def test_limits_survive_the_way_through_a_bundle_on_disk(product, tmp_path):
    made, bundle, manifest = product
    info = bundle.info.model_copy(update={"version": "0.1.0"})
    write_bundle(tmp_path / "bundle", info, {**made.files, CARD_NAME: b"card"})
    limits = load_bundle(tmp_path / "bundle").info.decision.out_of_distribution
    assert limits.fitted_on_kinds == tuple(sorted(kind.name for kind in CHEAP))
    classifier = Classifier.load(tmp_path / "bundle")
    rows = manifest.subset("test").rows
    real = classifier.predict([read_slice(manifest.resolve(row)) for row in rows])
    refused = [bool(UNLIKE & set(answer.reasons)) for answer in real]
    assert np.mean(refused) < 0.25
    for kind in ("gaussian_noise", "coloured_noise"):  # the second was not fitted on
        strange = classifier.predict(list(ood_slices(kind, 20, 99, [])))
        assert np.mean([bool(UNLIKE & set(answer.reasons)) for answer in strange]) > 0.9
        assert not any(answer.decision == "accept" for answer in strange)


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
    found = evidence_of(Classifier(bundle), manifest, "val")
    rows = manifest.subset("val").rows
    assert found.table.paths.tolist() == [row.path for row in rows]
    last = Classifier(bundle).forward([read_slice(manifest.resolve(rows[-1]))])
    np.testing.assert_allclose(found.table.logits[-1], last.logits[0], atol=1e-5)
    np.testing.assert_allclose(found.seen.embeddings[-1], last.embedding[0], atol=1e-5)


def test_too_few_validation_slices_are_refused(tmp_path):
    manifest = write_heads(tmp_path)
    config = run_config(tmp_path)
    made = make_product(config, FOUR_CLASS, graph_of(config, manifest), manifest)
    classifier = Classifier(draft(made, config, FOUR_CLASS, manifest))
    real = seen_of(classifier, manifest, "val")
    with pytest.raises(EvaluationError, match="expected 50 validation slices or more; got 8"):
        fit_refusal(classifier, manifest, real, real, config.bundle.refusal, 1)


def test_training_slices_are_remembered_by_class(product):
    """The bundle answers with the distances that its rule was fitted on."""
    made, bundle, manifest = product
    classifier = Classifier(bundle)
    known = seen_of(classifier, manifest, "train")
    again = trust_reference_of(classifier, manifest, known, 42)
    stored = TrustReference.from_bytes(made.trust, 4)
    np.testing.assert_array_equal(again.classes, stored.classes)
    rows = manifest.subset("val").rows
    answers = classifier.answers([read_slice(manifest.resolve(row)) for row in rows])
    table = evidence_of(classifier, manifest, "val", stored).table
    np.testing.assert_allclose(
        np.stack([answer.class_distances for answer in answers]), table.class_distances, atol=1e-4
    )


def test_a_tumor_of_an_untold_type_is_no_neighbour(product):
    _, bundle, manifest = product
    rows = [row for row in manifest.rows if row.split == "train"]
    untold = [replace(row, label="tumor") if i % 3 == 0 else row for i, row in enumerate(rows)]
    classifier = Classifier(bundle)
    known = seen_of(classifier, manifest, "train")
    found = trust_reference_of(classifier, replace(manifest, rows=tuple(untold)), known, 42)
    assert len(found.places) == sum(row.label != "tumor" for row in untold)


@pytest.mark.parametrize("given", [None, DecisionRule()])
def test_each_split_runs_through_the_graph_once(tmp_path, monkeypatch, given):
    manifest = write_heads(tmp_path, groups=50)
    monkeypatch.setattr(evidence, "kinds_of", lambda: CHEAP)
    config = run_config(tmp_path, bundle={"refusal": {"per_kind": 20}})
    asked = Counter()
    forward = Classifier.forward

    def counted(self, slices):
        asked.update(slice_.source for slice_ in slices)
        return forward(self, slices)

    monkeypatch.setattr(Classifier, "forward", counted)
    made = make_product(config, FOUR_CLASS, graph_of(config, manifest), manifest, given)
    assert made.decision.out_of_distribution is not None
    for split, times in (("train", 1), ("val", 1), ("test", 0)):
        paths = [str(manifest.resolve(row)) for row in manifest.subset(split).rows]
        assert {asked[path] for path in paths} == {times}
