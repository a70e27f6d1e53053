"""Losses on soft targets with class weights."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from numpy.typing import NDArray
from torch import Tensor

from slicewise.training.config import LossConfig


def class_weights(targets: NDArray[np.int64], classes: int, kind: str) -> Tensor:
    """(K,) weights with mean 1 over slices: all ones, or inverse to the class frequency."""
    if kind == "none":
        return torch.ones(classes)
    counts = np.bincount(targets, minlength=classes)
    weights = np.where(counts > 0, len(targets) / (classes * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights).float()


def loss(logits: Tensor, targets: Tensor, weights: Tensor, config: LossConfig) -> Tensor:
    """Mean loss of a batch.

    Args:
        logits: (N, K).
        targets: (N, K) soft targets, rows sum to 1.
        weights: (K,) class weights.
        config: Which loss; focal is Lin et al. 2017.
    """
    if config.label_smoothing:
        targets = targets * (1 - config.label_smoothing) + config.label_smoothing / logits.shape[1]
    log_p = F.log_softmax(logits, dim=1)
    terms = -targets * log_p * weights
    if config.name == "focal":
        terms = terms * (1 - log_p.exp()) ** config.focal_gamma
    return terms.sum(dim=1).mean()
