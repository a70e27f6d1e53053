"""The nearest neighbour of a slice by its pixels: no learning, only memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from slicewise.errors import EvaluationError

Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]

THUMBNAIL_PX = 32
BLOCK = 1024
"""Slices compared at a time, which bounds the memory of the similarity matrix."""


def thumbnail(pixels: NDArray[np.float32]) -> Floats32:
    """A slice shrunk by area averaging, with zero mean and unit length.

    Args:
        pixels: (H, W) finite grey values of any scale.

    Returns:
        (1024,) float32. A slice of one single value gives zeros, similar to nothing.

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
    return np.asarray(centred / length if length > 0 else np.zeros_like(centred), dtype=np.float32)


def nearest(queries: Floats32, references: Floats32) -> Ints:
    """The most similar reference of each query, by correlation.

    Args:
        queries: (N, D) float32 thumbnails.
        references: (M, D) float32 thumbnails.

    Returns:
        (N,) indices into the references; of equals the first.

    Raises:
        EvaluationError: If there is no reference or the widths differ.
    """
    blocks = [np.argmax(similar, axis=1) for _, similar in _similarities(queries, references)]
    return np.concatenate(blocks).astype(np.int64) if blocks else np.zeros(0, dtype=np.int64)


def nearest_of_another_group(
    queries: Floats32,
    query_groups: ArrayLike,
    references: Floats32,
    reference_groups: ArrayLike,
) -> Ints:
    """As `nearest`, but references of the query's own group do not count.

    Args:
        queries: (N, D) float32 thumbnails.
        query_groups: (N,) whole numbers.
        references: (M, D) float32 thumbnails.
        reference_groups: (M,) whole numbers.

    Returns:
        (N,) indices into the references; -1 where all references are of the query's group.

    Raises:
        EvaluationError: If there is no reference or the widths differ.
    """
    asked, known = np.asarray(query_groups), np.asarray(reference_groups)
    found = np.full(len(queries), -1, dtype=np.int64)
    for start, similar in _similarities(queries, references):
        rows = slice(start, start + len(similar))
        similar[asked[rows, None] == known[None]] = -np.inf
        best = np.argmax(similar, axis=1)
        open_ = np.isfinite(similar[np.arange(len(similar)), best])
        found[rows] = np.where(open_, best, -1)
    return found


def _similarities(queries: Floats32, references: Floats32) -> Iterator[tuple[int, Floats32]]:
    """Correlations of a block of queries with all references, and where the block begins."""
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise EvaluationError(
            "thumbnails: expected shapes (N, D) and (M, D); "
            f"got {queries.shape} and {references.shape}"
        )
    if references.shape[0] == 0:
        raise EvaluationError("thumbnails: expected at least one training slice; got none")
    for start in range(0, queries.shape[0], BLOCK):
        yield start, queries[start : start + BLOCK] @ references.T
