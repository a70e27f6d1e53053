"""Tables of joined tumor classes hold what the model answered, not what would be likelier."""

from __future__ import annotations

import hashlib
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import bundle_info, fitted_rule, head_pixels, head_with_spot, make_slice, tiny_bundle
from builders_evaluation import FOUR, rule_of, table_of
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError
from slicewise.evaluation import answering
from slicewise.evaluation.answering import answer_split, verdict_columns, with_verdicts
from slicewise.evaluation.labels import read_labels
from slicewise.evaluation.summary import summarise
from slicewise.fitting.acceptance import fit_neighbours
from slicewise.imaging.preprocess import Placement
from slicewise.inference.bundle import TRUST_NAME, Bundle, TaskInfo
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.decision import REJECTING, Prediction, Reason, Verdict, probabilities_of
from slicewise.inference.rule import Acceptance, DecisionRule
from slicewise.inference.trust import TrustReference, trust_scores
from slicewise.predictions.table import PredictionTable
from slicewise.stats import metrics
from slicewise.stats.bootstrap import Bootstrap

SHARES = {
    "0.png": {"glioma": 0.3, "meningioma": 0.3, "no_tumor": 0.4, "pituitary": 0.0001},
    "1.png": {"glioma": 0.5, "meningioma": 0.1, "no_tumor": 0.3, "pituitary": 0.1},
    "2.png": {"glioma": 0.1, "meningioma": 0.1, "no_tumor": 0.7, "pituitary": 0.1},
}


class SplitClassifier:
    """Answers with the probabilities above: the most probable class of four.

    The order of the classes of its network makes no difference to them.
    """

    def __init__(self, classes=FOUR) -> None:
        task = TaskInfo(name="four_class", classes=classes, negative_class="no_tumor")
        info = bundle_info(decision=rule_of(None, 0.5), task=task)
        self.bundle = Bundle(info, "cd" * 32, {})

    def answers(self, slices):
        maps = np.zeros((len(slices), 4, 2, 2), np.float32)
        features = np.zeros((len(slices), 8), np.float32)
        return [
            self._answer(s.source, *own) for s, *own in zip(slices, maps, features, strict=True)
        ]

    def _answer(self, source: str, cam: np.ndarray, embedding: np.ndarray) -> Answer:
        classes = self.bundle.classes
        logits = np.log([SHARES[Path(source).name][name] for name in classes]).astype(np.float32)
        shares = probabilities_of(logits[None], None, None)[0]
        label = classes[int(shares.argmax())]
        tumor = float(1 - shares[classes.index("no_tumor")])
        prediction = Prediction(
            source=source,
            label=label,
            probabilities=dict(zip(classes, map(float, shares), strict=True)),
            confidence=float(shares.max()),
            tumor_probability=tumor,
            tumor_flag=tumor >= 0.5,
            threshold=0.5,
            prediction_set=[name for name in FOUR if SHARES[Path(source).name][name] > 0.25],
            decision=Verdict.REVIEW,
            reasons=[Reason.NOT_CALIBRATED],
            bundle=self.bundle.reference,
            timing_ms=1.0,
        )
        apart = np.array([0.5 + FOUR.index(name) for name in classes])
        return Answer(
            prediction, logits, cam, embedding, Placement(0, 0, 96), None, class_distances=apart
        )


