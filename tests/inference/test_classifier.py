from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from builders import (
    CLASSES,
    decision_rule,
    fitted_rule,
    head_with_spot,
    make_slice,
    tiny_bundle,
)
from slicewise.errors import BundleError, ConfigError
from slicewise.imaging.appearance import APPEARANCE_NAMES
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.slice import Series
from slicewise.inference.bundle import MODEL_NAME, Bundle, TaskInfo
from slicewise.inference.classifier import Classifier, other_views
from slicewise.inference.decision import Reason, Verdict, probabilities_of
from slicewise.inference.ood import OodDetector, Whitening
from slicewise.inference.rule import Acceptance, DecisionRule
from slicewise.inference.trust import TrustReference


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier(tiny_bundle(tmp_path_factory.mktemp("b") / "tiny"))


def spots(count: int = 8) -> list:
    return [
        make_slice(head_with_spot(i % 4, seed=100 + i), source=f"{i}.png") for i in range(count)
    ]


def test_answers_what_the_network_learnt(classifier: Classifier) -> None:
    predictions = classifier.predict(spots())
    assert [p.label for p in predictions] == [CLASSES[i % 4] for i in range(8)]
    assert [p.source for p in predictions] == [f"{i}.png" for i in range(8)]


def test_every_field_follows_from_the_probabilities(classifier: Classifier) -> None:
    for prediction in classifier.predict(spots()):
        p = prediction.probabilities
        assert sum(p.values()) == pytest.approx(1)
        assert prediction.confidence == max(p.values()) == p[prediction.label]
        assert prediction.tumor_probability == pytest.approx(1 - p["no_tumor"])
        assert prediction.threshold == 0.4
        assert prediction.tumor_flag is (prediction.tumor_probability >= 0.4)
        assert prediction.bundle.sha256 == classifier.bundle.identity
        assert prediction.decision is Verdict.REVIEW
        assert prediction.prediction_set is None


def test_temperature_of_the_bundle_is_applied(classifier: Classifier) -> None:
    slice_ = spots(1)[0]
    logits = classifier.forward([slice_]).logits[0].astype(float) / 1.5
    expected = np.exp(logits) / np.exp(logits).sum()
    found = list(classifier.predict([slice_])[0].probabilities.values())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("spoilt", range(3))
def test_numbers_that_are_none_are_an_error_and_no_answer(
    classifier: Classifier, spoilt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spoilt:
        def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            outputs = [value.copy() for value in session.run(names, inputs)]
            outputs[spoilt].flat[0] = np.nan
            return outputs

    session = classifier._session
    monkeypatch.setattr(classifier, "_session", Spoilt())
    with pytest.raises(BundleError, match="expected finite numbers"):
        classifier.predict(spots(2))


def test_batch_gives_what_single_slices_give(classifier: Classifier) -> None:
    together = classifier.answers(spots())
    for slice_, answer in zip(spots(), together, strict=True):
        alone = classifier.answers([slice_])[0]
        np.testing.assert_allclose(
            list(alone.prediction.probabilities.values()),
            list(answer.prediction.probabilities.values()),
            atol=1e-5,
        )
        np.testing.assert_allclose(alone.cam, answer.cam, atol=1e-5)


def test_threads_never_mix_answers(classifier: Classifier) -> None:
    slices = spots(4) * 12
    alone = [classifier.predict([s])[0].probabilities for s in slices[:4]] * 12
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda s: classifier.predict([s])[0].probabilities, slices))
    assert found == alone


def test_threshold_override_moves_the_flag_and_says_so(classifier: Classifier) -> None:
    slice_ = spots(1)
    low, high = (classifier.predict(slice_, threshold=t)[0] for t in (0.0, 1.0))
    assert (low.tumor_flag, high.tumor_flag) == (True, False)
    assert Reason.THRESHOLD_OVERRIDDEN in low.reasons


