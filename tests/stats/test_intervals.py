"""Shares with intervals: against SciPy, tables and the bootstrap of single slices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from slicewise.errors import EvaluationError
from slicewise.stats.bootstrap import Bootstrap, group_intervals
from slicewise.stats.intervals import mean_share_by_class, share_by_group, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (0, 20, 0.0, 0.1611),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_agrees_with_tables(hits, n, low, high):
    found = wilson(hits, n)
    assert found.value == hits / n
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=2e-4)


@pytest.mark.parametrize(("successes", "n"), [(0, 300), (300, 300), (3, 10), (150, 301)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_matches_scipy(successes, n, level):
    found = wilson(successes, n, level)
    expected = binomtest(successes, n).proportion_ci(level, method="wilson")
    assert found.value == successes / n
    assert found.ci_low == pytest.approx(expected.low, abs=1e-12)
    assert found.ci_high == pytest.approx(expected.high, abs=1e-12)


@pytest.mark.parametrize(("successes", "n", "level"), [(1, 0, 0.95), (3, 2, 0.95), (1, 2, 1.0)])
def test_what_is_no_share_is_refused(successes, n, level):
    with pytest.raises(EvaluationError, match="expected 0 <= successes <= n"):
        wilson(successes, n, level)


def test_no_slice_has_no_share():
    with pytest.raises(EvaluationError, match="at least one slice"):
        share_by_group([], [])


def test_an_interval_by_group_is_that_of_drawing_slices_of_groups():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 40, 500)
    hits = rng.random(500) < 0.2 + 0.6 * (groups % 2)
    found = share_by_group(hits, groups)
    names = np.array([f"g{g:02d}" for g in groups])
    quantities = {("share",): lambda rows: float(hits[rows].mean())}
    other = group_intervals(quantities, names, names, Bootstrap())["share",]
    assert found.value == pytest.approx(other.value)
    assert found.ci_low == pytest.approx(other.ci_low)
    assert found.ci_high == pytest.approx(other.ci_high)


def test_groups_widen_the_interval():
    hits = np.repeat([True, False] * 10, 50)
    apart = share_by_group(hits, np.arange(1000))
    together = share_by_group(hits, np.repeat(np.arange(20), 50))
    assert together.ci_high - together.ci_low > 4 * (apart.ci_high - apart.ci_low)


def test_the_mean_over_classes_is_balanced_accuracy():
    rng = np.random.default_rng(2)
    truth, answer = rng.choice(3, 300, p=[0.7, 0.2, 0.1]), rng.integers(0, 3, 300)
    found = mean_share_by_class(truth == answer, truth, np.arange(300))
    assert found.value == pytest.approx(balanced_accuracy_score(truth, answer))
    assert found.ci_low < found.value < found.ci_high


def test_a_probe_that_always_answers_one_of_two_classes_is_not_known_exactly():
    """Each class is 1 or 0 in every resample; the mean of Wilson's intervals stands in."""
    truth = np.repeat([0, 1], 30)
    found = mean_share_by_class(truth == 0, truth, np.arange(60))
    ends = np.array([(s.ci_low, s.ci_high) for s in (wilson(30, 30), wilson(0, 30))])
    assert found.value == 0.5
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(ends.mean(axis=0)))
    assert found.ci_high - found.ci_low > 0.1


def test_a_class_without_a_mistake_widens_the_interval_by_its_share():
    rng = np.random.default_rng(4)
    truth = np.repeat([0, 1], 40)
    right = np.where(truth == 0, True, rng.random(80) < 0.5)
    found = mean_share_by_class(right, truth, np.arange(80))
    quantities = {("mean",): lambda at: balanced_accuracy_score(truth[at], truth[at] ^ ~right[at])}
    drawn = group_intervals(quantities, np.arange(80), np.arange(80), Bootstrap())["mean",]
    spare = (1 - wilson(40, 40).ci_low) / 2
    assert found.value == pytest.approx(drawn.value)
    assert found.ci_low == pytest.approx(drawn.ci_low - spare)
    assert found.ci_high == pytest.approx(drawn.ci_high)


def test_one_group_has_no_interval_and_a_perfect_score_still_has_one():
    assert share_by_group([True, False], [0, 0]).ci_low is None
    perfect = share_by_group([True] * 30, np.repeat(np.arange(10), 3))
    assert (perfect.value, perfect.ci_high) == (1, pytest.approx(1))
    assert perfect.ci_low == pytest.approx(0.7225, abs=1e-3)
