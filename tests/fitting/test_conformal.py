from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import table_of
from slicewise.errors import EvaluationError
from slicewise.evaluation.answering import with_verdicts
from slicewise.fitting.conformal import fit_conformal, smallest_kept
from slicewise.inference.rule import DecisionRule


class TestSmallestKept:
    def test_known_rank(self) -> None:
        values = np.arange(1, 100) / 100  # 99 values: (99 + 1) * 0.05 = 5
        assert smallest_kept(values, 0.95) == pytest.approx(0.05)

    def test_too_few_to_leave_any_out(self) -> None:
        assert smallest_kept(np.full(18, 0.7), 0.95) == 0.0
        assert smallest_kept(np.full(19, 0.7), 0.95) == pytest.approx(0.7)

    def test_promise_holds_on_fresh_values(self) -> None:
        rng = np.random.default_rng(0)
        kept = [
            np.mean(rng.beta(3, 1, 400) >= smallest_kept(rng.beta(3, 1, 60), 0.9))
            for _ in range(300)
        ]
        assert 0.9 <= np.mean(kept) < 0.92


def test_each_class_is_covered_as_promised_on_new_slices() -> None:
    rule = fit_conformal(table_of(groups=4000, per_group=1, seed=1, skill=1.0), 0.9)
    fresh = table_of(groups=4000, per_group=1, seed=2, skill=1.0)
    decided = with_verdicts(fresh, DecisionRule(conformal=rule), [()] * fresh.n)
    inside = decided.sets[np.arange(fresh.n), fresh.targets]
    for k in range(4):
        assert np.mean(inside[fresh.targets == k]) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 95.0])
def test_coverage_is_a_share(coverage: float) -> None:
    with pytest.raises(EvaluationError, match="share in"):
        fit_conformal(table_of(), coverage)


def test_a_class_without_slices_is_refused() -> None:
    table = table_of()
    without = table.take(table.targets != 3)
    with pytest.raises(EvaluationError, match="pituitary"):
        fit_conformal(replace(without), 0.9)
