"""Accepted, reviewed and rejected answers, and prediction sets, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import decided_table, rule_of, table_of
from slicewise.evaluation.summary import summarise
from slicewise.stats.bootstrap import Bootstrap

QUICK = Bootstrap(resamples=20)


def test_decisions_are_counted_and_measured():
    table = decided_table()
    found = summarise(table, QUICK, "not measured")["decisions"]
    accepted = table.verdicts == "accept"
    right = table.predicted == table.targets
    assert found["counts"] == {v: int(np.sum(table.verdicts == v)) for v in found["counts"]}
    assert found["accept"]["share"]["value"] == pytest.approx(accepted.mean())
    assert found["accept"]["accuracy"]["value"] == pytest.approx(right[accepted].mean())
    assert found["accept"]["accuracy"]["ci_low"] <= found["accept"]["accuracy"]["value"]
    assert sum(found[v]["share"]["value"] for v in ("accept", "review", "reject")) == 1
    assert found["reasons"] == {"low_confidence": 10, "several_classes_possible": 10,
                                "colour_picture": 5}  # fmt: skip


def test_a_verdict_that_never_occurs_has_no_accuracy():
    table = decided_table()
    table = replace(table, verdicts=np.full(table.n, "review"))
    found = summarise(table, QUICK, "not measured")["decisions"]
    assert found["accept"]["share"]["value"] == 0
    assert found["accept"]["accuracy"]["value"] is None
    assert "needs a slice to accept; got 0 among 200" in found["accept"]["accuracy"]["reason"]


def test_a_table_without_decisions_says_so():
    found = summarise(table_of().decided(rule_of()), QUICK, "not measured")
    assert found["decisions"]["counts"] is None
    assert found["decisions"]["accept"]["share"]["reason"] == "the table holds no decisions"
    assert found["decisions"]["risk_coverage_area"]["value"] is not None
    assert found["conformal"]["coverage"]["reason"] == "the model has no fitted prediction sets"


def test_sets_cover_and_are_as_large_as_they_are():
    table = table_of(groups=8, per_group=1, skill=9)
    sets = np.eye(4, dtype=bool)[table.targets]
    sets[0] = [False, True, True, True]  # a glioma, not among three
    sets[1] = True  # a meningioma, all four
    found = summarise(replace(table, sets=sets), QUICK, "not measured")["conformal"]
    assert found["coverage"]["value"] == 7 / 8
    assert found["set_size"]["value"] == (3 + 4 + 6) / 8
    assert found["single"]["value"] == 6 / 8
    assert found["per_class"]["glioma"]["coverage"]["value"] == 0.5
    assert found["per_class"]["meningioma"]["set_size"]["value"] == 2.5
    assert found["per_class"]["pituitary"]["coverage"]["value"] == 1
