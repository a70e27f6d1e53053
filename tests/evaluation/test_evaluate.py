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
from slicewise.data.duplicates.fingerprint import fingerprints
from slicewise.data.manifest import Manifest
from slicewise.errors import ConfigError, EvaluationError, InternalError, ManifestError
from slicewise.evaluation import answering
from slicewise.evaluation.evaluate import default_split, evaluate
from slicewise.evaluation.gate import Gate
from slicewise.imaging.preprocess import Placement
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import Bundle, TaskInfo
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.decision import Prediction, Reason, Verdict, probabilities_of
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap

QUICK = Bootstrap(resamples=20)


class NamedClassifier:
    """Answers right, by the number in the file name, and keeps count."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.threads = 1
        self.answered: list[str] = []

    def answers(self, slices):
        self.answered += [slice_.source for slice_ in slices]
        return [self.answer(slice_) for slice_ in slices]

    def answer(self, slice_):
        rule, reference = self.bundle.info.decision, self.bundle.reference
        truth = FOUR[int(Path(slice_.source).stem) // 2 % 4]
        logits = np.array([4.0 * (truth == name) for name in FOUR], np.float32)
        shares = probabilities_of(logits[None], rule.temperature, None)[0]
        prediction = Prediction(
            source=slice_.source,
            label=truth,
            probabilities=dict(zip(FOUR, map(float, shares), strict=True)),
            confidence=float(shares.max()),
            tumor_probability=1 - float(shares[2]),
            tumor_flag=truth != "no_tumor",
            threshold=0.4,
            prediction_set=None,
            decision=Verdict.REVIEW,
            reasons=[Reason.NOT_CALIBRATED],
            bundle=reference,
            timing_ms=1.0,
        )
        maps = np.zeros((4, 2, 2), np.float32)
        return Answer(prediction, logits, maps, np.zeros(8, np.float32), Placement(0, 0, 128))


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


def hashed_anew(root: Path) -> None:
    """The manifest after pictures were replaced: with their hashes, so that none has changed."""
    rows = list(csv.DictReader((root / "m.csv").open()))
    fresh = {row["path"]: (root / row["path"]).read_bytes() for row in rows}
    write_manifest(
        root, [{**r, "sha256": hashlib.sha256(fresh[r["path"]]).hexdigest()} for r in rows]
    )


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
    hashed_anew(folder)
    report, _ = run(folder)
    assert report["memorisation_1nn"]["value"] == 1.0


def test_seen_slices_and_their_copies_are_refused(folder):
    exact = folder / FOUR[2] / "12.png"
    original = folder / FOUR[2] / "13.png"
    seen = seen_bytes(folder, [exact, original])
    with Image.open(original) as picture:
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((150, 150))
    mirrored.save(original)
    hashed_anew(folder)
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


def test_a_fault_of_ours_is_no_unreadable_slice(folder, monkeypatch):
    """One test file and one of training on which reading itself fails, beside one that is gone."""
    (folder / FOUR[2] / "13.png").unlink()
    real = answering.read_slice

    def read_slice(reference):
        if Path(reference).name in {"12.png", "0.png"}:
            raise InternalError(f"{reference}: SliceWise failed (TypeError in read, line 1)")
        return real(reference)

    monkeypatch.setattr(answering, "read_slice", read_slice)
    report, _ = run(folder)
    ours, gone = report["refused"]["failed"]["errors"]
    assert (ours["source"], ours["fault"]) == ("no_tumor/12.png", True)
    assert gone.keys() == {"source", "error"}
    told = " ".join(report["cautions"])
    assert "1 slice could not be read, or had changed" in told
    assert "SliceWise failed on 1 slice, which no metric counts: a fault of SliceWise" in told
    why = report["memorisation_1nn"]["reason"]
    assert why.endswith("SliceWise itself failed on 1: please report it")
    page = " ".join((folder / "out/evaluation_report.txt").read_text().split())
    assert "1 unreadable, 1 SliceWise failed on" in page
    assert "1 unreadable, 1 that SliceWise failed on" in page


def test_a_missing_training_file_leaves_the_neighbour_score_null(folder):
    (folder / FOUR[0] / "0.png").unlink()
    found = run(folder)[0]["memorisation_1nn"]
    assert found["value"] is None
    assert found["reason"] == "1 of 12 training slices cannot be read or have changed"


def test_changed_files_are_listed_and_do_not_stop_the_rest(folder):
    """Labels and groups were made for what the manifest hashed, so another picture has none."""
    head(99).save(folder / FOUR[2] / "12.png")
    report, classifier = run(folder)
    [failed] = report["refused"]["failed"]["errors"]
    assert failed["source"] == "no_tumor/12.png"
    assert failed["error"].startswith("changed since the manifest was written: expected SHA-256")
    assert report["n"] == 11
    assert not any(source.endswith("/12.png") for source in classifier.answered)
    assert any("1 slice could not be read, or had changed" in s for s in report["cautions"])
    head(98).save(folder / FOUR[0] / "0.png")
    found = run(folder)[0]["memorisation_1nn"]
    assert found["reason"] == "1 of 12 training slices cannot be read or have changed"


def test_copying_may_copy_any_training_label(folder):
    """A class that the evaluated slices lack takes part all the same, and so does a strange one."""
    rows = list(csv.DictReader((folder / "m.csv").open()))
    kept = [r for r in rows if r["split"] == "train" or r["label"] == "no_tumor"]
    for row in kept:  # every test slice is a copy of a training slice of another class
        if row["split"] == "test":
            head(1).save(folder / row["path"])
    write_manifest(folder, kept)
    hashed_anew(folder)
    report, _ = run(folder)
    assert set(report["labels"]["classes"]) == set(FOUR)
    assert report["memorisation_1nn"]["value"] == 0.0
    strange = [{**r, "label": r["label"].replace("glioma", "abscess")} for r in kept]
    write_manifest(folder, strange)
    hashed_anew(folder)
    assert run(folder)[0]["memorisation_1nn"]["value"] == 0.0


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
    with pytest.raises(EvaluationError, match="none of 12 slices can be used"):
        run(folder)


def test_a_split_that_there_is_not_names_those_there_are(folder):
    with pytest.raises(ManifestError, match="split 'foo': expected one of train, val, test, all"):
        run(folder, split="foo")


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
    hashed_anew(folder)
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


def test_a_manifest_without_splits_is_measured_as_a_whole(folder):
    rows = [{**row, "split": ""} for row in csv.DictReader((folder / "m.csv").open())]
    write_manifest(folder, rows)
    assert default_split(Manifest.read(folder / "m.csv")) == "all"
    report, _ = run(folder, split="all")
    assert (report["split"], report["n"], report["groups"]) == ("all", 24, 12)
    assert "none is left to compare" in report["memorisation_1nn"]["reason"]


def test_a_manifest_with_splits_is_measured_on_its_test_split(folder):
    assert default_split(Manifest.read(folder / "m.csv")) == "test"


def test_other_label_names_are_told(folder):
    text = (folder / "m.csv").read_text().replace(",no_tumor,", ",healthy,")
    (folder / "m.csv").write_text(text.replace(",glioma,", ",astro,"))
    report, _ = run(folder, label_names={"astro": "glioma"})
    assert report["accuracy"]["value"] == 1.0
    assert report["labels"]["read_as"] == {"astro": "glioma", "healthy": "no_tumor"}
    assert report["memorisation_1nn"]["value"] is not None


def test_a_manifest_of_tumor_or_not_measures_a_model_of_four_classes(folder):
    text = (folder / "m.csv").read_text()
    for name in ("glioma", "meningioma", "pituitary"):
        text = text.replace(f",{name},", ",tumor,")
    (folder / "m.csv").write_text(text)
    report, _ = run(folder)
    assert list(report["per_class"]) == ["no_tumor", "tumor"]
    assert report["labels"]["collapsed"] is True
    assert report["tumor"]["sensitivity"]["value"] == 1.0
    assert report["tumor"]["threshold"]["value"] == 0.4
    assert any("only tumor from no tumor" in sentence for sentence in report["cautions"])
    with (folder / "out/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shares = probabilities_of(np.array([[4.0, 0, 0, 0]], np.float32), 1.3, None)[0]
    expected = [shares[0] if row["label"] == "no_tumor" else shares[1] for row in rows]
    assert [float(row["p_no_tumor"]) for row in rows] == pytest.approx(expected, abs=1e-6)


def test_one_tumor_without_its_kind_is_left_out_and_told(folder):
    rows = list(csv.DictReader((folder / "m.csv").open()))
    untold = next(r for r in rows if r["split"] == "test" and r["label"] == "glioma")
    untold["label"] = "tumor"
    write_manifest(folder, rows)
    report, classifier = run(folder)
    assert list(report["per_class"]) == list(FOUR)
    assert report["labels"]["collapsed"] is False
    assert report["n"] == 11
    assert report["refused"]["untyped"]["paths"] == [untold["path"]]
    assert not any(source.endswith(f"/{untold['path']}") for source in classifier.answered)
    assert any(s.startswith("1 slice labelled tumor without a kind") for s in report["cautions"])
    assert not any("only tumor from no tumor" in sentence for sentence in report["cautions"])
    for name in ("report.html", "evaluation_report.txt"):
        assert "of an unknown kind" in (folder / "out" / name).read_text()


def test_slices_that_any_of_several_models_has_seen_are_refused(folder):
    write_tiny_bundle(folder / "one")
    seen = seen_bytes(folder, [folder / FOUR[2] / "12.png"])
    write_tiny_bundle(folder / "other", {"seen.npz": seen}, name="other")
    report = evaluate(
        Manifest.read(folder / "m.csv"),
        Classifier.load(folder / "one"),
        folder / "out",
        command="x",
        bootstrap=QUICK,
        plots=False,
        rivals=[Classifier.load(folder / "other")],
    )
    assert report["refused"]["seen"]["paths"] == ["no_tumor/12.png"]
    assert "other 0.1.0: compared with the 1 training slices" in report["refused"]["seen"]["check"]
    compared = json.loads((folder / "out/compare.json").read_text())
    assert report["refused"]["same_patients"]["paths"] == ["no_tumor/13.png"]  # of its group
    assert compared["n"] == report["n"] == 10
    right = compared["against_first"]["other 0.1.0"]["right"]
    assert right["both"] == round(report["n"] * report["accuracy"]["value"])
    assert right["first_only"] == right["other_only"] == 0
    assert "Models side by side" in (folder / "out/report.html").read_text()


def test_a_rival_of_other_classes_is_refused(folder):
    info = bundle_info(
        name="binary",
        task=TaskInfo(name="binary", classes=("no_tumor", "tumor"), negative_class="no_tumor"),
    )
    rival = NamedClassifier(Bundle(info, "ef" * 32, {}))
    with pytest.raises(EvaluationError, match="binary cannot be compared with named: expected"):
        run(folder, rivals=[rival])


def test_a_gate_is_judged_and_written(folder):
    run(folder, gate=Gate.model_validate({"minimum": {"groups": 7}}))
    written = json.loads((folder / "out/gate.json").read_text())
    assert written["words"] == "research gate failed"
    assert "Research gate failed" in (folder / "out/report.html").read_text()


def test_a_gate_on_an_unknown_class_stops_before_anything_is_answered(folder):
    with pytest.raises(ConfigError, match="nearest: glioma"):
        run(folder, gate=Gate.model_validate({"per_class": {"gliom": {"f1": 0.5}}}))
    assert not (folder / "out").exists()


def test_further_parts_stand_in_the_report(folder):
    given = []

    def part(evaluated):
        given.append(evaluated)
        return [Section.of("A part of its own", "Says so.")]

    run(folder, parts=[part])
    assert "A part of its own" in (folder / "out/report.html").read_text()
    assert [row.path for row in given[0].rows] == given[0].table.paths.tolist()
    assert len(given[0].rows) == 12


def test_a_part_that_fails_does_not_cost_the_report(folder):
    def broken(_):
        raise EvaluationError("a part failed")

    with pytest.raises(EvaluationError, match="a part failed"):
        run(folder, parts=[broken])
    assert "Each class" in (folder / "out/report.html").read_text()
