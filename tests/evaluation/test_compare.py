"""Models on the same slices: paired differences, counts that add up, a part of the report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from builders import make_slice, write_tiny_bundle
from builders_evaluation import rule_of, table_of, with_distances
from builders_reports import prose_of
from slicewise.errors import EvaluationError
from slicewise.evaluation.compare import (
    comparison,
    direction_of,
    mcnemar_counts,
    metrics_of,
    paired,
)
from slicewise.inference.classifier import Classifier
from slicewise.stats.bootstrap import NO_SPREAD, Bootstrap

QUICK = Bootstrap(resamples=60)


def pair():
    """A good and a poor model on the same slices."""
    good = table_of(skill=4).decided(rule_of())
    noise = np.random.default_rng(5).normal(scale=2.5, size=good.logits.shape)
    return good, replace(good, logits=(good.logits + noise).astype(np.float32))


def test_differences_are_those_of_the_figures():
    good, poor = pair()
    first, other = metrics_of(good, QUICK), metrics_of(poor, QUICK)
    gaps = paired(good, poor, QUICK)["differences"]
    for path in (("accuracy",), ("ece",), ("tumor", "sensitivity"), ("tumor", "auroc")):
        mine, theirs, gap = first, other, gaps
        for name in path:
            mine, theirs, gap = mine[name], theirs[name], gap[name]
        assert gap["value"] == pytest.approx(theirs["value"] - mine["value"])
    assert direction_of(gaps["accuracy"], falling=False) == "worse"
    assert direction_of(gaps["brier"], falling=True) == "worse"


def test_a_model_does_not_differ_from_itself():
    good, _ = pair()
    found = paired(good, good, QUICK)
    gap = found["differences"]["accuracy"]
    assert (gap["value"], gap["ci_low"], gap["reason"]) == (0, None, NO_SPREAD)
    assert direction_of(gap, falling=False) == "no_interval"
    assert found["right"]["first_only"] == found["right"]["other_only"] == 0


def test_a_paired_interval_is_narrower_than_the_two_together():
    good, _ = pair()
    logits = good.logits.copy()
    wrong = np.flatnonzero(good.predicted != good.targets)[:3]
    logits[wrong, good.targets[wrong]] += 20  # the other model errs on three slices less
    other = replace(good, logits=logits)
    gap = paired(good, other, QUICK)["differences"]["accuracy"]
    alone = metrics_of(good, QUICK)["accuracy"]
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


@pytest.fixture
def models(tmp_path):
    for name in ("one", "two"):
        write_tiny_bundle(tmp_path / name, name=name)
    return [Classifier.load(tmp_path / name) for name in ("one", "two")]


def compared(models, tables, folder):
    quick = Bootstrap(resamples=20)
    return comparison(models, tables, [make_slice()], folder, quick, notice=None, plots=False)


def test_models_that_accept_by_different_scores_are_told_apart(models, tmp_path):
    plain = table_of().decided(rule_of())
    section = compared(models, [with_distances(plain), plain], tmp_path)
    ending = "by the same score: one 0.1.0 by trust, two 0.1.0 by confidence."
    assert prose_of(section).endswith(ending)
    written = json.loads((tmp_path / "compare.json").read_text())["models"]
    assert [model["scored_by"] for model in written.values()] == ["trust", "confidence"]


def test_models_that_accept_by_one_score_need_no_word_of_it(models, tmp_path):
    plain = table_of().decided(rule_of())
    assert "score" not in prose_of(compared(models, [plain, plain], tmp_path))