def tables_of_labels(folder: Path, tumor: str, *classifiers) -> tuple[PredictionTable, ...]:
    """Answers for a slice without a tumor, one with, and one with that is missed."""
    labels, rows = ("no_tumor", tumor, tumor), []
    for name, label in zip(SHARES, labels, strict=True):
        pixels = np.clip(head_pixels(96, seed=int(name[0])) / 6, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
        rows.append(
            ManifestRow(name, label, "made", "", name, "test", sha_of(folder / name), 96, 96)
        )
    known = read_labels(labels, classifiers[0].bundle.info.task, {})
    found = answer_split(Manifest(tuple(rows), folder), rows, classifiers, known, lambda: None)
    return found.tables


def table_of_labels(folder: Path, tumor: str) -> PredictionTable:
    return tables_of_labels(folder, tumor, SplitClassifier())[0]


def sha_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_answer_of_a_joined_table_is_that_of_the_model(tmp_path):
    table = table_of_labels(tmp_path, "tumor")
    assert table.classes == ("no_tumor", "tumor")
    assert [table.classes[k] for k in table.predicted] == ["no_tumor", "tumor", "no_tumor"]
    assert table.probabilities()[0] == pytest.approx([0.4, 0.6], abs=1e-3)
    assert table.confidence == pytest.approx([0.4, 0.7, 0.7], abs=1e-3)
    assert table.tumor_flag().tolist() == [True, True, False]
    # Of any tumor the nearest kind: glioma at 0.5; no tumor is at 2.5.
    np.testing.assert_array_equal(table.class_distances, [[2.5, 0.5]] * 3)
    assert set(table.verdicts) == {"review"}
    report = summarise(table, Bootstrap(20), "not measured")
    assert report["accuracy"]["value"] == pytest.approx(2 / 3)
    gaps = metrics.ece_of(table.confidence, np.array([True, True, False]))
    assert report["ece"]["value"] == pytest.approx(gaps)


def test_a_table_of_all_classes_keeps_decisions_of_the_model(tmp_path):
    table = table_of_labels(tmp_path, "glioma")
    assert table.classes == FOUR
    assert table.answered is None
    assert [FOUR[k] for k in table.predicted] == ["no_tumor", "glioma", "no_tumor"]
    assert set(table.verdicts) == {"review"}
    assert set(table.reasons) == {"not_calibrated"}


@pytest.mark.parametrize("tumor", ["glioma", "tumor"])
def test_a_rival_in_another_class_order_is_read_by_name(tmp_path, tumor):
    models = SplitClassifier(), SplitClassifier(FOUR[::-1])
    first, other = tables_of_labels(tmp_path, tumor, *models)
    assert other.classes == first.classes
    np.testing.assert_allclose(other.logits, first.logits, atol=1e-6)
    np.testing.assert_array_equal(other.sets, first.sets)
    np.testing.assert_array_equal(other.class_distances, first.class_distances)
    np.testing.assert_array_equal(other.predicted, first.predicted)
    right = summarise(other, Bootstrap(20), "not measured")["accuracy"]["value"]
    assert right == pytest.approx(2 / 3)


def test_maps_and_features_are_let_go(tmp_path, monkeypatch):
    """Those of a whole split would fill the memory."""
    made: list[weakref.ref[np.ndarray]] = []

    class Watched(SplitClassifier):
        def answers(self, slices):
            assert not any(known() is not None for known in made)
            found = super().answers(slices)
            made.extend(weakref.ref(part) for one in found for part in (one.cam, one.embedding))
            return found

    monkeypatch.setattr(answering, "BATCH", 1)
    assert tables_of_labels(tmp_path, "glioma", Watched())[0].n == 3
    assert len(made) == 6


CLASSES = ("glioma", "no_tumor", "pituitary")
SMALLEST = {"glioma": 0.2, "no_tumor": 0.6, "pituitary": 0.05}


def three_slices() -> PredictionTable:
    shares = np.array([[0.5, 0.4, 0.1], [0.1, 0.88, 0.02], [0.9, 0.06, 0.04]])
    names = np.array(["a", "b", "c"])
    return PredictionTable(
        classes=CLASSES,
        negative_class="no_tumor",
        logits=np.log(shares).astype(np.float32),
        targets=np.array([0, 1, 2]),
        groups=names,
        sources=names,
        paths=names,
    )


def rule_of_temperature_one() -> DecisionRule:
    rule = fitted_rule(threshold=0.5, smallest=SMALLEST, confidence=0.85)
    return rule.model_copy(update={"temperature": 1.0})


def test_known_shares_give_known_decisions() -> None:
    found = with_verdicts(
        three_slices(), rule_of_temperature_one(), [[], [], [Reason.COLOUR_PICTURE]]
    )
    assert found.verdicts.tolist() == ["review", "accept", "reject"]
    assert found.reasons.tolist() == [
        "several_classes_possible;low_confidence",
        "",
        "colour_picture",
    ]
    # The most probable class stays, whatever its limit; the others where they reach their own.
    assert found.sets.tolist() == [[True, False, True], [False, True, False], [True, False, False]]
    np.testing.assert_array_equal(found.thresholds, [0.5] * 3)


def test_the_most_probable_class_stays_below_its_own_limit() -> None:
    rule = fitted_rule(smallest=dict.fromkeys(CLASSES, 0.95))
    found = with_verdicts(three_slices(), rule, [()] * 3)
    np.testing.assert_array_equal(found.sets.argmax(axis=1), found.predicted)
    assert found.sets.sum(axis=1).tolist() == [1, 1, 1]


def test_without_an_operating_point_the_threshold_is_said_to_be_assumed() -> None:
    rule = rule_of_temperature_one().model_copy(update={"operating_point": None})
    found = with_verdicts(three_slices(), rule, [()] * 3)
    assert found.verdicts[1] == "accept"
    assert found.reasons[1] == "threshold_not_fitted"


def test_what_was_decided_before_does_not_matter() -> None:
    table = table_of()
    rule = fitted_rule()
    once = with_verdicts(table, rule, [()] * table.n)
    other = fitted_rule(confidence=0.2).model_copy(update={"temperature": 9.0, "conformal": None})
    again = with_verdicts(with_verdicts(table, other, [()] * table.n), rule, [()] * table.n)
    for name in ("verdicts", "reasons", "sets", "temperatures", "thresholds"):
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))


