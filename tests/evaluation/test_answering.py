"""Tables of joined tumor classes hold what the model answered, not what would be likelier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import bundle_info, head_pixels
from builders_evaluation import FOUR, rule_of
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.evaluation import metrics
from slicewise.evaluation.answering import answer_split
from slicewise.evaluation.labels import read_labels
from slicewise.evaluation.predictions import PredictionTable
from slicewise.evaluation.summary import summarise
from slicewise.figures.bootstrap import Bootstrap
from slicewise.imaging.preprocess import Placement
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import Prediction, Reason, Verdict, probabilities_of

SHARES = {
    "0.png": {"glioma": 0.3, "meningioma": 0.3, "no_tumor": 0.4, "pituitary": 0.0001},
    "1.png": {"glioma": 0.5, "meningioma": 0.1, "no_tumor": 0.3, "pituitary": 0.1},
    "2.png": {"glioma": 0.1, "meningioma": 0.1, "no_tumor": 0.7, "pituitary": 0.1},
}


class SplitClassifier:
    """Answers with the probabilities above: the most probable class of four."""

    def __init__(self) -> None:
        self.bundle = Bundle(bundle_info(decision=rule_of(None, 0.5)), "cd" * 32, {})

    def answers(self, slices):
        return [self._answer(slice_.source) for slice_ in slices]

    def _answer(self, source: str) -> Answer:
        logits = np.log([SHARES[Path(source).name][name] for name in FOUR]).astype(np.float32)
        shares = probabilities_of(logits[None], None, None)[0]
        label = FOUR[int(shares.argmax())]
        tumor = float(1 - shares[FOUR.index("no_tumor")])
        prediction = Prediction(
            source=source,
            label=label,
            probabilities=dict(zip(FOUR, map(float, shares), strict=True)),
            confidence=float(shares.max()),
            tumor_probability=tumor,
            tumor_flag=tumor >= 0.5,
            threshold=0.5,
            prediction_set=None,
            decision=Verdict.REVIEW,
            reasons=[Reason.NOT_CALIBRATED],
            bundle=self.bundle.reference,
            timing_ms=1.0,
        )
        maps, embedding = np.zeros((4, 2, 2), np.float32), np.zeros(8, np.float32)
        return Answer(prediction, logits, maps, embedding, Placement(0, 0, 96))


def table_of_labels(folder: Path, tumor: str) -> PredictionTable:
    """Answers for a slice without a tumor, one with, and one with that is missed."""
    labels, rows = ("no_tumor", tumor, tumor), []
    for name, label in zip(SHARES, labels, strict=True):
        pixels = np.clip(head_pixels(96, seed=int(name[0])) / 6, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
        rows.append(ManifestRow(name, label, "made", "", name, "test", "0" * 64, 96, 96))
    classifier = SplitClassifier()
    known = read_labels(labels, classifier.bundle.info.task, {})
    found = answer_split(Manifest(tuple(rows), folder), rows, [classifier], known, lambda: None)
    return found.tables[0]


def test_the_answer_of_a_joined_table_is_that_of_the_model(tmp_path):
    table = table_of_labels(tmp_path, "tumor")
    assert table.classes == ("no_tumor", "tumor")
    assert [table.classes[k] for k in table.predicted] == ["no_tumor", "tumor", "no_tumor"]
    assert table.probabilities()[0] == pytest.approx([0.4, 0.6], abs=1e-3)
    assert table.confidence == pytest.approx([0.4, 0.7, 0.7], abs=1e-3)
    assert table.tumor_flag().tolist() == [True, True, False]
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
