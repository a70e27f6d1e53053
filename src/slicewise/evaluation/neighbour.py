"""What copying would score: each slice takes the label of the most similar training slice.

No learning, only pixels. Where this baseline is high, a high score of a model says little: the
split holds near copies of what the model was trained on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from slicewise.errors import EvaluationError
from slicewise.evaluation.checks import Ints

Floats32 = NDArray[np.float32]

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
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise EvaluationError(
            "thumbnails: expected shapes (N, D) and (M, D); "
            f"got {queries.shape} and {references.shape}"
        )
    if references.shape[0] == 0:
        raise EvaluationError("thumbnails: expected at least one training slice; got none")
    blocks = [
        np.argmax(queries[start : start + BLOCK] @ references.T, axis=1)
        for start in range(0, queries.shape[0], BLOCK)
    ]
    return np.concatenate(blocks).astype(np.int64) if blocks else np.zeros(0, dtype=np.int64)


def neighbour_correct(
    queries: Floats32,
    query_labels: ArrayLike,
    references: Floats32,
    reference_labels: ArrayLike,
) -> NDArray[np.bool_]:
    """Whether the nearest training slice has the same label; its mean is the 1-NN accuracy.

    Args:
        queries: (N, D) float32 thumbnails of the evaluated slices.
        query_labels: (N,) their labels.
        references: (M, D) float32 thumbnails of the training slices.
        reference_labels: (M,) their labels.

    Returns:
        (N,) booleans.

    Raises:
        EvaluationError: If a shape is off or there is no training slice.
    """
    asked, known = np.asarray(query_labels), np.asarray(reference_labels)
    if asked.shape != queries.shape[:1] or known.shape != references.shape[:1]:
        raise EvaluationError(
            f"labels: expected shapes {queries.shape[:1]} and {references.shape[:1]}; "
            f"got {asked.shape} and {known.shape}"
        )
    return np.asarray(known[nearest(queries, references)] == asked, dtype=np.bool_)
