from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from slicewise.training.config import LossConfig
from slicewise.training.losses import class_weights, loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]])
HARD = torch.tensor([0, 2])
SOFT = F.one_hot(HARD, 3).float()
ONES = torch.ones(3)


def test_plain_is_cross_entropy() -> None:
    found = loss(LOGITS, SOFT, ONES, LossConfig())
    torch.testing.assert_close(found, F.cross_entropy(LOGITS, HARD))


def test_label_smoothing_agrees_with_torch() -> None:
    found = loss(LOGITS, SOFT, ONES, LossConfig(label_smoothing=0.1))
    torch.testing.assert_close(found, F.cross_entropy(LOGITS, HARD, label_smoothing=0.1))


def test_focal_weighs_by_how_wrong() -> None:
    p = LOGITS.softmax(1)[torch.arange(2), HARD]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    found = loss(LOGITS, SOFT, ONES, LossConfig(name="focal", focal_gamma=2.0))
    torch.testing.assert_close(found, expected)


def test_balanced_weights_are_inverse_to_frequency() -> None:
    weights = class_weights(np.array([0, 0, 0, 1]), 2, "balanced")
    torch.testing.assert_close(weights, torch.tensor([4 / 6, 2.0]))
    assert class_weights(np.array([0, 0, 1]), 2, "none").tolist() == [1, 1]


def test_weights_scale_the_terms_of_their_class() -> None:
    doubled = loss(LOGITS[:1], SOFT[:1], torch.tensor([2.0, 1, 1]), LossConfig())
    assert float(doubled) == pytest.approx(2 * float(F.cross_entropy(LOGITS[:1], HARD[:1])))
