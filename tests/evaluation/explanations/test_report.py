"""All tests of the heat maps together, on a real small network: files, figures, words, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders import CLASSES, head_with_spot, tiny_bundle
from builders_evaluation import input_of
from builders_reports import blocks_of, files_of, prose_of, table_of_section
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import ManifestError
from slicewise.evaluation.explanations import report as module
from slicewise.evaluation.explanations.localisation import NO_REGIONS
from slicewise.evaluation.explanations.regions import read_boxes
from slicewise.evaluation.explanations.report import explanation_tests
from slicewise.evaluation.slices import sample_rows
from slicewise.inference.classifier import Classifier
from slicewise.reports.blocks import Notice
from slicewise.training.export.randomise import shuffled_classifiers


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
