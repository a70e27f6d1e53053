"""The pooled report of folds whose reports are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from builders import CLASSES, decision_rule, fitted_rule, write_tiny_bundle
from builders_evaluation import table_of, with_distances
from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.errors import EvaluationError, TrainingError
from slicewise.evaluation.report import Refusals, ReportContext, write_metrics
from slicewise.fitting.conformal import fit_conformal
from slicewise.inference.rule import DecisionRule
from slicewise.predictions.table import PredictionTable, pooled
from slicewise.stats.bootstrap import Bootstrap
from slicewise.training.config import BundleConfig, RunConfig
from slicewise.training.crossval import pooled_report
from slicewise.training.crossval.pooled_report import (
    decided_by_others,
    measured_across_folds,
    pool,
    rule_section,
)
from slicewise.training.export.decision_fit import fit_decision

LIMITS = fitted_rule().out_of_distribution
SETTINGS = BundleConfig()


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    return write_heads(tmp_path, groups=9, per_group=1)


def fold_files(config: RunConfig, name: str, seen: list[str], decision: DecisionRule) -> None:
    folder = config.folder / f"fold-{name}"
    (folder / "evaluation").mkdir(parents=True)
    fault = {"fault": True} if name == "b" else {}
    refused = {
        "seen": {"count": len(seen), "paths": seen, "check": f"compared in {name}"},
        "failed": {"count": 1, "errors": [{"source": f"{name}.png", "error": "empty", **fault}]},
    }
    context = ReportContext("test", "x", None, "rule", Refusals((), "none"))
    report = write_metrics(
        answers(name),
        folder / "evaluation",
        context,
        neighbour="not asked",
        bootstrap=Bootstrap(resamples=20),
        plots=False,
    )
    (folder / "evaluation/metrics.json").write_text(json.dumps({**report, "refused": refused}))
    write_tiny_bundle(folder / "bundle", decision=decision)


def test_the_pooled_report_adds_up_what_the_folds_refused(tmp_path, manifest, monkeypatch):
    config = run_config(tmp_path)
    fold_files(config, "a", ["x.png"], decision_rule())
    fold_files(config, "b", ["y.png", "z.png"], DecisionRule())
    monkeypatch.setattr(pooled_report, "_neighbours", lambda *_: "not asked")
    monkeypatch.setattr("slicewise.evaluation.report.write_plots", lambda *_: None)
    report = pool(config, manifest, [answers("a"), answers("b")], ["a", "b"], "x")
    written = json.loads((config.folder / "cross_validation/metrics.json").read_text())
    assert written == report
    refused = report["refused"]
    assert refused["seen"]["count"] == 3
    assert refused["seen"]["paths"] == ["x.png", "y.png", "z.png"]
    assert refused["seen"]["check"] == "fold a: compared in a; fold b: compared in b"
    errors = refused["failed"]["errors"]
    assert [each["source"] for each in errors] == ["a.png", "b.png"]
    assert [each.get("fault") for each in errors] == [None, True]
    assert "youden_j; not fitted in fold b: 0.5 assumed" in report["tumor"]["threshold"]["reason"]
    assert report["folds"]["a"]["accuracy"]["value"] == 1.0
    assert report["over_folds"]["accuracy"] == {
        **{"mean": 1.0, "sd": 0.0, "ci_low": 1.0, "ci_high": 1.0, "folds": 2},
    }
    failed = report["calibration_comparison"]["methods"]["temperature"]["ece"]
    assert failed["value"] is None
    assert "expected two groups of every class" in failed["reason"]
    assert not (config.folder / "cross_validation/calibration.png").exists()


def answers(fold: str) -> PredictionTable:
    table = PredictionTable(
        classes=CLASSES,
        negative_class="no_tumor",
        logits=np.eye(4, dtype=np.float32),
        targets=np.arange(4),
        groups=np.array(list("abcd")),
        sources=np.array(["s"] * 4),
        paths=np.array([f"{fold}{i}" for i in range(4)]),
    )
    return table.decided(DecisionRule())


def test_a_fold_without_its_report_is_named(tmp_path, manifest):
    with pytest.raises(TrainingError, match=r"fold-a.*expected the report of fold a"):
        pool(run_config(tmp_path), manifest, [answers("a")], ["a"], "x")


@pytest.fixture(scope="module")
def folds():
    """Three folds of answers; in the first, one slice was found out of distribution."""
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
    assert figures["refused_as_ood"]["value"] == pytest.approx(1 / figures["n"])
    section = rule_section(figures)
    assert [row[0] for row in section.blocks[1].rows] == list(pooled_report.SHOWN)


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


def test_what_one_fold_measured_though_it_was_seen_stamps_the_whole():
    nobody = {"count": 0, "paths": [], "rules": {}, "checked": True, "alike_in_name": 0}
    seen = {"count": 1, "paths": ["a.png"], "check": "compared", "checked": True}
    some = {**nobody, "count": 2, "paths": ["b.png", "c.png"], "rules": {"name": 2}}
    failed = {"count": 0, "errors": []}
    strict = {"seen": seen, "same_patients": {**some, "alike_in_name": 4}, "failed": failed}
    loose = {"seen": {**seen, "count": 0, "paths": []}, "same_patients": nobody, "failed": failed}
    given = {
        "one": {"allow_seen": False, "refused": strict},
        "two": {
            "allow_seen": True, "refused": {**loose, "same_patients": {**nobody, "checked": False}},
            "seen_evaluated": {**seen, "paths": ["d.png"]}, "same_patients_evaluated": some,
        },
    }  # fmt: skip
    found = pooled_report._refusals(given)
    assert (found.seen, found.patients) == (("d.png",), ("b.png", "c.png"))
    assert (found.allow_seen, found.rules, found.alike) == (True, {"name": 2}, 4)
    assert (found.checked, found.groups_checked) == (True, False)
    apart = pooled_report._refusals({"one": given["one"]})
    assert (apart.seen, apart.patients) == (("a.png",), ("b.png", "c.png"))
    assert apart.notice is None
