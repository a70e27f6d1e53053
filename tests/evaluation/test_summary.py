"""The figures of a report, each where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from builders_evaluation import FOUR, decided_table, rule_of, table_of
from slicewise.evaluation.summary import (
    best_threshold,
    class_quantities,
    confident_errors,
    confusions,
    decision_quantities,
    error_analysis,
    overall_quantities,
    set_quantities,
    summarise,
    tumor_quantities,
)
from slicewise.stats.bootstrap import Bootstrap
from slicewise.stats.intervals import Shares

QUICK = Bootstrap(resamples=40)
OVERALL = ("accuracy", "balanced_accuracy", "macro_auroc", "macro_f1", "ece", "brier")


def test_every_figure_stands_with_an_interval_round_it():
    table = table_of().decided(rule_of())
    found = summarise(table, QUICK, table.targets == 0)
    classes = [found["per_class"][name] for name in FOUR]
    figures = [found[name] for name in (*OVERALL, "memorisation_1nn")]
    figures += [row[k] for row in classes for k in row if k not in ("n", "groups")]
    figures += list(found["tumor"].values())
    assert len(figures) == 7 + 4 * 6 + 6
    for figure in figures:
        assert figure["ci_low"] <= figure["ci_high"]
    assert (found["n"], found["groups"], found["macro_over"]) == (200, 40, list(FOUR))
    assert [row["n"] for row in classes] == [50] * 4
    assert [row["groups"] for row in classes] == [10] * 4
    assert found["memorisation_1nn"]["value"] == 0.25


def test_values_agree_with_sklearn():
    table = table_of().decided(rule_of(threshold=0.3))
    found = summarise(table, QUICK, "not measured")
    truth, scores = table.labels != "no_tumor", table.tumor_probability()
    expected = {
        "sensitivity": reference.recall_score(truth, scores >= 0.3),
        "specificity": reference.recall_score(truth, scores >= 0.3, pos_label=False),
        "auroc": reference.roc_auc_score(truth, scores),
        "auprc": reference.average_precision_score(truth, scores),
    }
    assert {k: found["tumor"][k]["value"] for k in expected} == pytest.approx(expected)
    glioma = found["per_class"]["glioma"]
    answers = np.array(FOUR)[table.predicted]
    assert glioma["precision"]["value"] == pytest.approx(
        reference.precision_score(table.labels, answers, labels=["glioma"], average=None)[0]
    )


def test_a_resample_without_a_class_says_nothing_of_its_precision():
    """Most slices of other classes are answered glioma; few resamples hold no glioma at all."""
    table = table_of(groups=8).decided(rule_of())
    only = table.take((table.targets != 0) | (table.groups == table.groups[table.targets == 0][0]))
    logits = only.logits.copy()
    logits[:, 0] = 50.0
    found = summarise(replace(only, logits=logits).decided(rule_of()), QUICK, "not measured")
    precision = found["per_class"]["glioma"]["precision"]
    assert 0 < precision["ci_low"] <= precision["value"]


def test_a_class_without_slices_is_named_and_left_out_of_averages():
    table = table_of().decided(rule_of())
    found = summarise(table.take(table.targets != 3), QUICK, "not measured")
    assert found["macro_over"] == ["glioma", "meningioma", "no_tumor"]
    missing = found["per_class"]["pituitary"]
    assert missing["sensitivity"]["value"] is None
    assert "needs a positive; got 0 among 150" in missing["sensitivity"]["reason"]
    assert missing["specificity"]["value"] > 0.5
    assert found["balanced_accuracy"]["value"] is not None


def test_what_is_not_there_is_null_with_a_reason():
    three = table_of(classes=("a", "b", "c"), negative_class=None).decided(rule_of())
    found = summarise(three, QUICK, "the training slices are not at hand")
    assert found["memorisation_1nn"] == {
        "value": None,
        "ci_low": None,
        "ci_high": None,
        "reason": "the training slices are not at hand",
    }
    for figure in found["tumor"].values():
        assert figure["value"] is None
        assert "negative class" in figure["reason"]
    bare = summarise(table_of(), QUICK, "not measured")["tumor"]
    assert bare["sensitivity"]["reason"] == "no tumor threshold was fitted"
    assert bare["auroc"]["value"] > 0.5


def test_sources_are_reported_apart():
    table = table_of().decided(rule_of())
    found = summarise(table, QUICK, "not measured")["per_source"]
    assert set(found) == {"figshare", "web"}
    assert found["web"]["slices"] == {"glioma": 0, "meningioma": 0, "no_tumor": 50, "pituitary": 0}
    assert found["web"]["tumor"]["sensitivity"]["value"] is None
    assert found["web"]["tumor"]["specificity"]["value"] is not None
    weighted = sum(found[s]["accuracy"]["value"] * found[s]["n"] for s in found) / 200
    assert weighted == pytest.approx(np.mean(table.predicted == table.targets))


def test_shares_know_what_they_are_shares_of():
    """What stands in for the bootstrap at 0 and 1 is of the same slices as the figure itself."""
    table = decided_table()
    quantities = {
        **overall_quantities(table), **tumor_quantities(table), **decision_quantities(table),
        **set_quantities(table), **class_quantities(table),
    }  # fmt: skip
    shares = {key: q for key, q in quantities.items() if isinstance(q, Shares)}
    assert len(shares) == 2 + 4 + 6 + 2 + 4 + 3 * 4
    for key, quantity in shares.items():
        means = [values[among].mean() for values, among in quantity.parts]
        assert quantity(np.arange(table.n)) == pytest.approx(np.mean(means)), key


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


def test_the_best_threshold_has_the_largest_j():
    table = table_of().decided(rule_of())
    best = best_threshold(table)
    false, true, _ = reference.roc_curve(table.is_tumor(), table.tumor_probability())
    at = int(np.argmax(true - false))
    assert best["youden_j"] == pytest.approx(true[at] - false[at])
    flags, truth = table.tumor_probability() >= best["threshold"], table.is_tumor()
    assert best["sensitivity"] == pytest.approx(flags[truth].mean())
    assert best["specificity"] == pytest.approx(1 - flags[~truth].mean())


def test_one_side_alone_has_no_best_threshold():
    table = table_of().decided(rule_of())
    best = best_threshold(table.take(table.is_tumor()))
    assert best["threshold"] is None
    assert "reason" in best


def mistaken():
    """Eight right answers, then glioma for meningioma twice and pituitary for glioma once."""
    table = table_of(groups=12, per_group=1, skill=9)
    logits = 9 * np.eye(4, dtype=np.float32)[table.targets]
    logits[0] = [0, 5, 0, 0]
    logits[4] = [0, 2, 0, 0]
    logits[3] = [1, 0, 0, 0]
    return replace(table, logits=logits)


def test_pairs_are_counted_and_described():
    first, second = confusions(mistaken())
    assert (first.true, first.answered, first.n, first.groups) == ("glioma", "meningioma", 2, 2)
    assert first.share_of_true == 2 / 3
    assert first.sources == {"figshare": 2}
    likely = [np.exp(5) / (np.exp(5) + 3), np.exp(2) / (np.exp(2) + 3)]
    assert np.isclose(first.median_confidence, np.mean(likely))
    assert first.confident == 1
    assert (second.true, second.answered, second.n) == ("pituitary", "glioma", 1)


def test_errors_are_ranked_by_confidence():
    table = mistaken()
    assert confident_errors(table, 10).tolist() == [0, 4, 3]
    assert confident_errors(table, 1).tolist() == [0]


def test_confidence_of_right_and_wrong():
    spread = error_analysis(mistaken())["confidence"]
    assert (spread["right"]["n"], spread["wrong"]["n"]) == (9, 3)
    assert spread["wrong"]["p50"] < spread["right"]["p10"]
    assert (spread["right"]["confident"], spread["wrong"]["confident"]) == (9, 1)


def test_without_a_mistake_there_is_nothing_to_analyse():
    table = table_of(skill=99)
    found = error_analysis(table)
    assert found["mistakes"] == []
    assert found["confidence"]["wrong"] == {"n": 0, "p10": None, "p50": None, "p90": None,
                                            "confident": 0}  # fmt: skip
    assert set(FOUR) == set(table.classes)
