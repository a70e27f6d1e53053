"""What copying would score: each slice takes the label of the most similar training slice.

No learning, only pixels. Where this baseline is high, a high score of a model says little: the
split holds near copies of what the model was trained on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicewise.arrays import Array
from slicewise.data.duplicates.neighbour import nearest
from slicewise.errors import EvaluationError


def neighbour_correct(
    queries: Array,
    query_labels: ArrayLike,
    references: Array,
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
    found = nearest(queries, references)
    return np.asarray((found >= 0) & (known[found] == asked), dtype=np.bool_)