def test_views_are_averaged(classifier: Classifier) -> None:
    slice_ = make_slice(head_with_spot(1, at=(0.4, 0.35)))
    image = preprocess(slice_.pixels, classifier.bundle.info.preprocessing).image[None]
    views = [image, *other_views(image)]
    expected = np.mean(
        [probabilities_of(classifier.run(to_batch(v)).logits[0], 1.5) for v in views], axis=0
    )
    found = classifier.predict([slice_], tta=True)[0].probabilities
    assert len(views) == 6
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-6)
    assert found != classifier.predict([slice_])[0].probabilities


def test_blank_slice_is_rejected(classifier: Classifier) -> None:
    prediction = classifier.predict([make_slice(np.zeros((64, 64)))])[0]
    assert (prediction.decision, prediction.reasons) == (Verdict.REJECT, [Reason.BLANK_IMAGE])


def test_task_without_negative_class_has_no_tumor_fields(tmp_path: Path) -> None:
    task = TaskInfo(name="letters", classes=("a", "b", "c", "d"))
    prediction = Classifier(tiny_bundle(tmp_path / "t", task=task)).predict(spots(1))[0]
    assert prediction.tumor_probability is None
    assert prediction.tumor_flag is None
    assert prediction.threshold is None


def test_nothing_in_nothing_out(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_study_of_a_series(classifier: Classifier) -> None:
    corners = [2, 2, 2, 0, 0, 0, 2, 2]
    slices = [make_slice(head_with_spot(c, seed=i), source=f"s#{i}") for i, c in enumerate(corners)]
    series = Series(slices, "s", is_volume=True, plane="axial")
    study = classifier.study(series, classifier.predict(slices))
    assert study.study.label == "glioma"
    assert study.study.key_slices == ["s#3", "s#4", "s#5"]
    assert (study.study.slices_flagged, study.study.slices_total) == (3, 8)


def test_foreign_graph_is_refused(classifier: Classifier) -> None:
    import onnx

    graph = onnx.load_from_string(classifier.bundle.files[MODEL_NAME])
    graph.graph.output[1].name = graph.graph.node[-1].output[0]
    del graph.graph.output[1]
    files = {**classifier.bundle.files, MODEL_NAME: graph.SerializeToString()}
    with pytest.raises(BundleError, match="outputs logits, cam, embedding"):
        Classifier(Bundle(classifier.bundle.info, "x", files))


def test_unreadable_graph_is_refused(classifier: Classifier) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx"):
        Classifier(Bundle(classifier.bundle.info, "x", {MODEL_NAME: b"not a graph"}))


def test_graph_of_another_task_is_refused(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "t")
    task = TaskInfo(name="two", classes=("a", "b"))
    info = bundle.info.model_copy(update={"task": task})
    with pytest.raises(BundleError, match=r"logits: expected \(N, 2\).*got \(N, 4\)"):
        Classifier(Bundle(info, "x", bundle.files))
    spec = bundle.info.preprocessing.model_copy(update={"size": 96})
    with pytest.raises(BundleError, match=r"image: expected \(N, 1, 96, 96\)"):
        Classifier(
            Bundle(bundle.info.model_copy(update={"preprocessing": spec}), "x", bundle.files)
        )


def test_blank_slice_raises_no_flag(classifier: Classifier) -> None:
    assert classifier.predict([make_slice(np.zeros((64, 64)))], threshold=0)[0].tumor_flag is None


def test_slices_of_several_requests_share_a_pass_and_keep_their_own_thresholds(
    classifier: Classifier,
) -> None:
    limits = [classifier.threshold(), classifier.threshold(0.99)] * 4
    together = classifier.answer_ready([classifier.prepare(s) for s in spots()], limits)
    for slice_, limit, answer in zip(spots(), limits, together, strict=True):
        override = 0.99 if limit.value == 0.99 else None
        alone = classifier.answers([slice_], threshold=override)[0]
        assert answer.prediction.label == alone.prediction.label
        assert answer.prediction.reasons == alone.prediction.reasons
        assert answer.prediction.threshold == limit.value
        np.testing.assert_allclose(answer.logits, alone.logits, atol=1e-4)
        assert answer.ood_score is None  # the tiny bundle has no detector


def trust_limit() -> DecisionRule:
    acceptance = Acceptance(trust=1.5, target=0.99, accuracy=0.99, coverage=0.7, n=40, groups=20)
    return decision_rule().model_copy(update={"acceptance": acceptance})


def detector(width: int) -> bytes:
    numbers = len(APPEARANCE_NAMES)
    parts = (
        Whitening(np.zeros(n, "f4"), np.eye(n, dtype="f4")[:2], np.array([0, 1], "f4"))
        for n in (width, numbers)
    )
    return OodDetector(
        *parts, np.ones(numbers, "f4"), np.zeros(12, "f4"), np.array([0.5], "f4")
    ).to_bytes()


def reference(width: int) -> bytes:
    centre, axes, places = np.zeros(width), np.eye(2, width), np.tile([1.0, 0.0], (4, 1))
    numbers = np.arange(4)
    return TrustReference(centre, axes, places, numbers, numbers, np.array([1])).to_bytes()


class TestParts:
    """The arrays that a bundle holds beside its graph, whose embedding has 16 numbers."""

    @pytest.fixture
    def with_part(self, classifier: Classifier) -> Callable[..., Classifier]:
        def build(rule: DecisionRule, **files: bytes) -> Classifier:
            named = {f"{name}.npz": content for name, content in files.items()}
            info = classifier.bundle.info.model_copy(update={"decision": rule})
            return Classifier(Bundle(info, "x", {**classifier.bundle.files, **named}))

        return build

    def test_they_score_every_slice(self, with_part: Callable[..., Classifier]) -> None:
        found = with_part(fitted_rule(), ood=detector(16), trust=reference(16)).answers(spots(2))
        assert [answer.ood_score for answer in found] == [0.5, 0.5]
        assert [answer.class_distances.shape for answer in found] == [(4,), (4,)]
        assert Reason.POSSIBLY_OUT_OF_DISTRIBUTION in found[0].prediction.reasons

    def test_a_limit_needs_its_file(self, with_part: Callable[..., Classifier]) -> None:
        with pytest.raises(BundleError, match=r"bundle tiny 0\.1\.0, trust\.npz: .*got none"):
            with_part(trust_limit())
        with pytest.raises(BundleError, match=r"bundle tiny 0\.1\.0, ood\.npz: .*got none"):
            with_part(fitted_rule())

    def test_those_of_another_graph_are_refused(self, with_part: Callable[..., Classifier]) -> None:
        with pytest.raises(BundleError, match=r"ood\.npz: expected embeddings of 16 .*got 8"):
            with_part(fitted_rule(), ood=detector(8))
        with pytest.raises(BundleError, match=r"trust\.npz: expected embeddings of 16 .*got 8"):
            with_part(trust_limit(), trust=reference(8))
        with pytest.raises(BundleError, match=r"trust\.npz: expected arrays"):
            with_part(decision_rule(), trust=b"broken")


def test_the_colour_limit_of_the_bundle_counts(classifier: Classifier) -> None:
    coloured = make_slice(head_with_spot(0), colour=0.05)
    info = classifier.bundle.info
    strict = info.study.model_copy(update={"colour_limit": 0.01})
    stricter = Bundle(info.model_copy(update={"study": strict}), "x", classifier.bundle.files)
    assert Reason.COLOUR_PICTURE not in classifier.predict([coloured])[0].reasons
    assert Classifier(stricter).predict([coloured])[0].reasons == [Reason.COLOUR_PICTURE]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_probability(classifier: Classifier, threshold: float) -> None:
    with pytest.raises(ConfigError, match="expected a number from 0 to 1"):
        classifier.predict(spots(1), threshold=threshold)
