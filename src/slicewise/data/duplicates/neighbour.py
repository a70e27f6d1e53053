"""The nearest neighbour of a slice by its pixels: no learning, only memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from slicewise.arrays import Array, Ints
from slicewise.errors import EvaluationError

THUMBNAIL_PX = 32
_FLAT = 1e-6
"""Spread relative to the largest value below which nothing is left but rounding of float32."""
BLOCK = 1024
"""Slices compared at a time, which bounds the memory of the similarity matrix."""


def thumbnail(pixels: Array) -> Array:
    """A slice, (H, W) finite values of any scale, shrunk by area averaging: (1024,) float32.

    It has zero mean and unit length. A slice of one single value, or of no detail at this size,
    gives zeros: it resembles nothing. `EvaluationError` where shape or value is off.
    """
    values = np.asarray(pixels, dtype=np.float32)
    if values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
        raise EvaluationError(f"pixels: expected (H, W) finite numbers; got shape {values.shape}")
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX)).ravel()
    centred = small - small.mean()
    length = float(np.linalg.norm(centred))
    if length <= _FLAT * THUMBNAIL_PX * float(np.abs(small).max()):
        return np.zeros_like(centred)
    return np.asarray(centred / length, dtype=np.float32)


def nearest(
    queries: Array, references: Array, groups: tuple[ArrayLike, ArrayLike] | None = None
) -> Ints:
    """The most similar reference of each query, by correlation.

    Args:
        queries: (N, D) float32 thumbnails; `references`: (M, D).
        groups: (N,) of the queries and (M,) of the references, whole numbers: references of a
            query's own group do not count. None to count all.

    Returns:
        (N,) indices into the references, of equals the first; -1 for a query of zeros, which
        resembles nothing, and where no reference counts that is not all zeros.

    Raises:
        EvaluationError: If there is no reference or the widths differ.
    """
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise EvaluationError(
            "thumbnails: expected shapes (N, D) and (M, D); "
            f"got {queries.shape} and {references.shape}"
        )
    if references.shape[0] == 0:
        raise EvaluationError("thumbnails: expected at least one training slice; got none")
    own, other = map(np.asarray, groups or (np.zeros(len(queries)), np.ones(len(references))))
    blank, empty = (np.asarray(~thumbnails.any(axis=1)) for thumbnails in (references, queries))
    found = np.full(len(queries), -1, dtype=np.int64)
    for start in range(0, len(queries), BLOCK):
        rows = slice(start, start + BLOCK)
        similar = queries[rows] @ references.T
        similar[empty[rows]] = -np.inf
        similar[:, blank] = -np.inf
        similar[own[rows, None] == other[None]] = -np.inf
        best = np.argmax(similar, axis=1)
        counts = np.isfinite(similar[np.arange(len(similar)), best])
        found[rows] = np.where(counts, best, -1)
    return found
