"""Wilson's interval against SciPy's, and its ends."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from slicewise.errors import EvaluationError
from slicewise.evaluation.proportion import wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 300), (300, 300), (3, 10), (150, 301)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_matches_scipy(successes: int, n: int, level: float) -> None:
    found = wilson(successes, n, level)
    expected = binomtest(successes, n).proportion_ci(level, method="wilson")
    assert found.value == successes / n
    assert found.ci_low == pytest.approx(expected.low, abs=1e-12)
    assert found.ci_high == pytest.approx(expected.high, abs=1e-12)


@pytest.mark.parametrize(("successes", "n", "level"), [(1, 0, 0.95), (3, 2, 0.95), (1, 2, 1.0)])
def test_refuses_what_is_no_share(successes: int, n: int, level: float) -> None:
    with pytest.raises(EvaluationError, match="expected 0 <= successes <= n"):
        wilson(successes, n, level)
