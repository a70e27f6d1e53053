"""The pooled report of folds whose reports are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from builders import CLASSES, decision_rule, write_tiny_bundle
from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.errors import TrainingError
from slicewise.evaluation.report import Refusals, ReportContext, write_metrics
from slicewise.inference.rule import DecisionRule
from slicewise.predictions.table import PredictionTable
from slicewise.stats.bootstrap import Bootstrap
from slicewise.training.config import RunConfig
from slicewise.training.crossval import pooled_report
from slicewise.training.crossval.pooled_report import pool


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    return write_heads(tmp_path, groups=9, per_group=1)


def fold_files(config: RunConfig, name: str, seen: list[str], decision: DecisionRule) -> None:
    folder = config.folder / f"fold-{name}"
    (folder / "evaluation").mkdir(parents=True)
    refused = {
        "seen": {"count": len(seen), "paths": seen, "check": f"compared in {name}"},
        "failed": {"count": 1, "errors": [{"source": f"{name}.png", "error": "empty"}]},
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
    assert [each["source"] for each in refused["failed"]["errors"]] == ["a.png", "b.png"]
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
