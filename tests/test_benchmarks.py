"""The benchmarks that the documents quote: on which answers they decide, and how they count."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from builders import SIZE, write_tiny_bundle
from builders_evaluation import table_of
from builders_training import run_config, write_heads
from slicewise.data.strange.registry import kinds_of
from slicewise.evaluation.predictions import pooled
from slicewise.evaluation.predictions_csv import write_predictions
from slicewise.inference.decision import BundleReference, Prediction, Verdict
from slicewise.training.bundle_config import BundleConfig
from slicewise.training.config import save_config
from slicewise.training.decision_fit import fit_decision

ROOT = Path(__file__).parents[1]
FOLDS = ("fold-1", "fold-2", "fold-3")


@pytest.fixture
def refusal(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.refusal")


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.study")


def tables():
    return [table_of(groups=40, seed=seed, skill=2.0 + seed) for seed in range(3)]


@pytest.fixture
def run(tmp_path):
    """Three finished folds: all with the same model and heads, each with answers of its own."""
    write_heads(tmp_path, groups=8, per_group=7)
    bundle = {"refusal": {"per_kind": 10}}
    config = run_config(tmp_path, bundle=bundle, preprocessing={"size": SIZE})
    for name, table in zip(FOLDS, tables(), strict=True):
        folder = tmp_path / "run" / name
        (folder / "evaluation").mkdir(parents=True)
        write_tiny_bundle(folder / "bundle")
        shutil.copytree(tmp_path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run"))
        save_config(config, folder / "config.yaml")
        write_predictions(table, folder / "evaluation" / "predictions.csv")
    return tmp_path / "run"


def few_kinds(half=None):
    """The first kinds of a half, as many as an outlier fit needs."""
    return kinds_of(half)[:5]


def test_a_fold_is_decided_by_the_answers_of_the_others(refusal, run, monkeypatch):
    monkeypatch.setattr(refusal, "kinds_of", few_kinds)
    own, *others = [run / name for name in FOLDS]
    expected = fit_decision(pooled(tables()[1:]), "", BundleConfig())
    (own / "evaluation" / "predictions.csv").unlink()
    kinds, real = refusal._one_fold(own, others, per_kind=1, seed=3)
    shown = {kind.name for half in ("A", "B", "report only") for kind in few_kinds(half)}
    assert {name: len(rows) for name, rows in kinds.items()} == dict.fromkeys(shown, 1)
    assert len(real) == 2
    for table in real:
        assert table.n == 4 * 2 * 7
        np.testing.assert_allclose(table.temperatures, expected.temperature)
        np.testing.assert_allclose(table.thresholds, expected.operating_point.threshold)
        assert not any("not_calibrated" in text for text in table.reasons)


def test_shares_of_strange_pictures(refusal):
    first, second = kinds_of("A")[0].name, kinds_of("B")[0].name
    accepted = (Verdict.ACCEPT, [], "glioma")
    unharmed = (Verdict.ACCEPT, [], "no_tumor")
    rejected, reviewed = ((v, [], "glioma") for v in (Verdict.REJECT, Verdict.REVIEW))
    kinds = {first: [accepted, unharmed, rejected, reviewed], second: [rejected] * 4}
    totals = refusal._totals(kinds)
    assert totals["n"] == 8
    assert totals["kinds_with_99_percent"] == 1
    found = {name: totals[name]["value"] for name in ("not_accepted", "rejected")}
    assert found == {"not_accepted": 6 / 8, "rejected": 5 / 8}
    assert totals["accepted_as_a_tumor_type"]["value"] == 1 / 8
    rows = refusal._by_kind(kinds)
    assert rows[first] == {"half": "A", "n": 4, "accepted": 0.5, "rejected": 0.25}


def said(tumor: float) -> Prediction:
    return Prediction(
        source="",
        label="glioma",
        probabilities={"glioma": tumor, "no_tumor": 1 - tumor},
        confidence=tumor,
        tumor_probability=tumor,
        tumor_flag=True,
        threshold=0.5,
        prediction_set=["glioma"],
        decision=Verdict.ACCEPT,
        reasons=[],
        bundle=BundleReference("m", "1.0.0", "0" * 64),
        timing_ms=1.0,
    )


def test_stretches_hold_half_tumor_or_none(study):
    voxels = np.array([0] * 8 + [5] + [50] * 8)
    predictions = [said(0.9 if count else 0.1) for count in voxels]
    volume = study.Volume("scan", "patient", "glioma", predictions, voxels)
    scores, truths, groups = study.windows(
        [volume], cut=False, score=lambda _, part: sum(p.tumor_probability for p in part)
    )
    starts = [*range(3), *range(6, 12)]
    assert truths.tolist() == [start >= 6 for start in starts]
    expected = [sum(0.9 if count else 0.1 for count in voxels[s : s + 6]) for s in starts]
    np.testing.assert_allclose(scores, expected)
    assert set(groups) == {"patient"}
    assert study.window_text(scores, truths, groups).startswith("1.000")
