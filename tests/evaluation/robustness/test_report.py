"""From a manifest and a model to files and sections, with a model whose answers are known."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from builders import CLASSES, bundle_info, head_pixels
from builders_evaluation import input_of
from builders_reports import blocks_of, files_of, prose_of, table_of_section
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError
from slicewise.evaluation.robustness import report as module
from slicewise.evaluation.robustness.corruptions import CORRUPTIONS, corrupted
from slicewise.evaluation.robustness.report import robustness
from slicewise.imaging.slice import Slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.decision import Prediction, Reason, Verdict
from slicewise.reports.blocks import Notice
from slicewise.stats.intervals import wilson
from slicewise.synthetic.ood.kinds import KINDS

FEW = ("gaussian_noise", "crop", "mirror")
KIND_NAMES = ("flat_picture", "gaussian_noise", "knee", "inverted", "false_colour")


class SidedClassifier:
    """Right where the right side is the brighter one, as in every slice below; else wrong.

    It accepts what comes from a file, rejects colour and wants the rest reviewed.
    """

    def __init__(self) -> None:
        self.bundle = Bundle(bundle_info(name="sided"), "cd" * 32, {})

    def answers(self, slices: list[Slice]) -> list[SimpleNamespace]:
        return [SimpleNamespace(prediction=self._prediction(slice_)) for slice_ in slices]

    def _prediction(self, slice_: Slice) -> Prediction:
        true = Path(slice_.source).stem[:-1]
        left, right = np.array_split(slice_.pixels, 2, axis=1)
        wrong = CLASSES[CLASSES.index(true) - 1] if true in CLASSES else CLASSES[0]
        label = true if true in CLASSES and right.mean() > left.mean() else wrong
        verdict, reasons = Verdict.ACCEPT, []
        if slice_.source.startswith("ood:"):
            coloured = (slice_.colour or 0) > 0.06
            verdict = Verdict.REJECT if coloured else Verdict.REVIEW
            reasons = [Reason.COLOUR_PICTURE if coloured else Reason.POSSIBLY_OUT_OF_DISTRIBUTION]
        return Prediction(
            source=slice_.source,
            label=label,
            probabilities={name: float(name == label) for name in CLASSES},
            confidence=1.0,
            tumor_probability=float(label != "no_tumor"),
            tumor_flag=label != "no_tumor",
            threshold=0.5,
            prediction_set=None,
            decision=verdict,
            reasons=reasons,
            bundle=self.bundle.reference,
            timing_ms=0.0,
        )


def sha_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def classifier() -> SidedClassifier:
    return SidedClassifier()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Four slices of each class, in two groups each; all brighter on the right."""
    folder = tmp_path_factory.mktemp("slices")
    rows = []
    for k, label in enumerate(CLASSES):
        for i in range(4):
            path = folder / f"{label}{i}.png"
            pixels = head_pixels(96, seed=10 * k + i) * np.linspace(0.05, 0.35, 96)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
            group = f"{label}-{i // 2}"
            rows.append(
                ManifestRow(path.name, label, "made", "", group, "test", sha_of(path), 96, 96)
            )
    return Manifest(tuple(rows), folder)


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some perturbations and kinds only; all of them are drawn in tests of their own."""
    monkeypatch.setattr(module, "CORRUPTIONS", {name: CORRUPTIONS[name] for name in FEW})
    monkeypatch.setattr(module, "KINDS", {name: KINDS[name] for name in KIND_NAMES})


@pytest.mark.usefixtures("_few")
def test_files_and_sections(
    manifest: Manifest, classifier: SidedClassifier, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    sections = robustness(
        input_of(manifest, classifier, tmp_path, notice="SEEN",
                     progress=lambda *step: seen.append(step)),
        limit=12, ood_count=3,
    )  # fmt: skip
    report = json.loads((tmp_path / "robustness.json").read_text(encoding="utf-8"))
    assert (report["n"], report["groups"]) == (12, 8)
    assert report["classes"]["glioma"] == {"n": 3, "groups": 2}
    assert report["bundle"]["sha256"] == classifier.bundle.reference.sha256
    assert report["clean"]["accuracy"]["value"] == report["clean"]["accepted"]["value"] == 1
    mirrored = report["perturbations"]["mirror"]["levels"][0]
    assert (mirrored["accuracy"]["value"], mirrored["accuracy_change"]["value"]) == (0, -1)
    assert (mirrored["accepted_wrong"]["value"], mirrored["accepted_change"]["value"]) == (1, 0)
    assert mirrored["accuracy"]["ci_high"] == pytest.approx(wilson(0, 8).ci_high)
    assert mirrored["accuracy_change"]["ci_low"] is None  # the same in every resample
    assert report["cautions"][0].startswith("These slices come from 8 groups")
    assert report["cautions"][0] in prose_of(sections[0])
    noise = report["perturbations"]["gaussian_noise"]["levels"]
    assert [level["level"] for level in noise] == [1, 2, 3, 4, 5]
    kinds = report["ood"]["kinds"]
    assert kinds["false_colour"]["n"] == 3
    assert kinds["false_colour"]["rejected"]["value"] == 1
    assert kinds["knee"]["reviewed"]["value"] == 1
    assert kinds["knee"]["reasons"] == {"possibly_out_of_distribution": 3}
    for section in sections:
        assert [one.text for one in blocks_of(section, Notice)] == ["SEEN"]
        table = table_of_section(section)
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(Image.open(path).width > 500 for path in files_of(section))
    levels = [row[1] for row in table_of_section(sections[0]).rows]
    assert levels[:3] == ["0", "1 (0.02)", "3 (0.1)"]
    assert len(table_of_section(sections[1]).rows) == len(KIND_NAMES)
    last = {what: (done, total) for what, done, total in seen}
    slices, pictures = 12 * (1 + 5 + 5 + 1), 3 * len(KIND_NAMES)
    assert last == {
        "corrupted slices": (slices, slices),
        "out-of-distribution pictures": (pictures, pictures),
    }


@pytest.mark.usefixtures("_few")
def test_equal_seeds_give_equal_files(
    manifest: Manifest, classifier: SidedClassifier, tmp_path: Path
) -> None:
    texts = []
    for name in ("one", "two"):
        given = input_of(manifest, classifier, tmp_path / name)
        robustness(given, limit=8, ood_count=1, seed=3)
        texts.append((tmp_path / name / "robustness.json").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("_few")
def test_labels_that_know_tumors_only(
    manifest: Manifest, classifier: SidedClassifier, tmp_path: Path
) -> None:
    joined = [
        row if row.label == "no_tumor" else replace(row, label="tumor") for row in manifest.rows
    ]
    robustness(input_of(manifest, classifier, tmp_path, rows=joined), ood_count=1)
    report = json.loads((tmp_path / "robustness.json").read_text(encoding="utf-8"))
    assert set(report["classes"]) == {"no_tumor", "tumor"}
    assert report["clean"]["accuracy"]["value"] == 1
    assert report["perturbations"]["mirror"]["levels"][0]["accuracy"]["value"] < 1


@pytest.mark.usefixtures("_few")
def test_files_of_one_name_draw_apart(
    classifier: SidedClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patients whose files are numbered alike would share noise, sides and places."""
    rows, keys = [], []
    for k in range(2):
        path = tmp_path / f"p{k}" / "glioma0.png"
        path.parent.mkdir()
        Image.fromarray((head_pixels(96, seed=k) / 6).clip(0, 255).astype(np.uint8)).save(path)
        name = f"p{k}/glioma0.png"
        rows.append(ManifestRow(name, "glioma", "made", "", f"g{k}", "test", sha_of(path), 96, 96))

    def told(slice_: Slice, name: str, level: int, seed: int, key: str) -> Slice:
        keys.append(key)
        return corrupted(slice_, name, level, seed, key)

    monkeypatch.setattr(module, "corrupted", told)
    manifest = Manifest(tuple(rows), tmp_path)
    robustness(input_of(manifest, classifier, tmp_path / "out"), ood_count=1)
    assert set(keys) == {row.sha256 for row in rows}
    assert len(set(keys)) == 2


def test_unknown_labels_and_no_pictures_are_refused(
    manifest: Manifest, classifier: SidedClassifier, tmp_path: Path
) -> None:
    unknown = [replace(manifest.rows[0], label="knee")]
    with pytest.raises(EvaluationError, match=r"the model knows .*; got \['knee'\]"):
        robustness(input_of(manifest, classifier, tmp_path, rows=unknown))
    with pytest.raises(EvaluationError, match="at least 1 a kind; got 0"):
        robustness(input_of(manifest, classifier, tmp_path), ood_count=0)
