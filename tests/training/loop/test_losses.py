from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from slicewise.training.config import LossConfig
from slicewise.training.loop.losses import (
    class_weights,
    loss,
    region_loss,
    slice_weights,
    tumor_loss,
    tumor_weights,
)

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]])
HARD = torch.tensor([0, 2])
ONE = F.one_hot(HARD, 3).bool()
ONES = torch.ones(3)
TUMOR = torch.tensor([[True, False, True, True]])
GLIOMA = torch.tensor([[True, False, False, False]])
HEALTHY = torch.tensor([[False, True, False, False]])
NEGATIVE = 1


def test_plain_is_cross_entropy() -> None:
    found = loss(LOGITS, ONE, ONES, LossConfig())
    torch.testing.assert_close(found, F.cross_entropy(LOGITS, HARD, reduction="none"))


def test_label_smoothing_agrees_with_torch() -> None:
    found = loss(LOGITS, ONE, ONES, LossConfig(label_smoothing=0.1))
    expected = F.cross_entropy(LOGITS, HARD, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(found, expected)


def test_focal_weighs_by_how_wrong() -> None:
    p = LOGITS.softmax(1)[torch.arange(2), HARD]
    expected = -((1 - p) ** 2) * p.log()
    found = loss(LOGITS, ONE, ONES, LossConfig(name="focal", focal_gamma=2.0))
    torch.testing.assert_close(found, expected)


def test_an_open_label_counts_the_joint_probability() -> None:
    possible = torch.tensor([[True, False, True]])
    p = LOGITS[:1].softmax(1)[0]
    found = loss(LOGITS[:1], possible, torch.tensor([1.0, 5.0, 3.0]), LossConfig())
    assert float(found) == pytest.approx(2 * -math.log(float(p[0] + p[2])), rel=1e-5)


def test_weights_scale_the_terms_of_their_class() -> None:
    doubled = loss(LOGITS[:1], ONE[:1], torch.tensor([2.0, 1, 1]), LossConfig())
    assert float(doubled) == pytest.approx(2 * float(F.cross_entropy(LOGITS[:1], HARD[:1])))


SIDES = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1]]).bool()


def test_tumor_against_none_is_a_cross_entropy_of_two_sides() -> None:
    """All types have the joint probability of tumor, told or not."""
    logits = torch.tensor([[3.0, 0.0, 1.0, -2.0]]).repeat(4, 1)
    p = torch.exp(torch.tensor([3.0, 0.0, -2.0])).sum()
    odds = torch.log(p) - 1.0
    expected = F.binary_cross_entropy_with_logits(
        odds.repeat(4), torch.tensor([1.0, 1.0, 0.0, 1.0]), reduction="none"
    )
    torch.testing.assert_close(tumor_loss(logits, SIDES, 2), expected)


def test_tumor_against_none_leaves_the_types_as_they_stand() -> None:
    """Its gradient goes with the shares of the types: their odds among each other do not matter."""
    logits = torch.tensor([[3.0, 0.0, 1.0, -2.0]], requires_grad=True)
    tumor_loss(logits, SIDES[:1], 2).sum().backward()
    types = [0, 1, 3]
    shares = logits.detach()[0, types].softmax(0)
    assert float(logits.grad[0, 2]) > 0
    torch.testing.assert_close(logits.grad[0, types], -shares * logits.grad[0, 2])
    far = torch.tensor([[200.0, 0.0, -200.0, 0.0]], requires_grad=True)
    tumor_loss(far, SIDES[2:3], 2).sum().backward()
    assert float(tumor_loss(far, SIDES[2:3], 2)) == pytest.approx(400)
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize(("types", "negative"), [(1, 0), (1, 1), (2, 1)])
def test_tumor_against_none_wherever_none_stands(types: int, negative: int) -> None:
    """Even scores: a type in so many; and with one type it is the plain loss."""
    classes = types + 1
    possible = torch.eye(classes).bool()
    found = tumor_loss(torch.zeros(classes, classes), possible, negative)
    expected = [math.log(classes / (1 if k == negative else types)) for k in range(classes)]
    assert found.tolist() == pytest.approx(expected)


def square(value: float = 1.0) -> torch.Tensor:
    """(1, 1, 8, 8) the upper left quarter."""
    region = torch.zeros(1, 1, 8, 8)
    region[..., :4, :4] = value
    return region


def test_evidence_spread_evenly_has_the_share_of_the_region() -> None:
    found = region_loss(torch.zeros(1, 4, 4, 4), square(), GLIOMA, None)
    assert float(found) == pytest.approx(math.log(4), abs=1e-4)


def test_evidence_inside_costs_nothing_and_outside_much() -> None:
    scores = torch.zeros(1, 4, 4, 4)
    scores[0, 0, 0, 0] = 30
    assert float(region_loss(scores, square(), GLIOMA, None)) < 1e-3
    assert float(region_loss(scores.flip(2), square(), GLIOMA, None)) > 10


def test_every_place_is_a_picture_of_its_own() -> None:
    """Even scores: log 4 inside and outside. Right everywhere: nothing. Turned about: much."""
    even = region_loss(torch.zeros(1, 4, 4, 4), square(), GLIOMA, NEGATIVE)
    assert float(even) == pytest.approx(math.log(4), abs=1e-5)
    scores = torch.zeros(1, 4, 4, 4)
    scores[0, NEGATIVE] = 20
    scores[0, NEGATIVE, :2, :2] = 0
    scores[0, 0, :2, :2] = 20
    assert float(region_loss(scores, square(), GLIOMA, NEGATIVE)) < 1e-3
    assert float(region_loss(scores.flip(2), square(), GLIOMA, NEGATIVE)) > 9


