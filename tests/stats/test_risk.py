"""Risk against coverage, on answers whose order is known."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.errors import EvaluationError
from slicewise.stats.curves import risk_coverage, risk_coverage_area


def test_the_curve_of_five_answers():
    curve = risk_coverage([0.9, 0.8, 0.7, 0.6, 0.5], np.array([True, True, False, True, False]))
    np.testing.assert_allclose(curve.coverage, [0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 1 / 4, 2 / 5])
    np.testing.assert_allclose(curve.sureness, [0.9, 0.8, 0.7, 0.6, 0.5])


def test_equal_confidences_are_withheld_together():
    curve = risk_coverage([0.5, 0.9, 0.5, 0.5], np.array([False, True, True, False]))
    np.testing.assert_allclose(curve.coverage, [0.25, 1.0])
    np.testing.assert_allclose(curve.risk, [0.0, 0.5])
    np.testing.assert_array_equal(curve.count, [1, 3])


def test_the_area_does_not_depend_on_the_order_of_the_slices():
    rng = np.random.default_rng(0)
    sure, right = np.round(rng.random(200), 1), rng.random(200) < 0.8
    order = rng.permutation(200)
    assert risk_coverage_area(sure, right) == risk_coverage_area(sure[order], right[order])


def test_the_area_against_a_loop():
    rng = np.random.default_rng(1)
    sure, right = rng.random(60), rng.random(60) < 0.7
    ranked = right[np.argsort(-sure)]
    expected = np.mean([1 - ranked[:kept].mean() for kept in range(1, 61)])
    assert risk_coverage_area(sure, right) == pytest.approx(expected)


def test_confidence_that_says_nothing_gives_the_error_rate():
    assert risk_coverage_area(np.full(10, 0.5), np.arange(10) < 7) == pytest.approx(0.3)


def test_shapes_must_fit():
    with pytest.raises(EvaluationError, match="scores: expected shape"):
        risk_coverage([0.5], np.array([True, False]))
