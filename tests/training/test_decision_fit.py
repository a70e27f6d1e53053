from __future__ import annotations

import numpy as np
import pytest

from builders_training import write_heads
from slicewise.data.tasks import BINARY, FOUR_CLASS, THREE_CLASS
from slicewise.evaluation.calibration import fit_temperature
from slicewise.inference.decision import DecisionRule, probabilities_of
from slicewise.training.decision_fit import fit_decision, prediction_table
from slicewise.training.run import SplitData


def table_of(folder, task, logits):
    """Two slices of each class in one group each, in the order of the classes."""
    manifest = write_heads(folder, groups=1, classes=task.classes)
    targets = np.repeat(np.arange(len(task.classes)), 2)
    images = np.zeros((len(targets), 32, 32), np.uint8)
    return prediction_table(task, SplitData(manifest, images, targets), logits)


def logits_of(task, right: float, wrong: int = 0) -> np.ndarray:
    targets = np.repeat(np.arange(len(task.classes)), 2)
    logits = np.eye(len(task.classes), dtype=np.float32)[targets] * right
    logits[:wrong] = logits[:wrong, ::-1]
    return logits


def test_logits_stand_beside_what_is_known(tmp_path):
    table = table_of(tmp_path, FOUR_CLASS, logits_of(FOUR_CLASS, 3.0))
    assert table.classes == FOUR_CLASS.classes
    assert list(table.groups[:3]) == ["glioma-0", "glioma-0", "meningioma-0"]
    assert set(table.sources) == {"even"}
    assert table.paths[2] == "meningioma/1000.png"


def test_temperature_then_threshold_on_calibrated_scores(tmp_path):
    logits = logits_of(FOUR_CLASS, 3.0, wrong=1)
    logits[6] += np.array([0.5, 0, 0, 0], np.float32)
    table = table_of(tmp_path, FOUR_CLASS, logits)
    rule = fit_decision(table, "the validation split")
    assert rule.temperature == pytest.approx(fit_temperature(logits, table.targets))
    point = rule.operating_point
    assert (point.rule, point.sensitivity, point.specificity) == ("youden_j", 1.0, 1.0)
    assert (point.n, point.groups) == (8, 4)
    scores = 1 - probabilities_of(logits, rule.temperature)[:, 2]
    tumor = table.targets != 2
    assert scores[~tumor].max() < point.threshold <= scores[tumor].min()


def test_a_task_without_a_negative_class_has_no_threshold(tmp_path):
    rule = fit_decision(
        table_of(tmp_path, THREE_CLASS, logits_of(THREE_CLASS, 3.0, wrong=1)), "here"
    )
    assert rule.operating_point is None
    assert rule.temperature is not None


def test_what_cannot_be_fitted_stays_unfitted(tmp_path):
    """All right, so no temperature is best; all scores alike, so no threshold is."""
    flat = np.zeros((4, 2), np.float32)
    assert fit_decision(table_of(tmp_path, BINARY, flat), "here").operating_point is None
    perfect = fit_decision(table_of(tmp_path, BINARY, logits_of(BINARY, 3.0)), "here")
    assert perfect.temperature is None
    assert perfect.operating_point is not None
    assert perfect != DecisionRule()
