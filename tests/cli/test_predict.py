"""`slicewise predict` as a person and as a program use it."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from builders import CLASSES, head_with_spot, tiny_bundle, write_tiny_bundle
from builders_imaging import dicom_series, nifti_bytes, picture_bytes, zip_bytes
from slicewise.cli.main import app, main
from slicewise.errors import ConfigError
from slicewise.inference.bundle import load_bundle, pack_bundle
from slicewise.inference.results import DISCLAIMER
from slicewise.inference.rule import DecisionRule

HEAD = (head_with_spot(0) / 6).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny_bundle(folder)
    return folder


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Two good pictures and a bad one between them."""
    (tmp_path / "a.png").write_bytes(picture_bytes(HEAD))
    (tmp_path / "b.jpg").write_text("no picture")
    (tmp_path / "c.png").write_bytes(picture_bytes(HEAD[:, ::-1]))
    return tmp_path


def predict(bundle: Path, *arguments: object, stdin: bytes | None = None):
    words = ["predict", *map(str, arguments), "--bundle", str(bundle)]
    result = CliRunner().invoke(app, words, input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_good_file_is_answered_with_exit_0(bundle, inputs):
    result = predict(bundle, inputs / "a.png")
    assert (result.exit_code, result.stderr) == (0, "")
    for text in ("a.png", "glioma", "answer: ", "tumor probability", "decision: review"):
        assert text in result.stdout
    assert result.stdout.endswith(DISCLAIMER + "\n")


def test_one_bad_file_among_good_ones(bundle, inputs):
    files = [inputs / name for name in ("a.png", "b.jpg", "c.png")]
    result = predict(bundle, *files)
    assert result.exit_code == 1
    assert result.stdout.count("answer: ") == 2
    assert str(files[1]) in result.stderr
    assert "got text" in result.stderr
    assert "Traceback" not in result.output


def test_json_is_one_object_with_all_three_lists(bundle, inputs):
    result = predict(bundle, inputs, "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert list(content) == ["predictions", "studies", "errors"]
    assert [Path(p["source"]).name for p in content["predictions"]] == ["a.png", "c.png"]
    assert [Path(e["source"]).name for e in content["errors"]] == ["b.jpg"]
    reference = content["predictions"][0]["bundle"]
    assert reference == {
        "name": "tiny",
        "version": "0.1.0",
        "sha256": load_bundle(bundle).identity,
    }


def test_jsonl_is_one_line_each_in_the_order_of_the_inputs(bundle, inputs):
    result = predict(bundle, *(inputs / n for n in ("b.jpg", "a.png")), "--jsonl")
    assert result.exit_code == 1
    failed, answered = map(json.loads, result.stdout.splitlines())
    assert set(failed) == {"source", "error"}
    assert answered["label"] in load_bundle(bundle).classes


def test_a_series_has_a_study_answer(bundle, tmp_path):
    dicom_series(tmp_path / "series", np.stack([HEAD.astype(np.uint16)] * 3))
    content = json.loads(predict(bundle, tmp_path / "series", "--json").stdout)
    assert len(content["predictions"]) == 3
    assert content["studies"][0]["study"]["slices_total"] == 3
    assert content["studies"][0]["plane"] == "axial"
    text = predict(bundle, tmp_path / "series").stdout
    assert "series of 3 slices, axial" in text
    assert "key slices: " in text
    assert "Secret" not in text


def test_the_closing_line_tells_how_many_of_each(bundle, inputs):
    dicom_series(inputs / "series", np.stack([HEAD.astype(np.uint16)] * 3))
    last = predict(bundle, inputs).stderr.splitlines()[-1]
    told = "1 series; 5 slices: 0 accepted, 5 for review, 0 rejected; 1 error; "
    assert re.fullmatch(re.escape(told) + r"\d+\.\d s", last)


def test_files_that_are_no_images_are_counted_once(bundle, inputs):
    (inputs / "b.jpg").unlink()
    for name in ("DICOMDIR", "Thumbs.db", "._a.png", "autorun.inf", "CHANGES"):
        (inputs / name).write_bytes(b"words")
    members = {"__MACOSX/._a.png": b"x", "viewer.exe": b"MZ", "a.png": picture_bytes(HEAD)}
    (inputs / "z.zip").write_bytes(zip_bytes(members))
    result = predict(bundle, inputs)
    assert result.exit_code == 0
    assert result.stderr.count("skipped") == 1
    assert "skipped 7 files not meant as images\n3 slices: " in result.stderr
    result = predict(bundle, inputs, "--json")
    assert len(json.loads(result.stdout)["predictions"]) == 3


def test_a_link_to_a_folder_is_read(bundle, inputs, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    (store / "d.png").write_bytes(picture_bytes(HEAD))
    (inputs / "away").symlink_to(store, target_is_directory=True)
    (inputs / "loop").symlink_to(inputs, target_is_directory=True)
    result = predict(bundle, inputs, "--jsonl")
    names = [json.loads(line)["source"].rpartition("/")[2] for line in result.stdout.splitlines()]
    assert names == ["a.png", "b.jpg", "c.png", "d.png"]


@pytest.mark.parametrize("kind", ["png", "zip", "nii"])
def test_a_dash_is_the_bytes_of_one_file(bundle, tmp_path, kind):
    content = {
        "png": picture_bytes(HEAD),
        "zip": zip_bytes({"b.png": picture_bytes(HEAD)}),
        "nii": nifti_bytes(HEAD[:, :, None].repeat(2, 2).astype(np.float32)),
    }[kind]
    (tmp_path / f"a.{kind}").write_bytes(content)
    named, piped = (
        json.loads(predict(bundle, path, "--json", stdin=stdin).stdout)["predictions"]
        for path, stdin in ((tmp_path / f"a.{kind}", None), ("-", content))
    )
    assert [one["probabilities"] for one in piped] == [one["probabilities"] for one in named]
    assert all(one["source"].startswith("-") for one in piped)


@pytest.mark.parametrize("content", [b"", b"no picture"], ids=["nothing", "text"])
def test_what_is_no_picture_on_stdin_is_an_error_beside_the_others(bundle, inputs, content):
    result = predict(bundle, "-", inputs / "a.png", "--json", stdin=content)
    found = json.loads(result.stdout)
    assert (result.exit_code, len(found["predictions"])) == (1, 1)
    assert [one["source"] for one in found["errors"]] == ["-"]


def test_stdin_is_read_once(bundle):
    assert predict(bundle, "-", "-", stdin=b"").exit_code == 2


def test_help_says_where_study_answers_are(bundle):
    text = " ".join(predict(bundle, "--help").stdout.split())
    assert "Write one row a slice, none a series, to this .csv file." in text


def test_csv_has_a_row_a_slice_and_a_row_an_error(bundle, inputs):
    result = predict(bundle, inputs, "--json", "--csv", inputs / "out" / "table.csv")
    with (inputs / "out" / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    content = json.loads(result.stdout)
    assert [row["source"] for row in rows if not row["error"]] == [
        one["source"] for one in content["predictions"]
    ]
    first = content["predictions"][0]
    row = next(row for row in rows if row["source"] == first["source"])
    assert {name: float(row[f"p_{name}"]) for name in CLASSES} == first["probabilities"]
    assert [row["error"] for row in rows if row["error"]] == [content["errors"][0]["error"]]


def test_a_table_never_replaces_a_picture(bundle, inputs):
    before = (inputs / "a.png").read_bytes()
    with pytest.raises(ConfigError, match=r"expected a file named \.csv"):
        predict(bundle, inputs / "a.png", "--csv", inputs / "a.png")
    assert (inputs / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.png", "No such file or folder"),
        ("empty", "expected at least one image, got none; an image is PNG, JPEG"),
        ("b.jpg", "expected PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI or zip, got text"),
    ],
)
def test_what_cannot_be_answered_says_what_can(bundle, inputs, name, message):
    (inputs / "empty").mkdir()
    result = predict(bundle, inputs / name)
    assert (result.exit_code, result.stdout) == (1, DISCLAIMER + "\n")
    assert result.stderr.startswith(f"{inputs / name}\n  error: {message}")


def test_explain_writes_a_picture_a_slice_and_names_it(bundle, inputs):
    result = predict(
        bundle, inputs / "a.png", inputs / "c.png", "--json", "--explain", inputs / "x"
    )
    named = [answer["heatmap"] for answer in json.loads(result.stdout)["predictions"]]
    assert sorted(map(Path, named)) == sorted((inputs / "x").iterdir())
    assert [Path(name).name for name in named] == ["0001_a.png", "0002_c.png"]
    with Image.open(named[0]) as picture:
        assert picture.width >= 2 * HEAD.shape[1]
        red, _, blue = np.asarray(picture.convert("RGB"), np.int16).transpose(2, 0, 1)
        assert np.abs(red - blue).max() > 50, "nothing of the heat map in colour"


@pytest.mark.parametrize("below", ["x", "deep/er/x"])
def test_pictures_that_it_wrote_are_not_read_again(bundle, inputs, below, monkeypatch):
    (inputs / "deep" / "er").mkdir(parents=True)
    (inputs / "z.png").write_bytes(picture_bytes(HEAD))
    monkeypatch.chdir(inputs)
    first, again = (predict(bundle, ".", "--json", "--explain", below) for _ in range(2))
    named = [[one["source"] for one in json.loads(r.stdout)["predictions"]] for r in (first, again)]
    assert named == [["a.png", "c.png", "z.png"]] * 2
    assert "note: " not in first.stderr
    assert f"note: {below} is not read, since pictures are written there\n" in again.stderr
    listed = predict(bundle, "a.png", inputs / below, "--json", "--explain", below)
    assert [one["source"] for one in json.loads(listed.stdout)["predictions"]] == ["a.png"]
    chosen = predict(bundle, Path(below, "0001_a.png"), "--json", "--explain", below)
    assert len(json.loads(chosen.stdout)["predictions"]) == 1


def test_pictures_do_not_go_among_the_slices(bundle, inputs):
    before = sorted(inputs.iterdir())
    result = predict(bundle, inputs, "--explain", f"{inputs}/.")
    assert result.exit_code == 2
    assert "expected another folder than the one that is read" in result.stderr
    assert sorted(inputs.iterdir()) == before


def test_tables_pages_and_lines_that_it_wrote_are_not_read_again(bundle, inputs):
    for name in ("page.html", "page.htm", "table.csv", "lines.jsonl", "all.json"):
        (inputs / name).write_text("")
    content = json.loads(predict(bundle, inputs, "--json").stdout)
    assert [Path(one["source"]).name for one in content["errors"]] == ["b.jpg"]


def test_names_of_inputs_never_choose_where_pictures_go(bundle, tmp_path):
    folder = tmp_path / ".. strange;name"
    folder.mkdir()
    (folder / "..a b.png").write_bytes(picture_bytes(HEAD))
    predict(bundle, folder / "..a b.png", "--explain", tmp_path / "out" / "deep")
    (written,) = (tmp_path / "out" / "deep").iterdir()
    assert written.name == "0001__a_b.png"


@pytest.mark.parametrize("options", [["--colormap", "lagoon"], ["--alpha", "0.3"]])
def test_looks_change_the_picture(bundle, inputs, options):
    pictures = []
    for name, extra in (("one", []), ("two", options)):
        predict(bundle, inputs / "a.png", "--explain", inputs / name, *extra)
        (path,) = (inputs / name).iterdir()
        pictures.append(path.read_bytes())
    assert pictures[0] != pictures[1]


def test_report_is_one_page_with_answers_and_failures(bundle, inputs):
    result = predict(bundle, inputs, "--report", inputs / "out" / "report.html")
    page = (inputs / "out" / "report.html").read_text()
    assert result.exit_code == 1
    assert page.lstrip().lower().startswith("<!doctype html>")
    for text in ("a.png", "c.png", "b.jpg", "Not a medical device"):
        assert text in page
    assert "data:image/" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "report.html" in result.stderr


def test_threshold_replaces_the_models(bundle, inputs):
    def answer(*extra: str):
        found = predict(bundle, inputs / "a.png", "--json", *extra)
        return json.loads(found.stdout)["predictions"][0]

    usual, low, high = answer(), answer("--threshold", "0"), answer("--threshold", "1")
    assert (usual["threshold"], low["threshold"], high["threshold"]) == (0.4, 0, 1)
    assert (low["tumor_flag"], high["tumor_flag"]) == (True, high["tumor_probability"] >= 1)
    assert "threshold_overridden" in low["reasons"]
    assert "threshold_overridden" not in usual["reasons"]


def test_tta_averages_views(bundle, inputs):
    plain, views = (
        json.loads(predict(bundle, inputs / "a.png", "--json", *extra).stdout)["predictions"][0]
        for extra in ([], ["--tta"])
    )
    assert plain["probabilities"] != views["probabilities"]
    assert sum(views["probabilities"].values()) == pytest.approx(1)


def test_a_zipped_bundle_answers_the_same(bundle, inputs, tmp_path):
    pack_bundle(bundle, tmp_path / "tiny.zip")
    answers = [
        json.loads(predict(model, inputs / "a.png", "--json").stdout)["predictions"][0]
        for model in (bundle, tmp_path / "tiny.zip")
    ]
    for answer in answers:
        del answer["timing_ms"]
    assert answers[0] == answers[1]


def test_an_unfitted_model_says_so(inputs, tmp_path):
    tiny_bundle(tmp_path / "plain", decision=DecisionRule())
    answer = json.loads(predict(tmp_path / "plain", inputs / "a.png", "--json").stdout)
    assert answer["predictions"][0]["threshold"] == 0.5
    assert "threshold_not_fitted" in answer["predictions"][0]["reasons"]


def slicewise(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    code = "import sys; from slicewise.cli.main import main; sys.argv[0] = 'slicewise'; main()"
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_from_a_shell(bundle, inputs):
    result = slicewise("predict", ".", "--json", "--bundle", bundle, cwd=inputs)
    content = json.loads(result.stdout)
    assert result.returncode == 1
    assert re.fullmatch(
        r"2 slices: 0 accepted, 2 for review, 0 rejected; 1 error; \d+\.\d s\n", result.stderr
    )
    assert [p["source"] for p in content["predictions"]] == ["a.png", "c.png"]
    assert len(content["errors"]) == 1


def test_a_changed_bundle_is_refused_from_a_shell(bundle, inputs):
    copy = inputs / "copy"
    copy.mkdir()
    for path in bundle.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "MODEL_CARD.md").write_text("# better")
    result = slicewise("predict", "a.png", "--bundle", copy, cwd=inputs)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("slicewise: ")
    assert "MODEL_CARD.md has been changed" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_use_from_a_shell(tmp_path):
    result = slicewise("predict", "--what", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--what" in result.stderr


def test_colours_offered_are_the_colours_there_are() -> None:
    from typing import get_args

    from slicewise.cli.predict import Colormap
    from slicewise.explain.overlay import COLORMAPS

    assert set(get_args(Colormap)) == set(COLORMAPS)


def test_options_that_would_change_nothing_are_wrong_use(bundle, inputs):
    for words in (["--target", "glioma"], ["--colormap", "grey"], ["--alpha", "0.3"]):
        assert predict(bundle, inputs / "a.png", *words).exit_code == 2


def test_a_folder_is_no_report(bundle, inputs, tmp_path, monkeypatch, capsys):
    words = ["slicewise", "predict", str(inputs / "a.png"), "--bundle", str(bundle)]
    monkeypatch.setattr(sys, "argv", [*words, "--report", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "expected a file to write to, got a folder" in capsys.readouterr().err


def test_a_report_never_replaces_a_picture(bundle, inputs, monkeypatch, capsys):
    picture = inputs / "a.png"
    before = picture.read_bytes()
    words = ["slicewise", "predict", str(picture), "--bundle", str(bundle)]
    monkeypatch.setattr(sys, "argv", [*words, "--report", str(picture)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "expected a file named .html or .htm" in capsys.readouterr().err
    assert picture.read_bytes() == before


def test_an_empty_path_is_wrong_use(bundle):
    assert predict(bundle, "").exit_code == 2