def trusting(least: float) -> DecisionRule:
    acceptance = Acceptance(trust=least, target=0.99, accuracy=1, coverage=0.7, n=9, groups=9)
    return rule_of_temperature_one().model_copy(update={"acceptance": acceptance})


def test_trust_decides_where_the_rule_has_a_limit_of_it() -> None:
    apart = np.array([[1.0, 1.2, 1.1], [1.0, 0.5, 1.0], [1.0, 1.6, 1.5]])
    table = replace(three_slices(), class_distances=apart)
    assert table.trust.tolist() == pytest.approx([1.1, 2.0, 1.5])
    found = with_verdicts(table, trusting(1.5), [()] * 3)
    assert found.verdicts.tolist() == ["review", "accept", "accept"]
    assert found.reasons.tolist() == ["several_classes_possible;low_trust", "", ""]


def test_a_limit_of_trust_needs_distances() -> None:
    with pytest.raises(EvaluationError, match="needs class_distances; the table holds none"):
        with_verdicts(three_slices(), trusting(1.5), [()] * 3)


def test_joined_classes_cannot_be_decided_again() -> None:
    table = three_slices()
    with pytest.raises(EvaluationError, match="expected logits of a model"):
        with_verdicts(replace(table, answered=table.targets), fitted_rule(), [()] * 3)


def test_a_table_is_decided_as_the_classifier_decides(tmp_path) -> None:
    rule = fitted_rule(confidence=0.6).model_copy(update={"out_of_distribution": None})
    classifier = Classifier(tiny_bundle(tmp_path / "bundle", decision=rule))
    slices = [make_slice(head_with_spot(k % 4, seed=k), source=f"{k}.png") for k in range(12)]
    slices.append(make_slice(np.full((128, 128), 7.0, np.float32), source="blank.png"))
    slices.append(make_slice(source="modality.dcm", modality="CT"))
    answers = classifier.answers(slices)
    said = [answer.prediction for answer in answers]
    names = np.array([slice_.source for slice_ in slices])
    table = PredictionTable(
        classes=classifier.bundle.classes,
        negative_class="no_tumor",
        logits=np.stack([answer.logits for answer in answers]),
        targets=np.zeros(len(slices), dtype=np.int64),
        groups=names,
        sources=names,
        paths=names,
    )
    concerns = [[reason for reason in one.reasons if reason in REJECTING] for one in said]
    found = with_verdicts(table, rule, concerns)
    expected = verdict_columns(said, classifier.bundle.classes)
    for name, column in expected.items():
        np.testing.assert_array_equal(getattr(found, name), column)
    assert set(found.verdicts) == {"review", "reject"}


def test_a_table_is_trusted_as_the_classifier_trusts(tmp_path) -> None:
    """Half of the slices are remembered, each as one of four classes."""
    bundle = tiny_bundle(tmp_path / "bundle", decision=DecisionRule())
    slices = [make_slice(head_with_spot(k % 4, seed=k), source=f"{k}.png") for k in range(24)]
    plain = Classifier(bundle).answers(slices)
    embeddings = np.stack([answer.embedding for answer in plain])
    own, names = np.arange(12) % 4, np.array([slice_.source for slice_ in slices])
    known = fit_neighbours(embeddings[:12], own, names[:12], 4, seed=0)
    answered = [bundle.classes.index(answer.prediction.label) for answer in plain]
    least = float(np.median(trust_scores(known.class_distances(embeddings), answered)))
    classifier = Classifier(remembering(bundle, known, least))
    answers = classifier.answers(slices)
    table = PredictionTable(
        classes=classifier.bundle.classes,
        negative_class="no_tumor",
        logits=np.stack([answer.logits for answer in answers]),
        targets=np.arange(24) % 4,
        groups=names,
        sources=names,
        paths=names,
        class_distances=np.stack([answer.class_distances for answer in answers]),
    )
    said = [answer.prediction for answer in answers]
    unlike = [[r for r in one.reasons if r is Reason.POSSIBLY_OUT_OF_DISTRIBUTION] for one in said]
    found = with_verdicts(table, classifier.bundle.info.decision, unlike)
    expected = verdict_columns(said, classifier.bundle.classes)
    np.testing.assert_array_equal(found.verdicts, expected["verdicts"])
    np.testing.assert_array_equal(found.reasons, expected["reasons"])
    trusted = np.array(["low_trust" not in one.reasons for one in said])
    np.testing.assert_array_equal(trusted, table.trust >= least)
    assert 0 < trusted.sum() < 24


def remembering(bundle: Bundle, known: TrustReference, least: float) -> Bundle:
    """The bundle with places of slices and a limit of trust, and no limits on strange pictures."""
    changes = {"conformal": fitted_rule().conformal, "out_of_distribution": None}
    info = bundle.info.model_copy(update={"decision": trusting(least).model_copy(update=changes)})
    return replace(bundle, info=info, files={**bundle.files, TRUST_NAME: known.to_bytes()})
