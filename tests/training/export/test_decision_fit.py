from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_training import write_heads
from slicewise.data.tasks import BINARY, FOUR_CLASS, THREE_CLASS
from slicewise.fitting.acceptance import fit_acceptance
from slicewise.fitting.calibration import fit_bias_corrected, fit_temperature
from slicewise.fitting.conformal import fit_conformal
from slicewise.fitting.operating_point import (
    least_cost,
    target_sensitivity,
    target_specificity,
    youden_j,
)
from slicewise.inference.decision import Reason, probabilities_of, threshold_of
from slicewise.inference.rule import DecisionRule
from slicewise.predictions.table import PredictionTable
from slicewise.training.config import BundleConfig
from slicewise.training.export.decision_fit import fit_decision


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
