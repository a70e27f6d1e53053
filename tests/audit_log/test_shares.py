"""Shares over inputs, held to published numbers and to what intervals promise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import t as student

from slicewise.audit_log.shares import Shares, _student, difference
from slicewise.stats.intervals import Share, wilson


def of(*inputs: dict[str, int]) -> Shares:
    shares = Shares()
    for counts in inputs:
        shares.add(counts)
    return shares


def test_counts_and_shares():
    shares = of({"a": 2, "b": 1}, {"b": 1}, {})
    assert (shares.inputs, shares.total, shares.kinds()) == (2, 4, ["a", "b"])
    assert (shares.count("a"), shares.count("c")) == (2, 0)
    assert shares.share("a").value == 0.5
    assert shares.share("c").value == 0.0


def test_nothing_and_one_input_have_no_interval():
    assert of().share("a") is None
    assert of({"a": 3, "b": 1}).share("a") == Share(0.75, None, None)


def test_single_answers_give_wilsons_interval():
    shares = of(*[{"a": 1}] * 300, *[{"b": 1}] * 700)
    found, expected = shares.share("a"), wilson(300, 1000)
    assert found.value == expected.value
    assert found.ci_low == pytest.approx(expected.ci_low, abs=1e-4)
    assert found.ci_high == pytest.approx(expected.ci_high, abs=1e-4)


def test_none_and_all_have_wilsons_width_over_inputs():
    shares = of(*[{"a": 5}] * 400)
    assert shares.share("a").ci_low == pytest.approx(wilson(400, 400).ci_low, abs=1e-4)
    assert shares.share("b").ci_high == pytest.approx(wilson(0, 400).ci_high, abs=1e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 20, 1000])
def test_quantiles_of_student_are_those_of_scipy(freedom):
    assert _student(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=0.01)


def test_two_inputs_say_little():
    share = of({"a": 30}, {"b": 1}).share("a")
    assert share.ci_low < 0.1


def test_answers_repeated_within_an_input_add_no_certainty():
    once = of(*[{"a": 1}] * 20, *[{"b": 1}] * 30).share("a")
    often = of(*[{"a": 50}] * 20, *[{"b": 50}] * 30).share("a")
    assert often.ci_low == pytest.approx(once.ci_low)
    assert often.ci_high == pytest.approx(once.ci_high)


def test_intervals_cover_the_truth_though_answers_of_an_input_resemble_each_other():
    generator = np.random.default_rng(5)
    covered = naive = 0
    for _ in range(400):
        shares, hits, total = Shares(), 0, 0
        for size in generator.integers(1, 20, 50):
            yes = int(generator.binomial(size, generator.beta(0.6, 1.4)))  # mean 0.3
            shares.add(Counter({"a": yes, "b": int(size) - yes}))
            hits, total = hits + yes, total + int(size)
        share, plain = shares.share("a"), wilson(hits, total)
        covered += share.ci_low <= 0.3 <= share.ci_high
        naive += plain.ci_low <= 0.3 <= plain.ci_high
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.8  # what counting answers as independent would promise and not keep


def test_difference_of_a_published_example():
    """Newcombe 1998, table II, example (a), method 10: 56/70 and 48/80, 0.0524 to 0.3339."""
    found = difference(wilson(48, 80), wilson(56, 70))
    assert found["value"] == pytest.approx(0.2)
    assert found["ci_low"] == pytest.approx(0.0524, abs=5e-5)
    assert found["ci_high"] == pytest.approx(0.3339, abs=5e-5)


def test_no_difference_without_intervals():
    assert difference(None, wilson(1, 2)) is None
    assert difference(Share(0.5, None, None), wilson(1, 2)) is None
