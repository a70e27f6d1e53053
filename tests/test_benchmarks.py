"""The benchmarks that the documents quote: on which answers they decide, and how they count."""

from __future__ import annotations

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from builders import SIZE, write_tiny_bundle
from builders_evaluation import table_of
from builders_training import run_config, write_heads
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.inference.decision import BundleReference, Prediction, Verdict
from slicewise.predictions.files import write_predictions
from slicewise.predictions.table import pooled
from slicewise.synthetic.ood.kinds import kinds_of
from slicewise.training.config import BundleConfig, save_config
from slicewise.training.export.decision_fit import fit_decision

ROOT = Path(__file__).parents[1]
FOLDS = ("fold-1", "fold-2", "fold-3")


@pytest.fixture
def refusal(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.refusal")


@pytest.fixture
def sources(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.sources")


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


def test_collections_are_decided_by_the_answers_of_the_other_folds(sources, run):
    own, *others = sources.folds_of(run)
    rule = sources.ruled_by(others, own, BundleConfig()).bundle.info.decision
    expected = fit_decision(pooled(tables()[1:]), "", BundleConfig())
    assert rule.temperature == pytest.approx(expected.temperature)
    assert rule.operating_point == expected.operating_point


def test_one_fold_has_no_others_to_decide_it(sources, run, monkeypatch, capsys):
    for name in FOLDS[1:]:
        shutil.rmtree(run / name)
    monkeypatch.setattr("sys.argv", ["sources", str(run / "m.csv"), str(run), "--out", "s.json"])
    with pytest.raises(SystemExit):
        sources.main()
    assert "expected at least two finished folds" in capsys.readouterr().err


def test_figures_of_a_collection(sources):
    glioma, none = (replace(said(p), label=n) for p, n in ((0.9, "glioma"), (0.2, "no_tumor")))
    answers = [
        ("glioma", "", glioma),
        ("meningioma", "", glioma),
        ("tumor", "glioma", glioma),
        ("tumor", "glioma", none),
        ("no_tumor", "", replace(none, tumor_flag=False)),
        ("no_tumor", "", glioma),
    ]
    found = sources.figures(
        [
            sources.Answered(row_of(label, group=str(i), taken_as=taken), prediction)
            for i, (label, taken, prediction) in enumerate(answers)
        ]
    )
    assert [found[k] for k in ("with_tumor", "without", "typed", "taken")] == [4, 2, 2, 2]
    shares = ("sensitivity", "specificity", "none_right", "type_right", "type_as_taken")
    assert [found[k]["value"] for k in shares] == [1.0, 0.5, 0.5, 0.5, 0.5]
    assert found["auroc"]["value"] == (3 * 1.5 + 0.5) / 8
    rights = ("right.glioma", "right.meningioma", "right.no_tumor")
    assert [found[k]["value"] for k in rights] == [1.0, 0.0, 0.5]
    assert "right.tumor" not in found


def test_every_collection_is_reported(sources, run, monkeypatch):
    """One with tumors only as well, and of no slice whose group the fold was trained on."""
    manifest = Manifest.read(run.parent / "manifest.csv")
    sources_of = {"glioma": "both", "no_tumor": "both"}
    numbers = {"a": "1", "b": "2", "c": "3"}
    rows = [
        replace(
            row,
            source=sources_of.get(row.label, "tumors"),
            extra={"fold": numbers[row.extra["fold"]]},
        )
        for row in manifest.rows
    ]
    replace(manifest, rows=tuple(rows)).write(run.parent / "m.csv")
    given = ["sources", str(run.parent / "m.csv"), str(run), "--out", str(run / "s.json")]
    monkeypatch.setattr("sys.argv", given)
    sources.main()
    report = json.loads((run / "s.json").read_text())
    kept = [row.label for row in rows if row.split != "train"]
    found = {name: (one["with_tumor"], one["without"]) for name, one in report.items()}
    types = kept.count("meningioma") + kept.count("pituitary")
    assert found == {
        "both": (kept.count("glioma"), kept.count("no_tumor")),
        "tumors": (types, 0),
    }
    assert report["both"]["auroc"]["value"] is not None
    assert report["tumors"]["auroc"]["value"] is None


def figures_of(sources, answers):
    """Figures of slices given as label, group and what is said of it."""
    rows = [(row_of(label, group, ""), p) for label, group, p in answers]
    return sources.figures([sources.Answered(row, p) for row, p in rows])


def test_what_a_collection_has_no_slices_for_is_null(sources):
    none = replace(said(0.2), label="no_tumor", tumor_flag=False)
    found = figures_of(sources, [("no_tumor", str(i), none) for i in range(3)])
    assert found["none_right"]["value"] == 1.0
    assert found["accepted.right"]["value"] == 1.0
    for missing in ("auroc", "sensitivity", "type_right", "type_as_taken"):
        assert found[missing]["value"] is None
        assert found[missing]["reason"]
    waiting = replace(none, decision=Verdict.REVIEW)
    found = figures_of(sources, [("no_tumor", str(i), waiting) for i in range(3)])
    assert found["accepted"]["value"] == 0.0
    assert found["accepted.right"]["value"] is None


def test_slices_without_tumor_count_once_a_group(sources):
    right, wrong = (replace(said(0.2), label=name) for name in ("no_tumor", "glioma"))
    none = [("no_tumor", "a", p) for p in (right, right, right, wrong)]
    tumor = [("glioma", "b", wrong), ("glioma", "c", wrong)]
    found = figures_of(sources, [*tumor, *none, ("no_tumor", "b", wrong)])
    assert found["none_right"]["value"] == 3 / 5
    assert found["none_right.a_group"]["value"] == (3 / 4 + 0) / 2


def test_decisions_and_calibration_leave_untold_types_out(sources):
    sure = replace(said(0.9), confidence=0.9)
    reviewed = replace(sure, label="meningioma", decision=Verdict.REVIEW)
    told = [("glioma", "a", sure), ("glioma", "b", sure), ("glioma", "c", reviewed)]
    wrong = replace(sure, label="meningioma")
    found = figures_of(sources, [*told, ("glioma", "d", wrong), ("tumor", "e", sure)])
    assert found["accepted"]["value"] == 3 / 4
    assert found["accepted.right"]["value"] == pytest.approx(2 / 3)
    assert found["calibration_error"]["value"] == pytest.approx(0.9 - 2 / 4)


def row_of(label, group, taken_as):
    return ManifestRow(
        path=f"{group}.png",
        label=label,
        source="web",
        patient_id="",
        group=group,
        split="",
        sha256="",
        width=1,
        height=1,
        extra={"taken_as": taken_as},
    )


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


def test_reading_is_measured_on_equal_answers(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(ROOT)
    reading = importlib.import_module("benchmarks.reading")
    series = reading.write_series(tmp_path, JPEG2000Lossless)
    reading.measure(JPEG2000Lossless, series, rounds=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["JPEG2000Lossless", "wall"],
        ["JPEG2000Lossless", "processor"],
    ]
    assert all(float(line.split("ratio ")[1].split()[0]) > 0 for line in lines)
    monkeypatch.setattr(reading, "by_pydicom", lambda _: [np.zeros((256, 256))] * 12)
    with pytest.raises(AssertionError):
        reading.measure(JPEG2000Lossless, series, rounds=2)
