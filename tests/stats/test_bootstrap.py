"""Group intervals: against a theory, against drawing by hand, and where they must refuse."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from slicewise.errors import EvaluationError
from slicewise.stats import bootstrap
from slicewise.stats.bootstrap import NO_SPREAD, Bootstrap, draw_groups, group_intervals

KEY = ("mean",)


def interval(values, groups, strata=None, **options):
    values, groups = np.asarray(values, float), np.asarray(groups).astype(str)
    kinds = np.zeros(values.size) if strata is None else np.asarray(strata)
    quantity = {KEY: lambda rows: float(values[rows].mean())}
    return group_intervals(quantity, groups, kinds, Bootstrap(**options))[KEY]


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(size=400)
    found = interval(values, np.arange(400), resamples=4000)
    reach = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.ci_low == pytest.approx(values.mean() - reach, abs=0.1 * reach)
    assert found.ci_high == pytest.approx(values.mean() + reach, abs=0.1 * reach)


def test_copies_within_a_group_do_not_narrow_the_interval():
    values = np.random.default_rng(1).normal(size=50)
    single = interval(values, np.arange(50))
    copied = interval(np.repeat(values, 20), np.repeat(np.arange(50), 20))
    assert (copied.ci_low, copied.ci_high) == pytest.approx((single.ci_low, single.ci_high))
    pretended = interval(np.repeat(values, 20), np.arange(1000))
    assert pretended.ci_high - pretended.ci_low < 0.3 * (single.ci_high - single.ci_low)


def test_the_interval_is_that_of_resampling_by_hand():
    values, groups = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), np.array([0, 0, 1, 2, 2])
    found = interval(values, groups, resamples=200, seed=7)
    members = [values[groups == group] for group in range(3)]
    draws = draw_groups(3, ["all"] * 3, 200, 7)
    means = [np.concatenate([members[g] for g in draw]).mean() for draw in draws]
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_the_seed_decides():
    values, groups = np.arange(30), np.arange(30) % 10
    assert interval(values, groups, seed=1) == interval(values, groups, seed=1)
    assert interval(values, groups, seed=1) != interval(values, groups, seed=2)


def test_level_widens_the_interval():
    narrow = interval(np.arange(30), np.arange(30), level=0.5)
    wide = interval(np.arange(30), np.arange(30), level=0.99)
    assert wide.ci_low < narrow.ci_low < narrow.ci_high < wide.ci_high


def test_strata_keep_their_number_of_groups():
    draws = np.array(list(draw_groups(7, list("aaabbcc"), 100, 0)))
    assert draws.shape == (100, 7)
    kinds = np.array(list("aaabbcc"))[draws]
    for kind, count in (("a", 3), ("b", 2), ("c", 2)):
        np.testing.assert_array_equal((kinds == kind).sum(axis=1), count)


@pytest.mark.parametrize(
    ("strata", "together", "kept"),
    [("aaabbc", "bc", "a"), ("aaabcd", "bcd", "a"), ("ab", "ab", ""), ("aab", "aab", "")],
)
def test_strata_of_one_group_are_drawn_together(strata, together, kept):
    """Alone they would be in every resample, as if their slices left nothing to chance."""
    names = np.array(list(strata))
    kinds = names[np.array(list(draw_groups(names.size, names, 300, 0)))]
    alone = np.isin(kinds, list(together)).sum(axis=1)
    np.testing.assert_array_equal(alone, np.isin(names, list(together)).sum())
    for kind in together:
        assert np.unique((kinds == kind).sum(axis=1)).size > 1
    for kind in kept:
        np.testing.assert_array_equal((kinds == kind).sum(axis=1), (names == kind).sum())


def test_two_classes_of_one_group_each_are_no_certainty():
    found = interval([1.0] * 4 + [0.0] * 4, [0] * 4 + [1] * 4, strata=list("aaaabbbb"),
                     stratified=True)  # fmt: skip
    assert (found.value, found.ci_low, found.ci_high) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("strata", ["a" * 30, "aabb" + "c" * 26])
def test_blocks_draw_what_one_draw_of_each_stratum_gives(strata, monkeypatch):
    names, generator = np.array(list(strata)), np.random.default_rng(5)
    members = [np.flatnonzero(names == kind) for kind in np.unique(names)]
    whole = [own[generator.integers(own.size, size=(50, own.size))] for own in members]
    monkeypatch.setattr(bootstrap, "BLOCK", 7 * 30)
    drawn = np.array(list(draw_groups(30, names, 50, 5)))
    np.testing.assert_array_equal(drawn, np.concatenate(whole, axis=1))


def test_many_groups_are_drawn_in_little_memory():
    tracemalloc.start()
    for drawn in draw_groups(20_000, np.zeros(20_000), 400, 0):
        assert drawn.size == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # all at once are 64 MB, and were held three times


def test_stratified_resamples_hold_the_class_mix():
    values = np.array([0.0] * 5 + [1.0] * 5)
    found = interval(values, np.arange(10), strata=values, stratified=True)
    assert (found.value, found.ci_low, found.reason) == (0.5, None, NO_SPREAD)
    assert interval(values, np.arange(10), strata=values).ci_low < 0.5


def test_equal_resamples_but_for_rounding_give_no_interval():
    found = interval(np.full(30, 0.1), np.repeat(np.arange(6), [1, 2, 3, 4, 8, 12]))
    assert (found.ci_low, found.ci_high, found.reason) == (None, None, NO_SPREAD)


def test_undefined_resamples_are_counted_and_left_out():
    rare = np.array([True] + [False] * 9)

    def share_among_rare(rows):
        if not rare[rows].any():
            raise EvaluationError("needs a rare one")
        return float(rare[rows].mean())

    groups = np.arange(10).astype(str)
    quantities = {KEY: share_among_rare, ("n",): lambda rows: float(rows.size)}
    found = group_intervals(quantities, groups, groups, Bootstrap(resamples=2000))
    assert found[KEY].skipped == pytest.approx(2000 * 0.9**10, rel=0.1)
    assert found[KEY].ci_low >= 0.1
    assert found["n",].skipped == 0


def test_mostly_undefined_quantities_get_no_interval():
    def only_complete(rows):
        if np.unique(rows).size < 10:
            raise EvaluationError("needs all ten")
        return 1.0

    groups = np.arange(10).astype(str)
    found = group_intervals({KEY: only_complete}, groups, groups, Bootstrap(resamples=100))[KEY]
    assert (found.value, found.ci_low) == (1.0, None)
    assert "undefined in 100 of 100 resamples" in found.reason


def test_undefined_values_carry_their_reason():
    def never(rows):
        raise EvaluationError("needs a positive; got 0")

    groups = np.arange(4).astype(str)
    found = group_intervals({KEY: never}, groups, groups, Bootstrap(resamples=10))[KEY]
    assert found.as_json() == {
        "value": None,
        "ci_low": None,
        "ci_high": None,
        "reason": "needs a positive; got 0",
    }


def test_one_group_has_a_value_without_interval():
    found = interval([1, 2, 3], [0, 0, 0])
    assert (found.value, found.ci_low, found.ci_high) == (2.0, None, None)
    assert found.reason == "an interval needs at least 2 groups; got 1"


def test_bad_arguments_are_refused():
    with pytest.raises(EvaluationError, match="got 0 and"):
        Bootstrap(resamples=0)
    with pytest.raises(EvaluationError, match=r"\(0, 1\)"):
        Bootstrap(level=95)
    with pytest.raises(EvaluationError, match=r"groups: expected shape \(N,\)"):
        interval([], [])
    with pytest.raises(EvaluationError, match="strata: expected shape"):
        interval([1, 2], [0, 1], strata=[0])
    with pytest.raises(EvaluationError, match="strata"):
        next(draw_groups(3, ["all"], 10, 0))
