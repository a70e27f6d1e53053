"""The trust score: how much closer a picture is to training slices of its answer than of another.

Jiang et al., NeurIPS 2018. It speaks where confidence does not: a network can be sure of a class
whose training slices are no nearer to the picture than those of another class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SMALLEST = 1e-6
"""Least distance that is divided by."""


def trust_scores(class_distances: ArrayLike, answered: ArrayLike) -> NDArray[np.float64]:
    """Distance to the nearest class that was not answered, over that to the answered one.

    1 is as near to another class; larger is better supported.

    Args:
        class_distances: (..., K) at least 0, to the training slices of each of two or more classes.
        answered: (...) index of the answered class.
    """
    given = np.asarray(class_distances, dtype=np.float64)
    mine = np.asarray(answered)[..., None] == np.arange(given.shape[-1])
    other = np.where(mine, np.inf, given).min(axis=-1)
    own = np.where(mine, given, 0.0).sum(axis=-1)
    return np.asarray(other / np.maximum(own, _SMALLEST))
