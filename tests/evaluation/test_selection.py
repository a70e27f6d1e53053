from __future__ import annotations

import numpy as np
import pytest

from builders_evaluation import table_of
from slicewise.errors import EvaluationError
from slicewise.evaluation.selection import fit_acceptance


def test_the_least_confidence_that_still_reaches_the_target() -> None:
    table = table_of(groups=400, skill=2.0)
    found = fit_acceptance(table, 0.97)
    confidence = table.probabilities().max(axis=1)
    kept = confidence >= found.confidence
    right = table.predicted == table.targets
    assert right[kept].mean() == pytest.approx(found.accuracy)
    assert found.accuracy >= 0.97
    assert kept.mean() == pytest.approx(found.coverage)
    looser = confidence >= np.sort(confidence[~kept])[-20:].min()
    assert right[looser].mean() < 0.97 or found.coverage == 1


def test_an_unreachable_target_is_refused() -> None:
    table = table_of(groups=40, skill=0.0, seed=5)
    with pytest.raises(EvaluationError, match="no confidence reaches"):
        fit_acceptance(table, 0.9999)
