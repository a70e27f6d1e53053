"""How often answers are wrong when the least sure ones are withheld.

Risk-coverage curve and its area: Geifman and El-Yaniv, NeurIPS 2017; Geifman et al., ICLR 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Floats, Ints
from slicewise.stats.checks import require_flags, require_scores


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Error rate of the answers kept, from the surest ones to all.

    Equally sure ones are kept or withheld together.

    Args:
        sureness: (T,) distinct confidences or trust scores, falling: the least one that is kept.
        coverage: (T,) share of the slices kept, rising to 1.
        risk: (T,) share of wrong answers among those kept.
        count: (T,) slices that each step adds.
    """

    sureness: Floats
    coverage: Floats
    risk: Floats
    count: Ints


def risk_coverage(sureness: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """The curve of N answers.

    Args:
        sureness: (N,) finite, larger means surer.
        correct: (N,) booleans, whether the answer is right.

    Raises:
        EvaluationError: If the shapes differ or a number is not finite.
    """
    right = require_flags("correct", correct)
    sure = require_scores(sureness, right.size)
    order = np.argsort(-sure, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(sure[order])), right.size - 1)
    kept = last_of_tie + 1
    wrong = np.cumsum(~right[order])[last_of_tie]
    return RiskCoverage(
        sureness=sure[order][last_of_tie],
        coverage=kept / right.size,
        risk=wrong / kept,
        count=np.diff(kept, prepend=0).astype(np.int64),
    )


def risk_coverage_area(sureness: ArrayLike, correct: ArrayLike) -> float:
    """Mean error rate over all shares kept; 0 is best, the error rate is what chance gives.

    Args:
        sureness: (N,) finite, larger means surer.
        correct: (N,) booleans, whether the answer is right.

    Raises:
        EvaluationError: If the shapes differ or a number is not finite.
    """
    curve = risk_coverage(sureness, correct)
    return float(np.sum(curve.risk * curve.count) / curve.count.sum())
