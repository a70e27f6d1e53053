from __future__ import annotations

import numpy as np
import pytest
import torch

from slicewise.training.loop.weights import class_weights, slice_weights

GLIOMA, HEALTHY, TUMOR = (1, 0, 0), (0, 0, 1), (1, 1, 0)
FIVE = np.array([GLIOMA, GLIOMA, GLIOMA, GLIOMA, GLIOMA], dtype=bool)
NAMES = ["big", "big", "big", "big", "small"]


def test_without_keys_every_slice_counts_one() -> None:
    possible = np.array([GLIOMA, GLIOMA, HEALTHY, TUMOR], dtype=bool)
    assert slice_weights(possible, ["a", "b", "a", "b"], 0, {}).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("balance", "big", "small"),
    [
        (1.0, 5 / 8, 5 / 2),  # 2.5 in all for each source
        (0.5, 5 / 6, 5 / 3),  # as 2 to 1: the roots of 4 and 1
    ],
)
def test_sources_of_a_class_share_by_the_power(balance: float, big: float, small: float) -> None:
    found = slice_weights(FIVE, NAMES, balance, {})
    np.testing.assert_allclose(found, [big] * 4 + [small])
    assert found.mean() == pytest.approx(1)


def test_classes_are_balanced_each_for_itself() -> None:
    """A source that is small in one class may be large in another."""
    possible = np.concatenate([FIVE, np.array([HEALTHY] * 3, dtype=bool)])
    found = slice_weights(possible, [*NAMES, "small", "small", "big"], 1, {})
    np.testing.assert_allclose(found, [5 / 8] * 4 + [5 / 2] + [3 / 4, 3 / 4, 3 / 2])


def test_an_untold_tumor_counts_apart_and_one_taken_for_a_class_with_it() -> None:
    """Which classes are left open says so, whatever the label."""
    possible = np.array([GLIOMA, GLIOMA, TUMOR, TUMOR], dtype=bool)
    found = slice_weights(possible, ["a", "b", "b", "b"], 1, {})
    assert found.tolist() == [1, 1, 1, 1]


def test_factors_come_after_the_balance() -> None:
    found = slice_weights(FIVE, NAMES, 1, {"small": 0.5, "other": 7})
    np.testing.assert_allclose(found, [5 / 8] * 4 + [5 / 4])


def test_slices_at_one_position_count_as_one() -> None:
    """Three channels each: the factor of the docs gives the weights of a third as many slices."""
    balance = 0.5
    names = ["channels"] * 12 + ["other"] * 9
    possible = np.array([GLIOMA] * 21, dtype=bool)
    found = slice_weights(possible, names, balance, {"channels": 3 ** (balance - 1)})
    assert found[:12].sum() / found[12:].sum() == pytest.approx((4 / 9) ** 0.5)


def test_balanced_weights_are_inverse_to_the_frequency_of_told_classes() -> None:
    possible = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [1, 1]], dtype=bool)
    ones = np.ones(5)
    expected = torch.tensor([4 / 6, 2.0])
    torch.testing.assert_close(class_weights(possible, "balanced", ones), expected)
    assert class_weights(possible, "none", ones).tolist() == [1, 1]


def test_classes_count_alike_whatever_their_slices_weigh() -> None:
    possible = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=bool)
    each = np.array([0.5, 0.5, 0.2, 0.3, 8.0])
    weights = class_weights(possible, "balanced", each).numpy()
    totals = [(weights * possible[i] * each[i])[:2] for i in range(4)]
    np.testing.assert_allclose(sum(totals), [0.5, 0.5], rtol=1e-6)  # 1.5 over three classes
    assert weights[2] == 0


def test_weights_of_one_change_no_bit() -> None:
    possible = np.eye(4, dtype=bool)[np.random.default_rng(0).integers(0, 4, 999)]
    counts = possible.sum(axis=0)
    before = torch.from_numpy(counts.sum() / (4 * counts)).float()
    assert torch.equal(class_weights(possible, "balanced", np.ones(999)), before)
