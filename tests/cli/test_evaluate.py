"""`slicewise evaluate` as a person and as a program use it."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from typer.testing import CliRunner

from builders import CLASSES, head_with_spot, write_tiny_bundle
from slicewise.cli.main import app
from slicewise.errors import ConfigError, EvaluationError, ManifestError
from slicewise.evaluation.robustness import report as robustness
from slicewise.inference.classifier import Classifier
from slicewise.service.http.routes.evaluation import EvaluateIn

COLUMNS = ("path", "label", "source", "patient_id", "group", "split", "sha256", "width", "height")


def sha_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight heads of the four kinds without splits, and a small model."""
    folder = tmp_path_factory.mktemp("project")
    rows = []
    for i in range(8):
        pixels = (head_with_spot(i % 4, seed=i) / 6).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        sha = sha_of(folder / f"{i}.png")
        rows.append((f"{i}.png", CLASSES[i % 4], "made", "", f"g{i}", "", sha, 128, 128))
    with (folder / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    write_tiny_bundle(folder / "bundle")
    return folder


def evaluated(project: Path, *options: object, out: str = "out"):
    quick = ("--resamples", 50, "--gallery", 0)
    words = ("evaluate", project / "m.csv", "--bundle", project / "bundle", *quick)
    return run(*words, "--out", project / out, *options)


def test_the_headlines_and_the_report_are_named(project):
    result = evaluated(project, "--gallery", 2)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    refused = "0 seen (not checked), 0 same patients (not checked), 0 failed, 0 untyped"
    assert lines[0] == f"8 slices in 8 groups; refused: {refused}"
    assert any(line.startswith("caution: These slices come from 8 groups") for line in lines)
    assert any(line.split()[0] == "Accuracy" for line in lines[1:])
    assert f"report: {project / 'out/report.html'}" in lines
    names = {path.name for path in (project / "out").iterdir()}
    assert {"report.html", "evaluation_report.txt", "timing.json", "gallery"} <= names
    assert (project / "out/gallery/correct_0001.png").is_file()


def test_metrics_are_the_same_for_the_same_answers(project):
    first = evaluated(project, "--json", out="a")
    command = json.loads(first.stdout)["command"]
    other = evaluated(project, "--json", out="b")
    assert json.loads(other.stdout)["command"] == command
    assert (project / "a/metrics.json").read_bytes() == (project / "b/metrics.json").read_bytes()


@pytest.mark.parametrize(
    ("limit", "code", "words"),
    [("groups: 8", 0, "research gate passed"), ("groups: 9", 1, "research gate failed")],
)
def test_a_missed_gate_is_exit_1(project, limit, code, words):
    gate = project / "gate.yaml"
    gate.write_text(f"minimum: {{{limit}}}\n")
    result = evaluated(project, "--gate", gate)
    assert result.exit_code == code
    assert words in result.stdout
    assert ("  minimum.groups: 8 where at least 9 are asked" in result.stdout) == bool(code)


@pytest.mark.parametrize("number", [1, 49, 2001])
def test_resamples_have_the_limits_of_the_service(project, number):
    result = evaluated(project, "--resamples", number, out="none")
    assert result.exit_code == 2
    limit = "at least 50" if number < 50 else "at most 2,000"
    assert f"'--resamples': expected {limit}; got" in result.output
    assert not (project / "none").exists()
    with pytest.raises(ValidationError, match="resamples"):
        EvaluateIn(manifest="m.csv", resamples=number)
    for allowed in (50, 2000):
        assert EvaluateIn(manifest="m.csv", resamples=allowed).resamples == allowed


def test_bundles_are_compared(project):
    write_tiny_bundle(project / "rival", name="rival")
    result = evaluated(project, "--compare", project / "rival", out="compared")
    assert result.exit_code == 0, result.output
    compared = json.loads((project / "compared/compare.json").read_text())
    [gap] = compared["against_first"].values()
    assert gap["differences"]["accuracy"]["value"] == 0
    assert (project / "compared/compare.png").is_file()
    twice = evaluated(project, "--compare", project / "bundle", out="twice")
    assert isinstance(twice.exception, EvaluationError)
    assert "got this one twice" in str(twice.exception)


def test_labels_of_others_are_mapped(project):
    renamed = project / "renamed.csv"
    renamed.write_text((project / "m.csv").read_text().replace(",glioma,", ",astro,"))
    words = ("evaluate", renamed, "--bundle", project / "bundle", "--resamples", 50, "--gallery", 0)
    result = run(*words, "--out", project / "mapped", "--map", "astro=glioma", "--json")
    assert json.loads(result.stdout)["labels"]["read_as"] == {"astro": "glioma"}
    wrong = run(*words, "--out", project / "x", "--map", "astro")
    assert isinstance(wrong.exception, ConfigError)
    assert "expected LABEL=CLASS" in str(wrong.exception)


def test_slices_get_worse_where_labels_know_tumors_only(project, monkeypatch):
    text = (project / "m.csv").read_text()
    for name in ("glioma", "meningioma", "pituitary"):
        text = text.replace(f",{name},", ",tumor,")
    (project / "joined.csv").write_text(text)
    few = {"blur": robustness.CORRUPTIONS["blur"]}
    monkeypatch.setattr(robustness, "CORRUPTIONS", few)
    monkeypatch.setattr(robustness, "KINDS", {"text_page": robustness.KINDS["text_page"]})
    words = ("evaluate", project / "joined.csv", "--bundle", project / "bundle", "--gallery", 0)
    quick = ("--resamples", 50, "--robustness", "--limit", 4)
    result = run(*words, "--out", project / "worse", *quick)
    assert result.exit_code == 0, result.output
    report = json.loads((project / "worse/robustness.json").read_text())
    assert set(report["classes"]) == {"no_tumor", "tumor"}
    assert "Not measured" not in (project / "worse/evaluation_report.txt").read_text()


@pytest.mark.parametrize(
    ("option", "needed"), [("--limit 5", "--robustness"), ("--boxes b.csv", "--explanations")]
)
def test_an_option_nobody_reads_is_wrong_use(project, option, needed):
    result = evaluated(project, *option.split())
    assert result.exit_code == 2
    assert f"{option.split()[0]} needs {needed}" in result.stderr


def test_a_label_that_no_row_has_is_not_mapped(project):
    result = evaluated(project, "--map", "zzz=glioma", out="unmapped")
    assert isinstance(result.exception, ConfigError)
    assert "--map zzz: expected a label of the manifest, one of glioma," in str(result.exception)
    assert not (project / "unmapped").exists()
    assert evaluated(project, "--map", "Glioma=glioma", out="mapped-own").exit_code == 0


def test_a_label_is_not_mapped_to_what_is_no_class(project):
    result = evaluated(project, "--map", "glioma=abscess", out="no-class")
    assert isinstance(result.exception, ConfigError)  # which ends with 2
    words = "--map glioma=abscess: expected a class of the model, one of glioma, meningioma"
    assert words in str(result.exception)
    assert not (project / "no-class").exists()


@pytest.mark.parametrize("limit", [-1, 0, 3])
def test_too_few_places_are_found_before_the_work(project, limit):
    result = evaluated(project, "--robustness", "--limit", limit, out="places")
    assert isinstance(result.exception, ConfigError)  # which ends with 2
    assert f"--limit {limit}: expected at least 4, a slice of each class" in str(result.exception)
    assert not (project / "places").exists()


def test_help_says_how_many_places_are_needed():
    shown = " ".join(run("evaluate", "--help").stdout.split())
    assert "--robustness tests: one of each class, or more." in shown
    assert ">=" not in shown.partition("--limit")[2].partition("--explanations")[0]


def test_a_folder_is_no_manifest_and_the_way_to_one_is_named(project):
    result = run("evaluate", project, "--bundle", project / "bundle", "--out", project / "none")
    assert isinstance(result.exception, ManifestError)
    words = f"got a folder; `slicewise data build {project} --out manifest.csv` makes one"
    assert words in str(result.exception)


@pytest.mark.parametrize("below", ["", "report"])
def test_a_file_in_the_way_is_found_before_the_work(project, monkeypatch, below):
    (project / "taken").write_text("")
    monkeypatch.setattr(Classifier, "load", lambda *_: pytest.fail("the model was loaded"))
    result = evaluated(project, out=Path("taken") / below)
    assert isinstance(result.exception, ConfigError)
    assert "expected a folder, got a file" in str(result.exception)
