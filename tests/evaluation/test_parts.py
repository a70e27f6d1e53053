"""The gallery, times that cover their stages, and all tests of heat maps on a small network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders import CLASSES, head_with_spot, tiny_bundle
from builders_evaluation import input_of, table_of
from builders_reports import blocks_of, files_of, prose_of, table_of_section
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import ManifestError
from slicewise.evaluation import parts as module
from slicewise.evaluation.answering import answer_split
from slicewise.evaluation.evaluate import Evaluated
from slicewise.evaluation.explanations.localisation import NO_REGIONS
from slicewise.evaluation.explanations.regions import read_boxes
from slicewise.evaluation.labels import read_labels
from slicewise.evaluation.parts import (
    correct_by_lot,
    draw_gallery,
    explanation_tests,
    timing_report,
)
from slicewise.evaluation.slices import sample_rows
from slicewise.inference.classifier import Classifier
from slicewise.reports.blocks import Notice
from slicewise.stats.bootstrap import Bootstrap
from slicewise.training.export.randomise import shuffled_classifiers


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> Evaluated:
    """Eight heads, the label of the first one wrong."""
    folder = tmp_path_factory.mktemp("slices")
    rows = []
    for i in range(8):
        pixels = (head_with_spot(i % 4, seed=i) / 6).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        label = "no_tumor" if i == 0 else CLASSES[i % 4]
        sha = hashlib.sha256((folder / f"{i}.png").read_bytes()).hexdigest()
        rows.append(ManifestRow(f"{i}.png", label, "made", "", f"g{i}", "test", sha, 128, 128))
    manifest = Manifest(tuple(rows), folder)
    classifier = Classifier(tiny_bundle(folder / "bundle"))
    labels = read_labels([row.label for row in rows], classifier.bundle.info.task, {})
    answers = answer_split(manifest, rows, [classifier], labels, lambda: None)
    return Evaluated(
        manifest=manifest, rows=answers.rows, classifier=classifier, out_dir=folder,
        bootstrap=Bootstrap(resamples=5), table=answers.tables[0], labels=labels,
    )  # fmt: skip


def test_pictures_of_mistakes_and_of_right_answers(evaluated):
    stale = evaluated.out_dir / "gallery" / "incorrect_0009.png"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"old")
    wrong, right = draw_gallery(evaluated, most=3)
    mistakes = int(np.sum(evaluated.table.predicted != evaluated.table.targets))
    assert [path.name for path in files_of(right)] == [f"correct_{i:04d}.png" for i in (1, 2, 3)]
    assert len(files_of(wrong)) == min(3, mistakes)
    assert f"{len(files_of(wrong))} of {mistakes} wrong answers" in prose_of(wrong)
    assert not stale.exists()
    for path in (*files_of(wrong), *files_of(right)):
        with Image.open(path) as picture:
            assert picture.width > 2 * 360


def test_right_answers_come_from_every_class_in_turn():
    table = table_of(skill=9)
    chosen = correct_by_lot(table, 8)
    assert sorted(table.targets[chosen].tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (table.predicted[chosen] == table.targets[chosen]).all()
    np.testing.assert_array_equal(chosen, correct_by_lot(table, 8))
    assert correct_by_lot(table, 10_000).size == np.sum(table.predicted == table.targets)


def test_times_are_told_with_the_machine(evaluated):
    [section] = timing_report(evaluated)
    assert (evaluated.out_dir / "timing.json").is_file()
    assert "1 thread" in prose_of(section)
    assert table_of_section(section).rows[0][0] == "preprocessing, one slice"
    assert all(row[-1] == "8" for row in table_of_section(section).rows)


def report_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "explanations.json").read_text())


def row(number: int, label: str, group: str) -> ManifestRow:
    return ManifestRow(f"{number}.png", label, "made", "", group, "test", "0" * 64, 96, 96)


@pytest.fixture
def made(tmp_path) -> tuple[Manifest, Path, Classifier]:
    """Sixteen heads whose class is the kind of spot, boxes round the spots, and the network."""
    rng = np.random.default_rng(3)
    rows, lines = [], ["number,x_center,y_center,width,height"]
    for number in range(16):
        kind, at = number % 4, rng.uniform(0.4, 0.6, 2)
        pixels = head_with_spot(kind, 96, 50 + number, tuple(at))
        Image.fromarray(np.clip(pixels / 6, 0, 255).astype(np.uint8)).save(
            tmp_path / f"{number}.png"
        )
        rows.append(row(number, CLASSES[kind], f"g{number // 2}"))
        lines.append(f"{number},{at[1]:.3f},{at[0]:.3f},0.24,0.24")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    classifier = Classifier(tiny_bundle(tmp_path / "bundle"))
    return Manifest(tuple(rows), tmp_path), tmp_path / "boxes.csv", classifier


def test_everything_is_measured_and_written(made, tmp_path) -> None:
    manifest, boxes, classifier = made
    told: list[tuple[str, int, int]] = []
    given = input_of(
        manifest, classifier, tmp_path / "out", notice="made up",
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    sections = explanation_tests(
        given, shuffled_classifiers(classifier.bundle), read_boxes(boxes), sample=8
    )
    report = report_in(tmp_path / "out")
    counted = report["localisation"]["true"]["all"]
    assert (counted["n"], counted["groups"]) == (12, 8)  # no_tumor has no region
    assert counted["heat_map"]["energy"]["value"] > counted["random"]["energy"]["value"]
    assert set(report["randomisation"]) >= {"all", "head", "late", "another slice", "passed"}
    assert report["deletion"]["deletion"]["heat_map"]["ci_low"] is not None
    assert len(sections) == 3
    for section in sections:
        assert [one.text for one in blocks_of(section, Notice)] == ["made up"]
        table = table_of_section(section)
        assert all(len(line) == len(table.columns) for line in table.rows)
        assert all(picture.is_file() for picture in files_of(section))
    names = {picture.name for section in sections for picture in files_of(section)}
    assert names == {
        "localisation.png", "localisation_slices.png", "randomisation.png", "deletion.png",
    }  # fmt: skip
    last = {what: (done, total) for what, done, total in told}
    assert all(done == total for done, total in last.values())


def test_what_cannot_be_measured_is_said(made, tmp_path) -> None:
    manifest, _, classifier = made
    given = input_of(manifest, classifier, tmp_path / "out", rows=manifest.rows[:4])
    sections = explanation_tests(given, "skipped: permuting weights needs an extra", sample=4)
    report = report_in(tmp_path / "out")
    assert report["localisation"] == {"reason": NO_REGIONS}
    assert report["randomisation"]["reason"].startswith("skipped")
    assert [prose_of(section) for section in sections[:2]] == [
        NO_REGIONS, "skipped: permuting weights needs an extra",
    ]  # fmt: skip


def test_ambiguous_boxes_are_refused_before_any_work(made, tmp_path) -> None:
    manifest, boxes, classifier = made
    twice = [*manifest.rows, row(1, "glioma", "g0"), ManifestRow(
        "other/1.png", "glioma", "made", "", "g0", "test", "0" * 64, 96, 96)]  # fmt: skip
    with pytest.raises(ManifestError, match="expected one slice for '1'"):
        explanation_tests(
            input_of(manifest, classifier, tmp_path, rows=twice), "no", read_boxes(boxes)
        )


def test_the_sample_is_the_one_of_the_robustness_test(made, tmp_path, monkeypatch) -> None:
    """Slices are spread over classes and groups by one rule, whatever they are asked for."""
    manifest, _, classifier = made
    asked: list[tuple[int, int]] = []

    def told(rows, limit, seed):
        asked.append((len(rows), limit))
        return sample_rows(rows, limit, seed)

    monkeypatch.setattr(module, "sample_rows", told)
    explanation_tests(input_of(manifest, classifier, tmp_path / "out"), "no", sample=2)
    assert asked == [(12, module.SHOWN), (12, 3)]  # one of each of the three classes at least
