"""Selective prediction: from which trust score or confidence on an answer is accepted."""

from __future__ import annotations

import numpy as np

from slicewise.arrays import Floats
from slicewise.errors import EvaluationError
from slicewise.inference.rule import Acceptance
from slicewise.inference.trust import trust_scores
from slicewise.predictions.table import PredictionTable
from slicewise.stats.curves import risk_coverage

ACCEPT_TARGET = 0.99
"""Wanted share of right answers among those that are accepted."""
UNKNOWN = 0.02
"""Share of slices of a class taken out of memory that may be accepted as another one."""


def fit_acceptance(
    table: PredictionTable, target: float = ACCEPT_TARGET, unknown: float = UNKNOWN
) -> Acceptance:
    """The least trust whose answers, with all above it, were right as often as wanted.

    It is raised where more than a share `unknown` of the slices would be accepted if the model did
    not know their class. Without distances to training slices it is the least confidence, and
    nothing is asked about unknown classes; nor where there are but two.

    Args:
        target: Wanted share of right answers.

    Raises:
        EvaluationError: If the target is no share, or no limit reaches it.
    """
    if not 0 < target < 1:
        raise EvaluationError(f"target: expected a share in (0, 1); got {target}")
    score = table.scored_by
    curve = risk_coverage(table.sureness, table.predicted == table.targets)
    of_unknown = unknown_trust(table)
    least = 0.0 if of_unknown is None else float(np.quantile(of_unknown, 1 - unknown))
    reached = np.flatnonzero(1 - curve.risk >= target)
    strict = np.flatnonzero(curve.sureness >= least)
    if reached.size == 0:
        raise EvaluationError(
            f"acceptance: no {score} reaches {target:g} right answers among {table.n} slices"
        )
    if strict.size == 0:
        raise EvaluationError(
            f"acceptance: no answer has more {score} than slices of unknown classes would have"
        )
    index = int(min(reached[-1], strict[-1]))
    limit = float(curve.sureness[index])
    return Acceptance.model_validate(
        {
            score: limit,
            "target": target,
            "accuracy": float(1 - curve.risk[index]),
            "coverage": float(curve.coverage[index]),
            "unknown": None if of_unknown is None else float(np.mean(of_unknown >= limit)),
            "n": table.n,
            "groups": table.n_groups,
        }
    )


def unknown_trust(table: PredictionTable) -> Floats | None:
    """(N,) trust that each slice would find among the other classes, its own taken away.

    The network has learnt from that class, so a class that it never saw would find more. None
    without distances, and where fewer than two other classes are left.
    """
    if table.class_distances is None or len(table.classes) < 3:
        return None
    own = np.arange(table.n), table.targets
    shares, distances = table.probabilities(), table.class_distances.copy()
    shares[own], distances[own] = -1.0, np.inf
    return trust_scores(distances, shares.argmax(axis=1))
