from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from slicewise.training.config import LossConfig
from slicewise.training.network.losses import class_weights, loss, region_loss

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


def test_balanced_weights_are_inverse_to_the_frequency_of_told_classes() -> None:
    possible = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [1, 1]], dtype=bool)
    torch.testing.assert_close(class_weights(possible, "balanced"), torch.tensor([4 / 6, 2.0]))
    assert class_weights(possible, "none").tolist() == [1, 1]


def test_weights_scale_the_terms_of_their_class() -> None:
    doubled = loss(LOGITS[:1], ONE[:1], torch.tensor([2.0, 1, 1]), LossConfig())
    assert float(doubled) == pytest.approx(2 * float(F.cross_entropy(LOGITS[:1], HARD[:1])))


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
