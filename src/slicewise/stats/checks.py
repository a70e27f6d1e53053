"""What the arrays handed to the evaluation functions must satisfy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Bools, Floats, Ints
from slicewise.errors import EvaluationError

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from summing to one (float16 storage costs about 1e-3)."""


def require_matrix(name: str, values: ArrayLike) -> Floats:
    """(N, K) finite numbers, N and K at least 1; `EvaluationError` where shape or value is off."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise EvaluationError(f"{name}: expected shape (N, K), N and K >= 1; got {matrix.shape}")
    if not np.isfinite(matrix).all():
        bad = int(np.count_nonzero(~np.isfinite(matrix)))
        raise EvaluationError(f"{name}: expected finite numbers; got {bad} that are not")
    return matrix


def require_probabilities(values: ArrayLike) -> Floats:
    """(N, K) numbers in [0, 1], rows summing to one; `EvaluationError` where one is off."""
    matrix = require_matrix("probabilities", values)
    if matrix.min() < 0 or matrix.max() > 1:
        raise EvaluationError(
            "probabilities: expected values in [0, 1]; "
            f"got {matrix.min():.4g} to {matrix.max():.4g}"
        )
    off = float(np.abs(matrix.sum(axis=1) - 1).max())
    if off > SUM_TOLERANCE:
        raise EvaluationError(
            f"probabilities: expected rows that sum to 1; got one off by {off:.4g}"
        )
    return matrix


def require_targets(values: ArrayLike, n: int, classes: int) -> Ints:
    """(N,) class indices in [0, `classes`), N being `n`; `EvaluationError` where one is off."""
    targets = np.asarray(values)
    if targets.shape != (n,) or n == 0:
        raise EvaluationError(f"targets: expected shape ({n},), not empty; got {targets.shape}")
    if not np.issubdtype(targets.dtype, np.integer):
        raise EvaluationError(f"targets: expected integers; got {targets.dtype}")
    if targets.min() < 0 or targets.max() >= classes:
        raise EvaluationError(
            f"targets: expected class indices in [0, {classes}); "
            f"got {int(targets.min())} to {int(targets.max())}"
        )
    return targets.astype(np.int64)


def require_flags(name: str, values: ArrayLike, n: int | None = None) -> Bools:
    """(N,) booleans, as many as `n` where it is given; `EvaluationError` where they are not."""
    flags = np.asarray(values)
    if flags.ndim != 1 or flags.size == 0 or (n is not None and flags.size != n):
        wanted = "(N,)" if n is None else f"({n},)"
        raise EvaluationError(f"{name}: expected shape {wanted}, not empty; got {flags.shape}")
    if flags.dtype != np.bool_:
        raise EvaluationError(f"{name}: expected booleans; got {flags.dtype}")
    return flags


def require_scores(values: ArrayLike, n: int, name: str = "scores") -> Floats:
    """(N,) finite numbers, as many as `n`; `EvaluationError` where they are not."""
    scores = np.asarray(values, dtype=np.float64)
    if scores.shape != (n,):
        raise EvaluationError(f"{name}: expected shape ({n},); got {scores.shape}")
    if not np.isfinite(scores).all():
        raise EvaluationError(f"{name}: expected finite numbers; got some that are not")
    return scores


def require_some(name: str, count: int, total: int, what: str) -> None:
    """`EvaluationError` where the `count` of `what` a quantity needs is 0 of `total` slices."""
    if count == 0:
        raise EvaluationError(f"{name} needs {what}; got 0 among {total} slices")
