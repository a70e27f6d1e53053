"""The arithmetic of drift against its definitions, published numbers and what a test promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slicewise.stats.drift import (
    BINS,
    PERMUTATIONS,
    bin_limits,
    holm,
    median_by_group,
    permutation_test,
    shares_by_group,
    stability_index,
)


def test_index_is_the_textbook_sum_for_large_windows():
    reference, recent = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    textbook = sum((b - a) * math.log(b / a) for a, b in zip(reference, recent, strict=True))
    found = stability_index(reference, recent, (10**9, 10**9))
    assert float(found) == pytest.approx(textbook, rel=1e-6)
    assert float(stability_index(reference, reference, (100, 100))) == 0


def test_an_empty_bin_is_no_infinity():
    found = float(stability_index(np.array([1.0, 0.0]), np.array([0.0, 1.0]), (100, 100)))
    share = 0.5 / 101
    assert found == pytest.approx(2 * (1 - 2 * share) * math.log((1 - share) / share))


def test_holm_is_that_of_the_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.2, None]) == [None, 0.2, None]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_many_values_are_cut_into_even_bins():
    values = np.random.default_rng(0).normal(size=5000)
    limits = bin_limits(values)
    counts = np.histogram(values, limits)[0]
    assert len(counts) == BINS
    assert counts.sum() == 5000
    assert counts.min() > 450


def test_the_median_weighs_groups_and_not_values():
    values = np.array([1.0, 2.0, 3.0, *[9.0] * 50])
    groups = np.array([0, 1, 2, *[3] * 50])
    assert median_by_group(values, groups) == 2.5
    assert median_by_group(np.array([4.0, 6.0, 5.0]), np.array([0, 1, 2])) == 5.0


def test_shares_of_a_group_sum_to_one():
    found = shares_by_group(np.array([7, 7, 7, 7, 9]), [0, 1, 1, 1, 2], 3)
    assert found.tolist() == [[0.25, 0.75, 0], [0, 0, 1]]


def test_groups_that_are_dealt_at_random_are_no_change():
    """Chances of what does not differ are even: about a tenth of them lie below a tenth."""
    rng = np.random.default_rng(2)
    chances = np.array(
        [permutation_test(np.eye(3)[rng.integers(0, 3, 60)], 30)[1] for _ in range(100)]
    )
    assert 0.02 <= (chances < 0.1).mean() <= 0.2
    assert chances.min() >= 1 / (PERMUTATIONS + 1)


def test_what_differs_is_hardly_chance():
    shares = np.repeat(np.eye(2), 40, axis=0)
    index, chance = permutation_test(shares, 40)
    assert index == pytest.approx(float(stability_index(np.eye(2)[0], np.eye(2)[1], (40, 40))))
    assert chance == 1 / (PERMUTATIONS + 1)
