"""Tables of joined tumor classes hold what the model answered, not what would be likelier."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from builders import bundle_info, head_pixels
from builders_evaluation import FOUR, rule_of
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.evaluation import answering
from slicewise.evaluation.answering import answer_split
from slicewise.evaluation.labels import read_labels
from slicewise.evaluation.summary import summarise
from slicewise.imaging.preprocess import Placement
from slicewise.inference.bundle import Bundle, TaskInfo
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import Prediction, Reason, Verdict, probabilities_of
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


def test_maps_and_features_are_let_go():
    """Each is a part of the array of its batch, which any part, even an empty one, keeps alive."""
    answers = SplitClassifier().answers([SimpleNamespace(source=name) for name in SHARES])
    for answer in answering._without_maps(answers):
        assert (answer.cam.shape, answer.cam.base) == ((0, 2, 2), None)
        assert (answer.embedding.size, answer.embedding.base) == (0, None)
