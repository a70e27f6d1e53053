"""Two models on the same slices: differences are paired, and counts add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import rule_of, table_of
from slicewise.errors import EvaluationError
from slicewise.evaluation.compare import decided, figures_of_each, mcnemar_counts, paired
from slicewise.stats.bootstrap import NO_SPREAD, Bootstrap

QUICK = Bootstrap(resamples=60)


def pair():
    """A good and a poor model on the same slices."""
    good = table_of(skill=4).decided(rule_of())
    noise = np.random.default_rng(5).normal(scale=2.5, size=good.logits.shape)
    return good, replace(good, logits=(good.logits + noise).astype(np.float32))


def test_differences_are_those_of_the_figures():
    good, poor = pair()
    first, other = figures_of_each([good, poor], QUICK)
    gaps = paired(good, poor, QUICK)["differences"]
    for path in (("accuracy",), ("ece",), ("tumor", "sensitivity"), ("tumor", "auroc")):
        mine, theirs, gap = first, other, gaps
        for name in path:
            mine, theirs, gap = mine[name], theirs[name], gap[name]
        assert gap["value"] == pytest.approx(theirs["value"] - mine["value"])
    assert decided(gaps["accuracy"], falling=False) == "worse"
    assert decided(gaps["brier"], falling=True) == "worse"


def test_a_model_does_not_differ_from_itself():
    good, _ = pair()
    found = paired(good, good, QUICK)
    gap = found["differences"]["accuracy"]
    assert (gap["value"], gap["ci_low"], gap["reason"]) == (0, None, NO_SPREAD)
    assert decided(gap, falling=False) == "no interval"
    assert found["right"]["first_only"] == found["right"]["other_only"] == 0


def test_a_paired_interval_is_narrower_than_the_two_together():
    good, _ = pair()
    logits = good.logits.copy()
    wrong = np.flatnonzero(good.predicted != good.targets)[:3]
    logits[wrong, good.targets[wrong]] += 20  # the other model errs on three slices less
    other = replace(good, logits=logits)
    gap = paired(good, other, QUICK)["differences"]["accuracy"]
    alone = figures_of_each([good], QUICK)[0]["accuracy"]
    assert gap["ci_high"] - gap["ci_low"] < alone["ci_high"] - alone["ci_low"]


def test_right_and_wrong_answers_are_counted_together():
    good, poor = pair()
    counts = mcnemar_counts(good, poor)
    assert sum(counts.values()) == good.n
    assert counts["both"] + counts["first_only"] == np.sum(good.predicted == good.targets)
    assert counts["both"] + counts["other_only"] == np.sum(poor.predicted == poor.targets)


def test_other_slices_cannot_be_paired():
    good, poor = pair()
    for other in (poor.take(np.arange(50)), poor.take(np.arange(200)[::-1])):
        with pytest.raises(EvaluationError, match="the same slices in the same order"):
            paired(good, other, QUICK)
