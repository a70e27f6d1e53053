"""Each rule speaks where its figures are there, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import decided_table, table_of
from slicewise.evaluation.report import Refusals
from slicewise.evaluation.sections.advice import advice, cautions
from slicewise.evaluation.summary import summarise
from slicewise.imaging.slice import Failure
from slicewise.stats.bootstrap import Bootstrap

QUICK = Bootstrap(resamples=40)


def report_of(table, neighbour="not measured", **refusals):
    report = summarise(table, QUICK, neighbour)
    report["tumor"]["threshold"] = {"value": 0.4, "fitted": True}
    report["interval"] = {"resamples": QUICK.resamples}
    report["conformal"]["promised"] = 0.95
    report["labels"] = None
    report |= Refusals(**{"seen": (), "seen_check": "compared", **refusals}).as_json()
    return report


def large(skill=9.0):
    """Eighty groups that are answered well, with decisions."""
    table = table_of(groups=80, skill=skill)
    return replace(
        table,
        thresholds=np.full(table.n, 0.4),
        verdicts=np.full(table.n, "accept"),
        reasons=np.full(table.n, ""),
    )


def told(sentences, words):
    return [sentence for sentence in sentences if words in sentence]


def test_a_good_report_on_many_groups_needs_no_advice():
    report = report_of(large(skill=2.0))
    assert cautions(report) == []
    assert told(advice(report), "groups of") == []


def test_few_groups_are_a_caution():
    table = decided_table()
    assert told(cautions(report_of(table)), "Fewer than 20 groups hold these classes: glioma 10")
    few = table.take(np.isin(table.groups, [f"group-{i:03d}" for i in range(8)]))
    assert told(cautions(report_of(few)), "These slices come from 8 groups")
    assert told(advice(report_of(few)), "Collect more groups of glioma (now 2)")


def test_groups_of_copies_alone_are_a_caution_by_source():
    table = large(skill=2.0)
    web = table.sources == "web"
    names = np.char.add(np.where(web, "copies:", "patient:"), table.groups)
    report = report_of(replace(table, groups=names))
    assert report["groups_of_copies"] == ["web"]
    [sentence] = cautions(report)
    assert sentence.startswith("No patients or groups are known in web: groups there are copies")


def test_figures_that_resampling_cannot_move_are_a_caution():
    report = report_of(large(skill=99))
    assert report["accuracy"]["ci_low"] == pytest.approx(0.954, abs=1e-3)  # Wilson, 80 groups
    assert report["macro_auroc"]["ci_low"] is None
    [said] = told(cautions(report), "the same whichever groups are drawn: Macro AUROC, Macro F1")
    assert "Accuracy" not in said
    assert "Tumor AUROC" in said


def test_seen_unchecked_and_unreadable_slices_are_cautions():
    report = report_of(
        large(),
        seen=("a.png",),
        allow_seen=True,
        seen_check="not checked: bundle x holds no seen.npz",
        checked=False,
        failed=(Failure("b.png", "truncated"),),
    )
    said = cautions(report)
    assert told(said, "1 of these slices, or copies of them, were trained on")
    assert told(said, "It is not known whether these slices were trained on: not checked")
    assert told(said, "1 slice could not be read, or had changed,")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"groups_checked": False}, "whether other slices of the same patients were trained on"),
        ({"alike": 1}, "1 slice here has a group or patient called like one that was trained on"),
        ({"alike": 3}, "3 slices here have a group or patient called like one"),
    ],
)
def test_patients_that_are_not_known_are_a_caution(given, words):
    assert told(cautions(report_of(large(), **given)), words)
    assert not told(cautions(report_of(large())), words)


def test_classes_without_a_slice_are_a_caution():
    table = large()
    some = table.take(table.targets % 2 == 1)
    assert told(cautions(report_of(some)), "No slice here is of ")
    assert not told(cautions(report_of(table)), "No slice here is of ")


def test_joined_tumors_are_a_caution():
    report = {**report_of(large()), "labels": {"collapsed": True}}
    assert told(cautions(report), "tells only tumor from no tumor")


@pytest.mark.parametrize(("right", "spoken"), [(0.99, True), (0.5, False)])
def test_copying_that_scores_as_high_is_told(right, spoken):
    table = large()
    report = report_of(table, np.arange(table.n) < right * table.n)
    assert bool(told(advice(report), "Copying the label")) == spoken


def test_a_weak_class_is_told_with_what_it_is_taken_for():
    table = large()
    logits = table.logits.copy()
    gliomas = np.flatnonzero(table.targets == 0)[:60]
    logits[gliomas, 3] += 40
    said = advice(report_of(replace(table, logits=logits)))
    assert told(said, "Glioma is found in 0.400")
    assert told(said, "mostly taken for pituitary (60 slices of 12 groups)")


def test_sources_that_differ_are_told():
    table = large(skill=99)
    logits = table.logits.copy()
    web = np.flatnonzero(table.sources == "web")
    logits[web[::2], 0] += 400
    said = advice(report_of(replace(table, logits=logits)))
    assert told(said, "Accuracy differs between sources: 0.500")


def test_confident_errors_and_bad_calibration_are_told():
    table = large(skill=2.0)
    report = report_of(replace(table, logits=8 * table.logits))
    assert told(advice(report), "have a confidence of at least 0.9")
    assert told(advice(report), "Confidence and accuracy differ")


def test_decisions_that_do_not_sort_are_told():
    table = large(skill=2.0)
    assert told(advice(report_of(table)), "do not sort out errors here")
    none = replace(table, verdicts=np.full(table.n, "review"))
    assert told(advice(report_of(none)), "No answer was accepted by itself")


def test_a_threshold_that_was_not_fitted_is_told():
    report = report_of(large(skill=2.0))
    report["tumor"]["threshold"]["fitted"] = False
    assert told(advice(report), "choose it on validation slices, not on these")


def test_sets_that_miss_their_promise_are_told():
    table = large()
    sets = np.eye(4, dtype=bool)[(table.targets + (np.arange(table.n) % 2)) % 4]
    report = report_of(replace(table, sets=sets))
    assert told(advice(report), "hold the true class in 0.500")
