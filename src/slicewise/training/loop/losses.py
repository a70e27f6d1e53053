"""What is minimised: the losses of slices, and how much each slice and class counts in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from torch import Tensor

from slicewise.arrays import Floats
from slicewise.training.config import LossConfig
from slicewise.training.data.dataset import Possible


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


def tumor_loss(logits: Tensor, possible: Tensor, negative: int) -> Tensor:
    """(N,) loss of each slice in telling tumor from none, whatever the type; see `loss`."""
    index = torch.arange(logits.shape[1], device=logits.device)
    side = (index == negative) == possible[:, negative, None]
    return -F.log_softmax(logits, dim=1).masked_fill(~side, -torch.inf).logsumexp(dim=1)


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


def slice_weights(
    possible: Possible, sources: Sequence[str], balance: float, factors: Mapping[str, float]
) -> Floats:
    """(N,) weights of slices, all 1 where balance is 0 and there are no factors.

    Slices that leave the same classes open share a total weight of their number. Of it each source
    has a part that goes with its number of slices to the power of `1 - balance`. Then come the
    factors, which change totals.

    Args:
        possible: (N, K) which classes each label leaves open.
        sources: (N) names of data sets.
        balance: In [0, 1].
        factors: By source; 1 where it is not named.
    """
    names, weights = np.asarray(sources), np.ones(len(sources))
    for kind in np.unique(possible, axis=0):
        inside = (possible == kind).all(axis=1)
        _, of, counts = np.unique(names[inside], return_inverse=True, return_counts=True)
        wanted = 1 / counts[of] ** balance
        weights[inside] = wanted / wanted.mean()
    return weights * [factors.get(source, 1.0) for source in sources]


def tumor_weights(
    possible: Possible,
    sources: Sequence[str],
    balance: float,
    factors: Mapping[str, float],
    negative: int,
) -> Floats:
    """(N,) weights of slices for `tumor_loss`: 0 in a source with one side only.

    Such a source would teach how it looks rather than what a tumor is. In the others both sides
    count alike. Sources share the total, the number of their slices, as in `slice_weights`.

    Args:
        negative: Index of the class without a tumor.
    """
    names, healthy = np.asarray(sources), possible[:, negative]
    weights = np.zeros(len(names))
    for source in set(names[healthy]) & set(names[~healthy]):
        inside = names == source
        for side in (inside & healthy, inside & ~healthy):
            weights[side] = inside.sum() / (2 * side.sum())
    both = weights > 0
    one = np.ones((both.sum(), 1), dtype=np.bool_)
    weights[both] *= slice_weights(one, names[both].tolist(), balance, factors)
    return weights


def class_weights(possible: Possible, kind: str, weights: Floats) -> Tensor:
    """(K,) weights of classes: ones, or inverse to the total weight of their slices.

    With the latter, slices count 1 in the mean, and all classes alike.

    Args:
        possible: (N, K) which classes each label leaves open; those with several do not count.
        kind: `none` or `balanced`.
        weights: (N,) of the slices.
    """
    classes = possible.shape[1]
    if kind == "none":
        return torch.ones(classes)
    told = possible.sum(axis=1) == 1
    totals = (possible * weights[:, None])[told].sum(axis=0)
    there = totals > 0
    balanced = np.where(there, totals.sum() / (classes * np.where(there, totals, 1)), 0.0)
    return torch.from_numpy(balanced).float()
