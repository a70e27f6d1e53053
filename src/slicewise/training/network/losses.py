"""Losses on labels that may leave several classes open, and on where tumors are."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from numpy.typing import NDArray
from torch import Tensor

from slicewise.training.config import LossConfig


def class_weights(possible: NDArray[np.bool_], kind: str) -> Tensor:
    """(K,) weights with mean 1 over slices of one class: ones, or inverse to its frequency.

    Args:
        possible: (N, K) which classes each label leaves open; those with several do not count.
        kind: `none` or `balanced`.
    """
    classes = possible.shape[1]
    if kind == "none":
        return torch.ones(classes)
    counts = possible[possible.sum(axis=1) == 1].sum(axis=0)
    weights = np.where(counts > 0, counts.sum() / (classes * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights).float()


def loss(logits: Tensor, possible: Tensor, weights: Tensor, config: LossConfig) -> Tensor:
    """(N,) loss of each slice of a batch.

    Where a label leaves several classes open, their joint probability counts.

    Args:
        logits: (N, K).
        possible: (N, K) bool, which classes the label leaves open; at least one in each row.
        weights: (K,) class weights; several open classes share their mean.
        config: Which loss; focal is Lin et al. 2017.
    """
    log_p = F.log_softmax(logits, dim=1)
    log_joint = log_p.masked_fill(~possible, -torch.inf).logsumexp(dim=1)
    share = (possible * weights).sum(dim=1) / possible.sum(dim=1)
    hard = share * _term(log_joint, config)
    smooth = (weights * _term(log_p, config)).mean(dim=1)
    return (1 - config.label_smoothing) * hard + config.label_smoothing * smooth


def region_loss(scores: Tensor, regions: Tensor, possible: Tensor, negative: int | None) -> Tensor:
    """Of each slice: how far from the tumor its evidence lies.

    Without a negative class: minus the log of the share of the true class's evidence, a softmax
    over places, that lies in the region. With one, every place is a small picture of its own: it
    shows the tumor's class inside the region and no tumor elsewhere; both sides count alike.

    Args:
        scores: (N, K, h, w) class scores of every place.
        regions: (N, 1, H, W) in [0, 1], 1 inside of the tumor; all 0 where no place is known.
        possible: (N, K) bool, which classes the label leaves open.
        negative: Index of the class without a tumor; None where there is none.

    Returns:
        (N,) losses; 0 where a slice has a tumor but no region.
    """
    cover = F.adaptive_avg_pool2d(regions, (scores.shape[2], scores.shape[3])).flatten(1)
    peak = cover.amax(dim=1, keepdim=True)
    cover = cover / peak.clamp(min=1e-6)
    flat = scores.flatten(2)
    known = peak[:, 0] > 0
    if negative is None:
        evidence = flat.masked_fill(~possible[:, :, None], -torch.inf).logsumexp(dim=1)
        inside = (F.log_softmax(evidence, dim=1) + cover.clamp(min=1e-6).log()).logsumexp(dim=1)
        return torch.where(known, -inside, 0.0)
    log_p = F.log_softmax(flat, dim=1)
    tumor = -log_p.masked_fill(~possible[:, :, None], -torch.inf).logsumexp(dim=1)
    inside, outside = (cover > 0.5).float(), (cover < 0.1).float()
    healthy = possible[:, negative]
    hot = (tumor * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
    cold = (-log_p[:, negative] * outside).sum(dim=1) / outside.sum(dim=1).clamp(min=1)
    return torch.where(healthy, cold, torch.where(known, 0.5 * (hot + cold), 0.0))


def _term(log_p: Tensor, config: LossConfig) -> Tensor:
    return -log_p * (1 - log_p.exp()) ** config.focal_gamma if config.name == "focal" else -log_p
