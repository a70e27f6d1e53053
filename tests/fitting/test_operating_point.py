"""Thresholds found by hand and by search."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from slicewise.errors import EvaluationError
from slicewise.fitting.operating_point import (
    least_cost,
    target_sensitivity,
    target_specificity,
    youden_j,
)
from slicewise.stats.bootstrap import draw_groups
from slicewise.stats.metrics import sensitivity, specificity

SCORES = np.array([0.95, 0.9, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1])
TRUTH = np.array([True, True, False, True, False, True, False, False])
GROUPS = np.array(list("aabbccdd"))


def random_case(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(300) < 0.6
    scores = np.round(np.clip(rng.normal(0.4 + 0.25 * truth, 0.2), 0, 1), 2)
    return scores, truth, rng.integers(0, 20, 300).astype(str)


def test_youden_takes_the_most_sensitive_of_equals():
    # J is 1/2 at 0.9, at 0.6 and at 0.3, and nowhere more.
    point = youden_j(SCORES, TRUTH, GROUPS)
    assert (point.sensitivity, point.specificity) == (1.0, 0.5)
    assert point.threshold == pytest.approx(0.25)
    assert (point.rule, point.n, point.groups) == ("youden_j", 8, 4)


@pytest.mark.parametrize("seed", range(6))
def test_youden_agrees_with_sklearn(seed):
    scores, truth, groups = random_case(seed)
    false_alarms, found, _ = roc_curve(truth, scores)
    point = youden_j(scores, truth, groups)
    assert point.sensitivity + point.specificity - 1 == pytest.approx((found - false_alarms).max())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("target", [0.55, 0.9, 0.95])
def test_points_keep_their_promise_at_their_threshold(seed, target):
    scores, truth, groups = random_case(seed)
    sure = target_sensitivity(scores, truth, groups, target)
    quiet = target_specificity(scores, truth, groups, target)
    for point in (sure, quiet, youden_j(scores, truth, groups)):
        flagged = scores >= point.threshold
        assert point.sensitivity == pytest.approx(sensitivity(flagged, truth))
        assert point.specificity == pytest.approx(specificity(flagged, truth))
    assert sure.sensitivity >= target
    assert quiet.specificity >= target
    stricter = scores >= np.unique(scores[scores >= sure.threshold])[1]
    assert sensitivity(stricter, truth) < target
    looser = scores >= scores[scores < quiet.threshold].max()
    assert specificity(looser, truth) < target


def test_targets_by_hand():
    sure = target_sensitivity(SCORES, TRUTH, GROUPS, 1.0)
    assert (sure.threshold, sure.specificity) == (pytest.approx(0.25), 0.5)
    assert sure.rule == "target_sensitivity=1"
    quiet = target_specificity(SCORES, TRUTH, GROUPS, 1.0)
    assert (quiet.threshold, quiet.sensitivity) == (pytest.approx(0.85), 0.5)


def test_cost_by_hand():
    # Expected cost of a slice at 0.9: 1.5 * 0.5 = 0.75; at 0.6: 0.375 + 0.125; at 0.3: 0.25.
    point = least_cost(SCORES, TRUTH, GROUPS, missed=3, false_alarm=1, prevalence=0.5)
    assert (point.threshold, point.sensitivity, point.specificity) == (0.25, 1.0, 0.5)
    assert point.rule == "cost: missed=3, false_alarm=1, prevalence=0.5"
    # A dear false alarm: at 0.9 nothing is flagged wrongly.
    point = least_cost(SCORES, TRUTH, GROUPS, missed=1, false_alarm=3, prevalence=0.5)
    assert (point.sensitivity, point.specificity) == (0.5, 1.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("missed", "prevalence"), [(1, 0.5), (4, 0.3), (10, 0.05)])
def test_no_threshold_costs_less(seed, missed, prevalence):
    scores, truth, groups = random_case(seed)

    def cost(threshold):
        flagged = scores >= threshold
        alarms = (1 - prevalence) * (1 - specificity(flagged, truth))
        return prevalence * missed * (1 - sensitivity(flagged, truth)) + alarms

    try:
        point = least_cost(
            scores, truth, groups, missed=missed, false_alarm=1, prevalence=prevalence
        )
    except EvaluationError:
        nothing = min(prevalence * missed, 1 - prevalence)
        assert all(cost(value) >= nothing - 1e-9 for value in np.unique(scores))
    else:
        assert cost(point.threshold) == pytest.approx(min(map(cost, np.unique(scores))))


def test_equal_weights_are_youdens_rule():
    for seed in range(4):
        case = random_case(seed)
        cheap = least_cost(*case, missed=1, false_alarm=1, prevalence=0.5)
        assert cheap.threshold == youden_j(*case).threshold


def test_intervals_resample_groups_at_the_threshold():
    scores, truth, groups = random_case(3)
    point = target_sensitivity(scores, truth, groups, 0.9)
    names = np.unique(groups)
    values = []
    for drawn in draw_groups(names.size, np.zeros(names.size), 1000, 42):
        rows = np.concatenate([np.flatnonzero(groups == names[g]) for g in drawn])
        values.append(np.mean(scores[rows][truth[rows]] >= point.threshold))
    low, high = np.quantile(values, [0.025, 0.975])
    assert point.sensitivity_ci == pytest.approx((low, high))
    assert low < point.sensitivity < high
    assert point.specificity_ci[0] < point.specificity < point.specificity_ci[1]


def test_one_group_has_no_interval():
    point = youden_j(SCORES, TRUTH, np.array(["one"] * 8))
    assert (point.sensitivity_ci, point.specificity_ci) == (None, None)


def test_no_threshold_is_made_up():
    with pytest.raises(EvaluationError, match=r"cost: missed=1, .* no threshold qualifies"):
        least_cost(SCORES[::-1], TRUTH, GROUPS, missed=1, false_alarm=1, prevalence=0.01)
    with pytest.raises(EvaluationError, match=r"costs above 0 .* got 0, 1 and 0.5"):
        least_cost(SCORES, TRUTH, GROUPS, missed=0, false_alarm=1, prevalence=0.5)
    backwards = SCORES[::-1]
    with pytest.raises(EvaluationError, match="youden_j: no threshold qualifies among 8"):
        youden_j(np.full(8, 0.5), TRUTH, GROUPS)
    with pytest.raises(EvaluationError, match="target_specificity=1: no threshold"):
        target_specificity(backwards, TRUTH, GROUPS, 1.0)
    with pytest.raises(EvaluationError, match="target_sensitivity=1: no threshold"):
        target_sensitivity(backwards, np.array([True] * 4 + [False] * 4), GROUPS, 1.0)
    with pytest.raises(EvaluationError, match="needs a slice without a tumor"):
        youden_j(SCORES, np.ones(8, bool), GROUPS)
    with pytest.raises(EvaluationError, match=r"\(0, 1\]; got 1.5"):
        target_sensitivity(SCORES, TRUTH, GROUPS, 1.5)
    with pytest.raises(EvaluationError, match="groups: expected shape"):
        youden_j(SCORES, TRUTH, GROUPS[:3])


def test_neighbouring_floats_still_separate():
    upper = 0.7
    lower = np.nextafter(upper, 0)
    scores, truth = np.array([upper, upper, lower, lower]), np.array([True, True, False, False])
    assert youden_j(scores, truth, GROUPS[:4]).specificity == 1
    assert youden_j(scores, truth, GROUPS[:4]).threshold == upper
