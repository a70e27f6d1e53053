"""A manifest, a model and a folder: what is answered, what is refused, and what is said of it."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import bundle_info, head_with_spot, write_tiny_bundle
from builders_evaluation import FOUR, rule_of
from slicewise.data.fingerprint import fingerprints
from slicewise.data.manifest import Manifest
from slicewise.errors import EvaluationError
from slicewise.evaluation.bootstrap import Bootstrap
from slicewise.evaluation.evaluate import evaluate
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier, Outputs

QUICK = Bootstrap(resamples=20)


class NamedClassifier:
    """Answers with the class of the folder a slice lies in, so that the right answer is known."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.answered: list[str] = []

    def forward(self, slices):
        names = [Path(slice_.source).parent.name for slice_ in slices]
        self.answered += [slice_.source for slice_ in slices]
        logits = np.array([[4.0 * (name == c) for c in FOUR] for name in names], np.float32)
        n = len(slices)
        return Outputs(logits, np.zeros((n, 4, 2, 2), np.float32), np.zeros((n, 8), np.float32))


def bundle_of(seen: bytes | None, rule) -> Bundle:
    info = bundle_info(name="named", version="1.0.0", decision=rule)
    return Bundle(info, "cd" * 32, {} if seen is None else {"seen.npz": seen})


