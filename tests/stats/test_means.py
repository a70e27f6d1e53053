"""Shares at 0 and 1 against Wilson and against coverage; means by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from slicewise.errors import EvaluationError
from slicewise.stats.bootstrap import NO_SPREAD, Bootstrap, group_intervals
from slicewise.stats.intervals import mean_share_by_class
from slicewise.stats.means import Shares, mean_of, share_of

KEY = ("share",)
GROUPS = np.repeat(np.arange(10), 5)
QUICK = Bootstrap(resamples=100)


def interval(quantity, groups=GROUPS, bootstrap=QUICK):
    return group_intervals({KEY: quantity}, groups, groups, bootstrap)[KEY]


def wilson_of(hits, n, level=0.95):
    found = binomtest(hits, n).proportion_ci(level, method="wilson")
    return pytest.approx((found.low, found.high))


@pytest.mark.parametrize("edge", [0, 1])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_share_of_none_or_all_has_wilsons_interval_over_groups(edge, level):
    found = interval(share_of(np.full(50, float(edge))), bootstrap=Bootstrap(20, level))
    assert found.value == edge
    assert (found.ci_low, found.ci_high) == wilson_of(10 * edge, 10, level)


def test_only_groups_with_a_slice_in_the_denominator_count():
    among = GROUPS < 2  # 2 of 200 groups, as where nearly nothing is accepted
    found = interval(share_of(np.ones(50, bool), among))
    assert (found.ci_low, found.ci_high) == wilson_of(2, 2)
    assert found.skipped == 0


def test_other_shares_are_resampled():
    hits = GROUPS % 2 == 0
    plain = interval(lambda i: float(hits[i].mean()))
    assert interval(share_of(hits)) == plain
    assert plain.ci_low < 0.5 < plain.ci_high


def test_one_group_has_no_interval():
    found = interval(share_of(np.ones(3, bool)), np.zeros(3))
    assert (found.value, found.ci_low) == (1.0, None)


@pytest.mark.parametrize("right", [{0}, {0, 1}, {0, 1, 2}, set()])
def test_shares_that_are_0_or_1_widen_their_mean(right):
    """Balanced accuracy of answers that are right, or wrong, for whole classes."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 3)
    truth, everyone = groups % 4, np.ones(180, bool)
    hits = np.isin(truth, list(right)) | ((truth == 3) & (rng.random(180) < 0.7))

    def balanced(i):
        return float(np.mean([hits[i][truth[i] == k].mean() for k in np.unique(truth[i])]))

    found = interval(Shares(balanced, [(hits, truth == k) for k in range(4)]), groups, Bootstrap())
    other = mean_share_by_class(hits, truth, groups)
    assert found.value == pytest.approx(other.value)
    assert (found.ci_low, found.ci_high) == pytest.approx((other.ci_low, other.ci_high))
    plain = interval(Shares(balanced, [(hits, everyone)]), groups, Bootstrap())
    assert found.ci_low < plain.ci_low if right else found.ci_high > plain.ci_high


def test_an_answer_that_never_changes_has_a_width():
    """Right for one class and wrong for the other: one half, which resampling cannot move."""
    truth = GROUPS < 4
    balanced = Shares(lambda i: 0.5, [(truth, truth), (truth, ~truth)])
    below = (1 - binomtest(4, 4).proportion_ci(0.95, method="wilson").low) / 2
    above = binomtest(0, 6).proportion_ci(0.95, method="wilson").high / 2
    found = interval(balanced)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.5 - below, 0.5 + above))


def test_means_without_spread_have_no_interval():
    found = interval(mean_of(np.full(50, 0.7)))
    assert found.value == pytest.approx(0.7)
    assert (found.ci_low, found.ci_high, found.reason) == (None, None, NO_SPREAD)


def test_a_mean_is_of_those_asked_for():
    values, among = np.arange(50.0), GROUPS == 3
    assert mean_of(values, among)(np.arange(50)) == pytest.approx(np.mean([15, 16, 17, 18, 19]))
    with pytest.raises(EvaluationError, match="needs a third; got 0 among 15 slices"):
        mean_of(values, among, "needs a third")(np.arange(15))
    assert interval(share_of(values < 0, GROUPS > 10)).value is None
