"""Fitting the out-of-distribution detector on held-out slices, and where its limits stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from slicewise.arrays import Array, Floats, Strings
from slicewise.errors import EvaluationError, MissingExtraError
from slicewise.inference.ood import SMALLEST, OodDetector, Whitening, expanded
from slicewise.inference.rule import OutOfDistribution

METHOD = (
    "logistic regression on whitened embedding and appearance numbers and their squares, "
    "held-out slices against pictures that are no head slice"
)
FEWEST = 50
"""Rows on either side below which nothing is fitted."""
_EMBEDDING_DIRECTIONS, _LOOK_DIRECTIONS = 64, 31
_LEAST = 1e-6
"""Share of the greatest spread below which a direction is chance."""
_STRENGTH = 0.005
"""Inverse regularisation for weights that sum to one (sklearn's C, divided by the rows)."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a model and a look at the pixels give for N pictures.

    Args:
        embeddings: (N, D) float32.
        looks: (N, F) appearance numbers.
        kinds: (N,) kind of each out-of-distribution picture, or group of each real slice.
    """

    embeddings: Array
    looks: Floats
    kinds: Strings

    def take(self, rows: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Seen:
        """Some of the rows."""
        return Seen(self.embeddings[rows], self.looks[rows], self.kinds[rows])


def fit_ood_detector(real: Seen, ood: Seen, known: Seen | None = None) -> OodDetector:
    """Whitening from all known slices, then logistic regression of `real` against `ood`.

    Every kind of picture weighs the same, so does every group of held-out slices, and one
    side as much as the other: a source of few slices in many groups counts as what it is.

    Args:
        known: Further slices for the whitening alone, such as those the model was trained on.

    Raises:
        EvaluationError: If one side has fewer than 50 rows.
        MissingExtraError: If scikit-learn is not installed.
    """
    for name, side in (("real", real), ("ood", ood)):
        if len(side.kinds) < FEWEST:
            raise EvaluationError(
                f"out-of-distribution limits: expected {FEWEST} {name} rows or more; "
                f"got {len(side.kinds)}"
            )
    return _fitted(real, ood, known)


def _fitted(real: Seen, ood: Seen, known: Seen | None) -> OodDetector:
    try:
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        raise MissingExtraError("fitting out-of-distribution limits", "evaluate") from None
    unweighted = _whitened_by([real] if known is None else [real, known])
    sides = [unweighted.whitened(side.embeddings, side.looks) for side in (real, ood)]
    numbers = expanded(np.concatenate(sides))
    truth = np.repeat([0, 1], [len(real.kinds), len(ood.kinds)])
    weights = np.concatenate([_even(real.kinds), _even(ood.kinds)])
    # Squares of clipped numbers reach 36: divided by 6, so that one penalty suits both.
    scale = np.repeat([1.0, 1 / 6], numbers.shape[1] // 2)
    model = LogisticRegression(C=_STRENGTH * truth.size, max_iter=3000)
    with threadpool_limits(1):  # the same sums, and so the same weights, on any number of cores
        model.fit(numbers * scale, truth, sample_weight=weights)
    return replace(
        unweighted,
        weights=(model.coef_[0] * scale).astype(np.float32),
        bias=model.intercept_.astype(np.float32),
    )


def limits_of(
    scores: Floats, groups: Strings, kinds: Sequence[str], reviewed: float, rejected: float
) -> OutOfDistribution:
    """Limits that stated shares of held-out slices exceed.

    `scores` are (N,) of slices that the weights were not fitted on, `groups` (N,) theirs. A share
    `reviewed` is above the lower limit, `rejected` above the upper one.
    """
    lower, upper = np.quantile(scores, [1 - reviewed, 1 - rejected])
    return OutOfDistribution(
        method=METHOD,
        review_above=float(lower),
        reject_above=float(upper),
        reviewed=float(np.mean(scores > lower)),
        rejected=float(np.mean(scores > upper)),
        fitted_on_kinds=tuple(sorted(set(kinds))),
        n=scores.size,
        groups=np.unique(groups).size,
    )


def cross_scores(
    real: Seen, ood: Seen, known: Seen | None = None, *, parts: int = 5, seed: int = 42
) -> Floats:
    """(N,) scores by weights fitted without the group (`kinds`); `EvaluationError` if too few."""
    names, index = np.unique(real.kinds, return_inverse=True)
    if names.size < parts:
        raise EvaluationError(
            f"out-of-distribution detector: expected {parts} groups or more; got {names.size}"
        )
    part = np.random.default_rng(seed).permutation(names.size)[index] % parts
    scores = np.zeros(len(real.kinds))
    for held_out in range(parts):
        mine = part == held_out
        if mine.any():
            fitted = _fitted(real.take(~mine), ood, known)
            scores[mine] = fitted.scores(real.embeddings[mine], real.looks[mine])
    return scores


def _whitened_by(sides: Sequence[Seen]) -> OodDetector:
    """Everything but the weights."""
    embeddings = np.concatenate([side.embeddings for side in sides]).astype(np.float64)
    looks = np.concatenate([side.looks for side in sides])
    spread = looks.std(axis=0) + 1e-3
    nothing = np.zeros(0, dtype=np.float32)
    return OodDetector(
        _whitening(embeddings, _EMBEDDING_DIRECTIONS),
        _whitening(looks / spread, _LOOK_DIRECTIONS),
        spread.astype(np.float32),
        nothing,
        nothing,
    )


def _whitening(values: Floats, directions: int) -> Whitening:
    """Principal directions, as many as asked for and as the values can bear."""
    centre = values.mean(axis=0)
    apart = values - centre
    main = main_directions(apart, min(directions, len(values) // 4))
    along = apart @ main.T
    axes = main / along.std(axis=0)[:, None]
    left = np.log(np.maximum(np.sum(apart**2, axis=1) - np.sum(along**2, axis=1), SMALLEST))
    rest = np.array([left.mean(), left.std() + 1e-6])
    return Whitening(*(part.astype(np.float32) for part in (centre, axes, rest)))


def _even(kinds: Strings) -> Floats:
    """Weights that sum to one half, every kind the same share."""
    _, index, size = np.unique(kinds, return_inverse=True, return_counts=True)
    return np.asarray(0.5 / (size[index] * size.size))


def main_directions(apart: Floats, most: int) -> Floats:
    """(P, D) orthogonal directions, the widest first, at most `most`; of (N, D) less their mean."""
    _, length, main = np.linalg.svd(apart, full_matrices=False)
    return np.asarray(main[: min(most, int(np.sum(length > _LEAST * length[0])))])
