"""The nearest neighbour of a slice by its pixels: no learning, only memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from slicewise.arrays import Array, Bools, Ints
from slicewise.errors import EvaluationError

THUMBNAIL_PX = 32
_FLAT = 1e-6
"""Spread relative to the largest value below which nothing is left but rounding of float32."""
BLOCK = 1024
"""Slices compared at a time, which bounds the memory of the similarity matrix."""


def thumbnail(pixels: NDArray[np.float32]) -> Array:
    """A slice shrunk by area averaging, with zero mean and unit length.

    Args:
        pixels: (H, W) finite grey values of any scale.

    Returns:
        (1024,) float32. A slice of one single value, or of no detail at this size, gives zeros:
        it resembles nothing.

    Raises:
        EvaluationError: If the shape is another one or a value is not finite.
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


def nearest(queries: Array, references: Array) -> Ints:
    """The most similar reference of each query, by correlation.

    Args:
        queries: (N, D) float32 thumbnails.
        references: (M, D) float32 thumbnails.

    Returns:
        (N,) indices into the references, of equals the first; -1 for a query of zeros, which
        resembles nothing, and where all references are zeros.

    Raises:
        EvaluationError: If there is no reference or the widths differ.
    """
    blocks = [_most_similar(similar) for _, similar in _similarities(queries, references)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *blocks])


def nearest_of_another_group(
    queries: Array,
    query_groups: ArrayLike,
    references: Array,
    reference_groups: ArrayLike,
) -> Ints:
    """As `nearest`, but references of the query's own group do not count.

    Args:
        queries: (N, D) float32 thumbnails.
        query_groups: (N,) whole numbers.
        references: (M, D) float32 thumbnails.
        reference_groups: (M,) whole numbers.

    Returns:
        (N,) indices into the references; -1 as there, and where all references are of the
        query's group.

    Raises:
        EvaluationError: If there is no reference or the widths differ.
    """
    asked, known = np.asarray(query_groups), np.asarray(reference_groups)
    found = np.full(len(queries), -1, dtype=np.int64)
    for start, similar in _similarities(queries, references):
        rows = slice(start, start + len(similar))
        similar[asked[rows, None] == known[None]] = -np.inf
        found[rows] = _most_similar(similar)
    return found


def _most_similar(similar: Array) -> Ints:
    """For each row the first column of its largest value; -1 where none is finite."""
    best = np.argmax(similar, axis=1)
    there = np.isfinite(similar[np.arange(len(similar)), best])
    return np.where(there, best, -1).astype(np.int64)


def _similarities(queries: Array, references: Array) -> Iterator[tuple[int, Array]]:
    """Correlations of a block of queries with all references, and where the block begins.

    Zeros have no correlation: -inf.
    """
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise EvaluationError(
            "thumbnails: expected shapes (N, D) and (M, D); "
            f"got {queries.shape} and {references.shape}"
        )
    if references.shape[0] == 0:
        raise EvaluationError("thumbnails: expected at least one training slice; got none")
    blank = _zeros(references)
    for start in range(0, queries.shape[0], BLOCK):
        block = queries[start : start + BLOCK]
        similar = block @ references.T
        similar[_zeros(block)] = -np.inf
        similar[:, blank] = -np.inf
        yield start, similar


def _zeros(thumbnails: Array) -> Bools:
    return np.asarray(~thumbnails.any(axis=1))
