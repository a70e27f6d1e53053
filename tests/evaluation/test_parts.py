"""The gallery shows the surest mistakes, and right answers by lot; times cover their stages."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from builders import CLASSES, head_with_spot, make_slice, tiny_bundle
from builders_evaluation import table_of
from builders_reports import files_of, prose_of, table_of_section
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.evaluation.answering import answer_split
from slicewise.evaluation.evaluate import Evaluated
from slicewise.evaluation.labels import read_labels
from slicewise.evaluation.parts import (
    correct_by_lot,
    draw_gallery,
    machine,
    timing_report,
    timings,
)
from slicewise.inference.classifier import Classifier
from slicewise.stats.bootstrap import Bootstrap


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


def test_times_rise_with_the_percentile_and_cover_the_parts(evaluated):
    found = timings(evaluated.classifier, [make_slice() for _ in range(5)])
    for entry in found["stages_ms"].values():
        assert entry["n"] == 5
        assert 0 < entry["p50"] <= entry["p90"] <= entry["p99"]
    assert machine(2)["threads"] == 2
