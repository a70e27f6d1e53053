"""Shares with intervals: against SciPy, tables and the bootstrap of single slices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from slicewise.errors import EvaluationError
from slicewise.stats.bootstrap import NO_SPREAD, Bootstrap, group_intervals
from slicewise.stats.intervals import (
    Share,
    Shares,
    difference,
    mean_of,
    mean_share_by_class,
    share_by_group,
    share_of,
    share_of_sums,
    wilson,
)


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


def test_a_mean_of_one_group_has_no_interval():
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


def test_sums_of_groups_give_what_their_slices_give():
    """Two sets of resamples of the same groups: alike within what chance leaves of the ends."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(300), rng.integers(1, 9, 300))
    hits = rng.random(groups.size) < 0.2 + 0.5 * (groups % 2)
    totals = np.bincount(groups)
    found = share_of_sums(np.bincount(groups, hits), totals, np.ones(300))
    other = share_by_group(hits, groups)
    assert found.value == pytest.approx(other.value)
    assert found.ci_low == pytest.approx(other.ci_low, abs=5e-3)
    assert found.ci_high == pytest.approx(other.ci_high, abs=5e-3)


def test_groups_of_single_slices_give_wilsons_interval():
    found, expected = share_of_sums([1, 0], [1, 1], [300, 700]), wilson(300, 1000)
    assert found.value == expected.value
    assert found.ci_low == pytest.approx(expected.ci_low, abs=2e-3)
    assert found.ci_high == pytest.approx(expected.ci_high, abs=2e-3)


def test_rows_of_equal_groups_may_be_told_as_one_or_apart():
    once = share_of_sums([50, 0], [50, 50], [20, 30])
    apart = share_of_sums([50] * 20 + [0] * 30, [50] * 50, [1] * 50)
    single = share_of_sums([1, 0], [1, 1], [20, 30])
    assert once == single  # slices repeated within a group add no certainty
    assert (apart.ci_low, apart.ci_high) == pytest.approx((once.ci_low, once.ci_high), abs=0.03)


def test_none_and_all_have_wilsons_width_over_groups():
    assert share_of_sums([5], [5], [400]) == wilson(400, 400)
    assert share_of_sums([0, 0], [5, 2], [300, 100]) == wilson(0, 400)


def test_one_group_and_groups_that_all_agree_have_no_interval():
    assert share_of_sums([3], [4], [1]) == Share(0.75, None, None)
    assert share_of_sums([1], [2], [50]) == Share(0.5, None, None)
    with pytest.raises(EvaluationError, match="at least one group"):
        share_of_sums([], [], [])


def test_two_groups_say_little():
    found = share_of_sums([30, 0], [30, 1], [1, 1])
    assert found.value == pytest.approx(30 / 31)
    assert found.ci_low < 0.1


def test_intervals_cover_the_truth_though_slices_of_a_group_resemble_each_other():
    rng = np.random.default_rng(5)
    covered = naive = 0
    for _ in range(400):
        totals = rng.integers(1, 20, 50)
        hits = rng.binomial(totals, rng.beta(0.6, 1.4, 50))  # mean 0.3
        share = share_of_sums(hits, totals, np.ones(50))
        plain = wilson(int(hits.sum()), int(totals.sum()))
        covered += share.ci_low <= 0.3 <= share.ci_high
        naive += plain.ci_low <= 0.3 <= plain.ci_high
    assert 0.9 <= covered / 400 <= 0.98
    assert naive / 400 < 0.8  # what counting slices as independent would promise and not keep


def test_difference_of_a_published_example():
    """Newcombe 1998, table II, example (a), method 10: 56/70 and 48/80, 0.0524 to 0.3339."""
    found = difference(wilson(48, 80), wilson(56, 70))
    assert found.value == pytest.approx(0.2)
    assert found.ci_low == pytest.approx(0.0524, abs=5e-5)
    assert found.ci_high == pytest.approx(0.3339, abs=5e-5)


def test_no_difference_without_intervals():
    assert difference(None, wilson(1, 2)) is None
    assert difference(Share(0.5, None, None), wilson(1, 2)) is None
