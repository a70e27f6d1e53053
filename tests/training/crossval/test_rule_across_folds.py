from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import fitted_rule
from builders_evaluation import table_of, with_distances
from slicewise.errors import EvaluationError
from slicewise.fitting.conformal import fit_conformal
from slicewise.inference.rule import DecisionRule
from slicewise.predictions.table import pooled
from slicewise.training.bundle_config import BundleConfig
from slicewise.training.crossval.rule_across_folds import (
    decided_by_others,
    measured_across_folds,
    rule_section,
)
from slicewise.training.export.decision_fit import fit_decision

LIMITS = fitted_rule().out_of_distribution
SETTINGS = BundleConfig()


@pytest.fixture(scope="module")
def folds():
    """Three folds of answers; in the first, one slice was found unlike all others."""
    tables = [table_of(groups=60, seed=seed, skill=2.5) for seed in range(3)]
    reasons = np.array(["not_calibrated"] * tables[0].n)
    marked = np.array(["possibly_out_of_distribution;not_calibrated", *reasons[1:]])
    return [replace(t, reasons=marked if i == 0 else reasons) for i, t in enumerate(tables)]


def test_a_fold_is_decided_by_the_answers_of_the_others_only(folds):
    found = decided_by_others(folds, 0, LIMITS, SETTINGS)
    rule = fit_decision(pooled(folds[1:]), "", SETTINGS)
    np.testing.assert_array_equal(found.temperatures, np.full(found.n, rule.temperature))
    shuffled = replace(folds[0], targets=np.roll(folds[0].targets, 7))
    again = decided_by_others([shuffled, *folds[1:]], 0, LIMITS, SETTINGS)
    np.testing.assert_array_equal(found.verdicts, again.verdicts)
    np.testing.assert_array_equal(found.sets, again.sets)


def test_sets_are_those_of_the_rule(folds):
    found = decided_by_others(folds, 1, LIMITS, SETTINGS)
    others = pooled([folds[0], folds[2]])
    rule = fit_decision(others, "", SETTINGS)
    assert rule.conformal == fit_conformal(
        others.decided(DecisionRule(temperature=rule.temperature)), SETTINGS.refusal.coverage
    )
    limits = np.array([rule.conformal.smallest[name] for name in found.classes])
    expected = found.probabilities() >= limits
    expected[np.arange(found.n), found.predicted] = True
    np.testing.assert_array_equal(found.sets, expected)


def test_what_lies_in_the_picture_is_kept_and_old_reasons_are_not(folds):
    found = decided_by_others(folds, 0, LIMITS, SETTINGS)
    assert "possibly_out_of_distribution" in found.reasons[0]
    assert found.verdicts[0] == "review"
    assert not any("not_calibrated" in text for text in found.reasons)


def test_without_limits_nothing_is_accepted(folds):
    found = decided_by_others(folds, 0, None, SETTINGS)
    assert set(found.verdicts) == {"review"}


def test_promises_hold_on_folds_alike(folds):
    figures = measured_across_folds(folds, [LIMITS] * 3, SETTINGS)
    assert figures["n"] == sum(table.n for table in folds)
    assert figures["conformal"]["coverage"]["value"] == pytest.approx(0.95, abs=0.03)
    assert figures["decisions"]["accept"]["accuracy"]["value"] > 0.95
    assert figures["refused_as_unlike"]["value"] == pytest.approx(1 / figures["n"])
    section = rule_section(figures)
    rows = section.blocks[1].rows
    assert ("accepted", rows[4][1]) == rows[4]


def test_trust_is_fitted_on_the_other_folds(folds):
    known = [with_distances(table, seed) for seed, table in enumerate(folds)]
    settings = BundleConfig.model_validate({"refusal": {"accept_target": 0.9, "unknown": 0.3}})
    found = decided_by_others(known, 0, LIMITS, settings)
    limit = fit_decision(pooled(known[1:]), "", settings).acceptance
    assert limit.confidence is None
    low = np.array(["low_trust" in text for text in found.reasons])
    np.testing.assert_array_equal(low, found.trust < limit.trust)
    assert 0 < low.sum() < found.n
    assert measured_across_folds(known, [LIMITS] * 3, settings)["decisions"]["scored_by"] == "trust"


def test_folds_that_remember_nothing_are_not_mixed_with_others(folds):
    with pytest.raises(EvaluationError, match="class_distances: expected all of 2 tables or none"):
        decided_by_others([folds[0], with_distances(folds[1]), folds[2]], 0, LIMITS, SETTINGS)
