"""Every threshold, held to scikit-learn's curve."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score, roc_curve

from builders_evaluation import rule_of, table_of
from slicewise.errors import EvaluationError
from slicewise.evaluation.sections.sweep import at, best_here, sweep


def test_the_sweep_is_the_roc_curve_with_its_thresholds():
    table = table_of().decided(rule_of())
    found = sweep(table)
    false, true, thresholds = roc_curve(
        table.is_tumor(), table.tumor_probability(), drop_intermediate=False
    )
    np.testing.assert_allclose(found.thresholds, thresholds[1:])
    np.testing.assert_allclose(found.sensitivity, true[1:])
    np.testing.assert_allclose(found.specificity, 1 - false[1:])
    flags = table.tumor_probability() >= found.thresholds[70]
    assert found.ppv[70] == pytest.approx(precision_score(table.is_tumor(), flags))


def test_the_figures_at_a_threshold():
    table = table_of().decided(rule_of(threshold=0.7))
    sensitivity, specificity = at(sweep(table), 0.7)
    flags, truth = table.tumor_flag(), table.is_tumor()
    assert sensitivity == pytest.approx(flags[truth].mean())
    assert specificity == pytest.approx(1 - flags[~truth].mean())
    assert at(sweep(table), 1.1) == (0.0, 1.0)


def test_the_best_here_is_the_largest_j():
    table = table_of().decided(rule_of())
    best = best_here(table)
    assert best["youden_j"] == pytest.approx(sweep(table).youden.max())
    assert at(sweep(table), best["threshold"]) == pytest.approx(
        (best["sensitivity"], best["specificity"])
    )


def test_one_side_alone_has_no_sweep():
    table = table_of().decided(rule_of())
    tumors = table.take(table.is_tumor())
    with pytest.raises(EvaluationError, match="got 150 and 0"):
        sweep(tumors)
    assert best_here(tumors)["threshold"] is None
    assert "reason" in best_here(tumors)
