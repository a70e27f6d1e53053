"""Prediction sets that hold the true class as often as promised.

Split conformal prediction with one quantile a class (Vovk, ACML 2012; Sadinle et al., JASA 2019):
a class stays in the set where its probability is at least what all but a small share of held-out
slices of that class had. The promise holds for slices exchangeable with those it was fitted on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from slicewise.errors import EvaluationError
from slicewise.inference.rule import Conformal
from slicewise.predictions.table import PredictionTable

COVERAGE = 0.95
"""Promised where nothing else is asked for."""


def fit_conformal(table: PredictionTable, coverage: float = COVERAGE) -> Conformal:
    """The smallest probability with which each class stays in the set.

    A share `coverage` in (0, 1) of the sets holds the true class, of each class apart.
    `EvaluationError` where it is no share, or a class has no slice.
    """
    if not 0 < coverage < 1:
        raise EvaluationError(f"coverage: expected a share in (0, 1); got {coverage}")
    probabilities = table.probabilities()
    smallest = {}
    for k, name in enumerate(table.classes):
        own = probabilities[table.targets == k, k]
        if own.size == 0:
            raise EvaluationError(f"conformal sets: expected held-out slices of {name}; got none")
        smallest[name] = smallest_kept(own, coverage)
    return Conformal(coverage=coverage, smallest=smallest, n=table.n, groups=table.n_groups)


def smallest_kept(own: ArrayLike, coverage: float) -> float:
    """The limit that a new value of the same kind reaches with at least a probability `coverage`.

    The floor((n + 1) (1 - coverage))-th smallest of (n,); 0 where n is too small to leave one out.
    """
    values = np.sort(np.asarray(own, dtype=np.float64))
    # 1 - 0.95 is a little more than 0.05 in binary: keep whole numbers whole.
    rank = math.floor((values.size + 1) * (1 - coverage) + 1e-9)
    return float(values[rank - 1]) if rank >= 1 else 0.0