def test_an_untold_type_may_be_any_tumor_inside() -> None:
    scores = torch.zeros(1, 4, 4, 4)
    scores[0, NEGATIVE] = 20
    scores[0, NEGATIVE, :2, :2] = 0
    found = region_loss(scores, square(), TUMOR, NEGATIVE)
    assert float(found) == pytest.approx(0.5 * math.log(4 / 3), abs=1e-4)


def test_without_a_region_only_health_is_told() -> None:
    nowhere = torch.zeros(1, 1, 8, 8)
    zeros = torch.zeros(1, 4, 4, 4)
    assert float(region_loss(zeros, nowhere, GLIOMA, NEGATIVE)) == 0
    assert float(region_loss(zeros, nowhere, GLIOMA, None)) == 0
    healthy = region_loss(zeros, nowhere, HEALTHY, NEGATIVE)
    assert float(healthy) == pytest.approx(math.log(4), abs=1e-5)


def test_a_tumor_smaller_than_a_place_still_counts() -> None:
    region = torch.zeros(1, 1, 8, 8)
    region[..., 5, 5] = 1
    scores = torch.zeros(1, 4, 4, 4)
    scores[0, NEGATIVE] = 20
    scores[0, NEGATIVE, 2, 2], scores[0, 0, 2, 2] = 0, 20
    assert float(region_loss(scores, region, GLIOMA, NEGATIVE)) < 1e-3


def test_losses_have_gradients_that_are_numbers() -> None:
    scores = torch.randn(2, 4, 4, 4, requires_grad=True)
    regions = torch.cat([square(), torch.zeros(1, 1, 8, 8)])
    possible = torch.cat([GLIOMA, HEALTHY])
    for negative in (None, NEGATIVE):
        region_loss(scores, regions, possible, negative).sum().backward()
        assert torch.isfinite(scores.grad).all()


FIRST, LAST, OPEN = (1, 0, 0), (0, 0, 1), (1, 1, 0)
FIVE = np.array([FIRST, FIRST, FIRST, FIRST, FIRST], dtype=bool)
NAMES = ["big", "big", "big", "big", "small"]


def test_without_keys_every_slice_counts_one() -> None:
    possible = np.array([FIRST, FIRST, LAST, OPEN], dtype=bool)
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
    possible = np.concatenate([FIVE, np.array([LAST] * 3, dtype=bool)])
    found = slice_weights(possible, [*NAMES, "small", "small", "big"], 1, {})
    np.testing.assert_allclose(found, [5 / 8] * 4 + [5 / 2] + [3 / 4, 3 / 4, 3 / 2])


def test_an_untold_tumor_counts_apart_and_one_taken_for_a_class_with_it() -> None:
    """Which classes are left open says so, whatever the label."""
    possible = np.array([FIRST, FIRST, OPEN, OPEN], dtype=bool)
    found = slice_weights(possible, ["a", "b", "b", "b"], 1, {})
    assert found.tolist() == [1, 1, 1, 1]


def test_factors_come_after_the_balance() -> None:
    found = slice_weights(FIVE, NAMES, 1, {"small": 0.5, "other": 7})
    np.testing.assert_allclose(found, [5 / 8] * 4 + [5 / 4])


def test_slices_at_one_position_count_as_one() -> None:
    """Three channels each: the factor of the docs gives the weights of a third as many slices."""
    balance = 0.5
    names = ["channels"] * 12 + ["other"] * 9
    possible = np.array([FIRST] * 21, dtype=bool)
    found = slice_weights(possible, names, balance, {"channels": 3 ** (balance - 1)})
    assert found[:12].sum() / found[12:].sum() == pytest.approx((4 / 9) ** 0.5)


TOLD = {"t": (1, 0, 0), "m": (0, 0, 1), "-": (0, 1, 0), "?": (1, 0, 1)}


def sided(text: str, balance: float = 0.0, factors: dict[str, float] | None = None) -> list[float]:
    """Weights of slices written as source and label, such as `at a- bt`; none is the class 1."""
    words = text.split()
    possible = np.array([TOLD[word[1]] for word in words], dtype=bool)
    sources = [word[0] for word in words]
    return tumor_weights(possible, sources, balance, factors or {}, 1).tolist()


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ("at a- a- a-", [2, 2 / 3, 2 / 3, 2 / 3]),  # both sides count 2
        ("at am a? a-", [2 / 3, 2 / 3, 2 / 3, 2]),  # whatever the type, told or not
        ("at bt a- b-", [1, 1, 1, 1]),
        ("bt at b? a- c-", [0, 1, 0, 1, 0]),  # one side tells how the source looks
        ("bt c-", [0, 0]),
    ],
)
def test_both_sides_of_a_source_count_alike(slices: str, expected: list[float]) -> None:
    assert sided(slices) == pytest.approx(expected)


def test_sources_share_the_loss_of_tumor_against_none() -> None:
    """Of 10 slices 8 in one source: 8 to 2, the roots as 2 to 1, or alike; then the factors."""
    slices = "at at at at a- a- a- a- bt b- ct ct"
    for balance, share in ((0.0, 8 / 10), (0.5, 2 / 3), (1.0, 1 / 2)):
        found = sided(slices, balance)
        assert sum(found[:8]) == pytest.approx(10 * share)
        assert sum(found) == pytest.approx(10)
    half = sided(slices, 1.0, {"a": 0.5, "c": 3.0})
    assert half[:8] == pytest.approx([0.5 * 5 / 8] * 8)
    assert half[8:] == pytest.approx([2.5, 2.5, 0, 0])


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
