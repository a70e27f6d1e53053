"""A share of independent yes or no answers, with its interval."""

from __future__ import annotations

from statistics import NormalDist

from slicewise.errors import EvaluationError
from slicewise.evaluation.bootstrap import Estimate


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Share with the score interval of Wilson (1927), which stays within [0, 1].

    Args:
        successes: How many said yes, 0 to `n`.
        n: How many were asked, at least 1.
        level: Coverage of the interval, in (0, 1).

    Raises:
        EvaluationError: If a number is out of range.
    """
    if not 0 <= successes <= n or n < 1 or not 0 < level < 1:
        raise EvaluationError(
            "proportion: expected 0 <= successes <= n, n >= 1 and a level in (0, 1); "
            f"got {successes}, {n} and {level}"
        )
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))
