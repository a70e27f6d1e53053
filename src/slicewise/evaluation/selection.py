"""Answering only where it is safe: from which confidence on an answer is accepted."""

from __future__ import annotations

import numpy as np

from slicewise.errors import EvaluationError
from slicewise.evaluation.predictions import PredictionTable
from slicewise.evaluation.risk import risk_coverage
from slicewise.inference.rule import Acceptance

ACCEPT_TARGET = 0.99
"""Wanted share of right answers among those that are accepted."""


def fit_acceptance(table: PredictionTable, target: float = ACCEPT_TARGET) -> Acceptance:
    """The least confidence whose answers, with all above it, were right as often as wanted.

    Args:
        table: Held-out answers, calibrated.
        target: Wanted share of right answers.

    Raises:
        EvaluationError: If the target is no share, or no confidence reaches it.
    """
    if not 0 < target < 1:
        raise EvaluationError(f"target: expected a share in (0, 1); got {target}")
    curve = risk_coverage(table.confidence, table.predicted == table.targets)
    reached = np.flatnonzero(1 - curve.risk >= target)
    if reached.size == 0:
        raise EvaluationError(
            f"acceptance: no confidence reaches {target:g} right answers among {table.n} slices"
        )
    index = int(reached[-1])
    return Acceptance(
        confidence=float(curve.confidence[index]),
        target=target,
        accuracy=float(1 - curve.risk[index]),
        coverage=float(curve.coverage[index]),
        n=table.n,
        groups=table.n_groups,
    )
