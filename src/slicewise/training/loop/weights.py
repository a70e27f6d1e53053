"""How much classes and single slices of the training split count in the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from slicewise.arrays import Floats
from slicewise.training.data.dataset import Possible


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
