"""Spread over folds, and calibrations compared on groups that did not fit them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from builders_reports import files_of, table_of_section
from slicewise.errors import EvaluationError
from slicewise.evaluation.sections.cross_validation import (
    HEADLINES,
    calibration_section,
    compare_calibrations,
    draw_calibration,
    folds_section,
    metrics_by_fold,
    metrics_over_folds,
    t_interval,
)
from slicewise.fitting.calibration import fit_bias_corrected, fit_temperature
from slicewise.inference.decision import probabilities_of
from slicewise.predictions.table import PredictionTable
from slicewise.stats.bootstrap import Bootstrap
from slicewise.stats.metrics import brier, ece


def report_of(accuracy: float, specificity: float | None) -> dict[str, object]:
    """What `metrics.json` of a fold holds, as far as it is looked at."""
    report: dict[str, object] = {"n": 10, "groups": 5, "macro_over": ["a", "b"], "tumor": {}}
    for key in HEADLINES:
        place = report["tumor"] if key[0] == "tumor" else report
        place[key[-1]] = {"value": accuracy, "ci_low": accuracy - 0.1, "ci_high": accuracy + 0.1}
    reason = {"reason": "no slice without a tumor"}
    report["tumor"]["specificity"] = {
        "value": specificity,
        "ci_low": None,
        "ci_high": None,
        **({} if specificity is not None else reason),
    }
    return report


REPORTS = {
    "1": report_of(0.80, 0.5),
    "2": report_of(0.90, None),
    "3": report_of(0.85, 0.7),
    "4": report_of(0.95, None),
}


def test_mean_deviation_and_interval():
    figure = metrics_over_folds(REPORTS)["accuracy"]
    values = [0.80, 0.90, 0.85, 0.95]
    assert figure["mean"] == pytest.approx(0.875)
    assert figure["sd"] == pytest.approx(np.std(values, ddof=1))
    expected = stats.t.interval(0.95, 3, loc=0.875, scale=stats.sem(values))
    assert (figure["ci_low"], figure["ci_high"]) == pytest.approx(expected)
    assert figure["folds"] == 4


def test_an_interval_ends_where_the_figure_must():
    wide = {"1": report_of(0.1, 0.5), "2": report_of(0.9, 0.5)}
    low, high = t_interval([0.1, 0.9])
    assert (low < 0, high > 2) == (True, True)
    over = metrics_over_folds(wide)
    assert (over["accuracy"]["ci_low"], over["accuracy"]["ci_high"]) == (0.0, 1.0)
    assert (over["brier"]["ci_low"], over["brier"]["ci_high"]) == (0.0, 2.0)


def test_folds_without_a_figure_are_left_out_and_counted():
    figure = metrics_over_folds(REPORTS)["tumor"]["specificity"]
    assert (figure["mean"], figure["folds"]) == (pytest.approx(0.6), 2)
    lone = metrics_over_folds({"1": REPORTS["1"], "2": REPORTS["2"]})["tumor"]["specificity"]
    assert (lone["mean"], lone["ci_low"]) == (0.5, None)
    assert lone["reason"] == "an interval needs at least 2 folds; got 1"
    none = metrics_over_folds({"2": REPORTS["2"]})["tumor"]["specificity"]
    assert (none["mean"], none["folds"]) == (None, 0)
    assert none["reason"] == "no fold has this metric"


def test_each_fold_keeps_its_own_figures():
    folds = metrics_by_fold(REPORTS)
    assert list(folds) == ["1", "2", "3", "4"]
    assert folds["3"]["accuracy"] == REPORTS["3"]["accuracy"]
    assert folds["2"]["tumor"]["specificity"]["reason"] == "no slice without a tumor"
    assert (folds["1"]["n"], folds["1"]["macro_over"]) == (10, ["a", "b"])


def test_the_section_shows_folds_and_mean():
    report = {"folds": metrics_by_fold(REPORTS), "over_folds": metrics_over_folds(REPORTS)}
    section = folds_section(report)
    table = table_of_section(section)
    assert table.columns == ("metric", "fold 1", "fold 2", "fold 3", "fold 4", "mean")
    assert {len(row) for row in table.rows} == {6}
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["n"] == ("10", "10", "10", "10", "")
    assert rows["accuracy"][0] == "0.800 (0.700-0.900)"
    assert rows["accuracy"][-1].startswith("0.875 (")
    assert rows["tumor specificity"][:2] == ("0.500", "-")


def test_one_value_has_no_interval():
    with pytest.raises(EvaluationError, match="at least 2 values; got 1"):
        t_interval([0.5])


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