def head(seed: int) -> Image.Image:
    """Smooth noise in an ellipse, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray((255 * rng.random((14, 14))).astype(np.uint8))
    texture = np.asarray(coarse.resize((128, 128), Image.Resampling.BICUBIC), np.float32)
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    inside = (x / 0.75) ** 2 + (y / 0.9) ** 2 < 1
    return Image.fromarray(np.where(inside, 40 + 0.8 * texture, 0).astype(np.uint8))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twelve training and twelve test slices, six groups of two each."""
    rows = []
    for i in range(24):
        label, split = FOUR[(i // 2) % 4], "train" if i < 12 else "test"
        path = tmp_path / label / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        head(i).save(path)
        rows.append(row_of(tmp_path, path, label, f"g{i // 2}", split))
    write_manifest(tmp_path, rows)
    return tmp_path


def row_of(root: Path, path: Path, label: str, group: str, split: str) -> dict[str, str]:
    return {
        "path": str(path.relative_to(root)),
        "label": label,
        "source": "made",
        "patient_id": "",
        "group": group,
        "split": split,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "width": "128",
        "height": "128",
    }


def write_manifest(root: Path, rows: list[dict[str, str]]) -> None:
    with (root / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def seen_bytes(root: Path, paths: list[Path]) -> bytes:
    target = root / "seen.npz"
    fingerprints([read_slice(str(path)).pixels for path in paths]).save(target)
    return target.read_bytes()


def run(root: Path, *, seen: bytes | None = None, rule=None, **options):
    classifier = NamedClassifier(bundle_of(seen, rule or rule_of()))
    manifest = Manifest.read(root / "m.csv")
    report = evaluate(
        manifest,
        classifier,
        root / "out",
        command="slicewise evaluate m.csv",
        bootstrap=QUICK,
        plots=options.pop("plots", False),
        **options,
    )
    return report, classifier


def test_a_split_is_measured_and_nothing_else_is_answered(folder):
    told = []
    report, classifier = run(folder, progress=lambda *step: told.append(step))
    assert (report["n"], report["groups"], report["accuracy"]["value"]) == (12, 6, 1.0)
    assert report["bundle"] == {"name": "named", "version": "1.0.0", "sha256": "cd" * 32}
    assert report["tumor"]["threshold"]["value"] == 0.4
    assert {int(Path(source).stem) for source in classifier.answered} == set(range(12, 24))
    assert "holds no seen.npz" in report["refused"]["seen"]["check"]
    assert told == [("reading slices", i, 24) for i in range(1, 25)]
    assert json.loads((folder / "out/metrics.json").read_text()) == report


def test_the_nearest_neighbour_stands_beside_it(folder):
    report, _ = run(folder)
    assert 0 <= report["memorisation_1nn"]["value"] < 1
    for i in range(12, 24):  # every test slice becomes a brighter copy of one of its class
        label = FOUR[(i // 2) % 4]
        twin = next(j for j in range(12) if FOUR[(j // 2) % 4] == label)
        Image.eval(head(twin), lambda value: min(255, value + 20)).save(folder / label / f"{i}.png")
    report, _ = run(folder)
    assert report["memorisation_1nn"]["value"] == 1.0


def test_seen_slices_and_their_copies_are_refused(folder):
    exact = folder / FOUR[2] / "12.png"
    original = folder / FOUR[2] / "13.png"
    seen = seen_bytes(folder, [exact, original])
    with Image.open(original) as picture:
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((150, 150))
    mirrored.save(original)
    report, _ = run(folder, seen=seen)
    refused = report["refused"]["seen"]
    assert refused["paths"] == ["no_tumor/12.png", "no_tumor/13.png"]
    assert refused["check"] == "compared with the 2 training slices of the bundle"
    assert (report["n"], report["groups"]) == (10, 5)


def test_allow_seen_evaluates_and_stamps(folder):
    seen = seen_bytes(folder, [folder / FOUR[2] / "12.png"])
    report, _ = run(folder, seen=seen, allow_seen=True, plots=True)
    assert report["n"] == 12
    assert report["allow_seen"] is True
    assert report["seen_evaluated"]["paths"] == ["no_tumor/12.png"]
    assert (folder / "out/roc.png").is_file()


def test_only_seen_slices_is_an_error_that_names_the_way_out(folder):
    tests = [folder / FOUR[(i // 2) % 4] / f"{i}.png" for i in range(12, 24)]
    with pytest.raises(EvaluationError, match=r"all 12 slices.*--allow-seen"):
        run(folder, seen=seen_bytes(folder, tests))
    assert not (folder / "out").exists()


def test_unreadable_slices_are_listed_and_do_not_stop_the_rest(folder):
    (folder / FOUR[2] / "12.png").write_bytes(b"no picture")
    (folder / FOUR[2] / "13.png").unlink()
    report, _ = run(folder)
    failed = report["refused"]["failed"]
    assert report["n"] == 10
    assert [row["source"] for row in failed["errors"]] == ["no_tumor/12.png", "no_tumor/13.png"]


def test_a_missing_training_file_leaves_the_neighbour_score_null(folder):
    (folder / FOUR[0] / "0.png").unlink()
    found = run(folder)[0]["memorisation_1nn"]
    assert found["value"] is None
    assert found["reason"] == "1 of 12 training slices cannot be read"


def test_a_manifest_without_training_split_says_so(folder):
    rows = [row for row in csv.DictReader((folder / "m.csv").open()) if row["split"] == "test"]
    write_manifest(folder, rows)
    assert run(folder)[0]["memorisation_1nn"]["reason"] == "the manifest has no train split"


def test_an_unfitted_threshold_is_said_to_be(folder):
    threshold = run(folder, rule=rule_of(None, None))[0]["tumor"]["threshold"]
    assert threshold["value"] == 0.5
    assert "not fitted" in threshold["reason"]


def test_nothing_to_evaluate_is_an_error(folder):
    with pytest.raises(EvaluationError, match=r"split 'val': expected slices.*'test', 'train'"):
        run(folder, split="val")
    for path in folder.glob("*/*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(EvaluationError, match="none of 12 slices can be read"):
        run(folder)


def test_a_label_the_model_does_not_know_is_an_error(folder):
    text = (folder / "m.csv").read_text()
    (folder / "m.csv").write_text(text.replace(",glioma,", ",abscess,"))
    with pytest.raises(EvaluationError, match=r"the model knows glioma.*abscess"):
        run(folder)


def test_a_real_bundle_scores_what_its_predictions_score(folder):
    for i in range(12, 24):
        pixels = head_with_spot((i // 2) % 4, seed=i) / 6
        path = folder / FOUR[(i // 2) % 4] / f"{i}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    seen = seen_bytes(folder, [folder / FOUR[2] / "12.png"])
    write_tiny_bundle(folder / "bundle", {"seen.npz": seen})
    classifier = Classifier.load(folder / "bundle")
    manifest = Manifest.read(folder / "m.csv")
    report = evaluate(
        manifest, classifier, folder / "out", command="x", bootstrap=QUICK, allow_seen=True
    )
    rows = manifest.subset("test").rows
    answers = classifier.predict([read_slice(manifest.resolve(row)) for row in rows])
    hits = [answer.label == row.label for answer, row in zip(answers, rows, strict=True)]
    assert report["accuracy"]["value"] == np.mean(hits)
    assert "no_tumor/12.png" in report["seen_evaluated"]["paths"]
    with (folder / "out/predictions.csv").open(newline="") as file:
        written = [float(row["tumor_probability"]) for row in csv.DictReader(file)]
    asked = [answer.tumor_probability for answer in answers]
    np.testing.assert_allclose(written, asked, atol=2e-6)
