"""Calibrations compared on groups that did not fit them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from builders_reports import files_of, table_of_section
from slicewise.evaluation.sections.calibration_comparison import (
    calibration_section,
    compare_calibrations,
    draw_calibration,
)
from slicewise.fitting.calibration import fit_bias_corrected, fit_temperature
from slicewise.inference.decision import probabilities_of
from slicewise.predictions.table import PredictionTable
from slicewise.stats.bootstrap import Bootstrap
from slicewise.stats.metrics import brier, ece

CLASSES = ("glioma", "meningioma", "no_tumor")
FEW = Bootstrap(resamples=40)


def table_of(bias: tuple[float, ...], n: int = 1200, groups: int = 60) -> PredictionTable:
    """Logits three times too sharp, whose truth has class biases."""
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=4, size=(n, 3)).astype(np.float32)
    cumulative = probabilities_of(logits, 3.0, np.array(bias)).cumsum(axis=1)
    return PredictionTable(
        classes=CLASSES,
        negative_class="no_tumor",
        logits=logits,
        targets=(rng.random((n, 1)) > cumulative).sum(axis=1).clip(max=2).astype(np.int64),
        groups=np.array([f"g{i % groups}" for i in range(n)]),
        sources=np.full(n, "s"),
        paths=np.array([f"{i}.png" for i in range(n)]),
    )


def test_every_group_is_calibrated_by_others():
    table = table_of((1.0, -1.0, 0.0))
    compared = compare_calibrations(table, folds=4)
    after = compared.tables["bias_corrected"]
    fits = {float(value) for value in after.temperatures}
    assert len(fits) == 4
    for temperature in fits:
        mine = after.temperatures == temperature
        assert not set(table.groups[mine]) & set(table.groups[~mine])
        own, biases = fit_bias_corrected(table.logits[~mine], table.targets[~mine])
        assert own == temperature
        np.testing.assert_array_equal(after.biases[mine], np.tile(biases, (mine.sum(), 1)))
        alone = compared.tables["temperature"].temperatures[mine]
        assert set(alone) == {fit_temperature(table.logits[~mine], table.targets[~mine])}


def test_labels_of_a_group_do_not_reach_its_own_calibration():
    table = table_of((1.0, -1.0, 0.0))
    turned = table.groups == "g7"
    targets = table.targets.copy()
    targets[turned] = np.roll(targets[turned], 1)  # the same classes, so the same parts
    assert (targets != table.targets).any()
    other = replace(table, targets=targets)
    before, after = (compare_calibrations(t).tables["bias_corrected"] for t in (table, other))
    np.testing.assert_array_equal(before.probabilities()[turned], after.probabilities()[turned])
    assert (before.temperatures != after.temperatures).any()


def test_biases_help_where_there_are_any_and_not_where_there_are_none():
    shifted = compare_calibrations(table_of((1.5, -1.5, 0.0))).as_json(FEW)
    change = shifted["change"]["bias_corrected_minus_temperature"]
    assert change["nll"]["ci_high"] < 0
    assert shifted["change"]["temperature_minus_uncalibrated"]["nll"]["ci_high"] < 0
    plain = compare_calibrations(table_of((0.0, 0.0, 0.0))).as_json(FEW)
    assert abs(plain["change"]["bias_corrected_minus_temperature"]["nll"]["value"]) < 0.01


def test_the_figures_are_those_of_the_cross_fitted_probabilities():
    compared = compare_calibrations(table_of((1.0, 0.0, 0.0), n=300))
    figures = compared.as_json(FEW)["methods"]
    for method, table in compared.tables.items():
        probabilities = table.probabilities()
        assert figures[method]["ece"]["value"] == ece(probabilities, table.targets)
        assert figures[method]["brier"]["value"] == brier(probabilities, table.targets)
        expected = -np.log(probabilities[np.arange(300), table.targets]).mean()
        assert figures[method]["nll"]["value"] == pytest.approx(expected)


def test_the_fits_of_the_table_itself_are_not_looked_at():
    table = table_of((0.0, 0.0, 0.0), n=300)
    fitted = replace(table, temperatures=np.full(300, 9.0), biases=np.ones((300, 3)))
    assert compare_calibrations(fitted).as_json(FEW) == compare_calibrations(table).as_json(FEW)


def test_what_cannot_be_fitted_is_said():
    table = table_of((0.0, 0.0, 0.0), n=60)
    right = replace(table, logits=np.eye(3, dtype=np.float32)[table.targets] * 5)
    compared = compare_calibrations(right)
    figure = compared.as_json(FEW)["methods"]["temperature"]["ece"]
    assert figure["value"] is None
    assert "expected some wrong answers" in figure["reason"]
    assert compared.as_json(FEW)["description"].startswith("No calibration could be fitted: ")


def test_a_class_of_one_group_cannot_be_compared():
    table = table_of((0.0, 0.0, 0.0), n=90)
    by_class = np.where(table.targets == 0, "lone", table.groups)
    compared = compare_calibrations(replace(table, groups=by_class))
    reason = "calibrations: expected two groups of every class; got one of some"
    assert compared.failed == {"temperature": reason, "bias_corrected": reason}
    assert compared.as_json(FEW)["methods"]["uncalibrated"]["brier"]["value"] is not None


def test_there_are_no_more_parts_than_groups_of_a_class():
    table = table_of((0.0, 0.0, 0.0), n=300)
    few = table.targets == 1
    groups = np.where(few, np.array(["x", "y", "z"])[np.arange(300) % 3], table.groups)
    compared = compare_calibrations(replace(table, groups=groups))
    assert compared.folds == 3
    assert len(set(compared.tables["temperature"].temperatures)) == 3


def test_picture_and_section(tmp_path):
    compared = compare_calibrations(table_of((1.0, -1.0, 0.0), n=300))
    draw_calibration(compared, "temperature", tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width > 1.5 * picture.height
    section = calibration_section(compared.as_json(FEW), tmp_path / "c.png")
    rows = table_of_section(section).rows
    assert [row[0] for row in rows] == [
        *("uncalibrated", "temperature", "bias corrected"),
        *("temperature minus uncalibrated", "bias corrected minus temperature"),
    ]
    assert rows[3][3].startswith("-")
    assert " to " in rows[3][3]
    assert files_of(section) == [tmp_path / "c.png"]
