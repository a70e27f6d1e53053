"""Spread over folds, against SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from builders_reports import table_of_section
from slicewise.errors import EvaluationError
from slicewise.evaluation.sections.across_folds import (
    HEADLINES,
    folds_section,
    metrics_by_fold,
    metrics_over_folds,
    t_interval,
)


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
