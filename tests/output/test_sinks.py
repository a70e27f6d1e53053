"""Answers as text, JSON, CSV and counts: nothing is lost or broken, whatever a name holds."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from builders import head_with_spot, tiny_bundle
from builders_explain import CLASSES, REFERENCE, single, volume
from builders_imaging import nifti_bytes, picture_bytes
from slicewise.imaging.slice import Failure, InternalFailure, Slice
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import BundleReference, Prediction, Reason, Verdict
from slicewise.inference.predict import answer_inputs
from slicewise.inference.results import DISCLAIMER
from slicewise.output.sinks import (
    AnswerCounts,
    CsvSink,
    Item,
    JsonLinesSink,
    JsonSink,
    TextSink,
    file_of,
)

SHARES = (0.7, 0.1, 0.15, 0.05)
PREDICTION = {
    *("source", "label", "probabilities", "confidence", "tumor_probability", "tumor_flag"),
    *("threshold", "prediction_set", "decision", "reasons", "bundle", "timing_ms", "heatmap"),
}
STUDY = {"source", "plane", "study", "threshold", "decision", "reasons", "bundle", "notes"}


def picture(source: str) -> Slice:
    return Slice(np.zeros((16, 16), dtype=np.float32), source)


def test_everything_is_counted():
    counts = AnswerCounts()
    series = volume([picture(f"v#{k}") for k in range(3)], [0.1, 0.9, 0.2], [1])
    for item in (single(picture("a"), SHARES), Failure("b", "why"), series):
        counts.write(item)
    assert (counts.slices, counts.series, counts.errors, counts.files) == (4, 1, 1, 3)
    assert counts.text(2.44) == (
        "1 series; 4 slices: 0 accepted, 4 for review, 0 rejected; 1 error; 2.4 s"
    )


def test_without_a_series_none_is_told():
    assert (
        AnswerCounts().text(0) == "0 slices: 0 accepted, 0 for review, 0 rejected; 0 errors; 0.0 s"
    )


@pytest.mark.parametrize(
    ("sources", "files"),
    [
        (["a.zip!x", "a.zip!y", "b.zip!x"], 2),
        (["a.png", "b.png"], 2),
        (["a.tif#0", "a.tif#1"], 1),
    ],
    ids=["zips", "pictures", "pages"],
)
def test_a_file_is_done_once(sources, files):
    counts = AnswerCounts()
    for source in sources:
        counts.write(single(picture(source), SHARES))
    assert counts.files == files


@pytest.mark.parametrize("end", ["", "#12"])
@pytest.mark.parametrize("name", ["a!b.png", "c#3", "d#4!e.zip"])
def test_a_file_may_be_named_as_if_it_had_members(tmp_path, name, end):
    (tmp_path / name).touch()
    assert file_of(f"{tmp_path / name}{end}") == str(tmp_path / name)
    assert file_of(f"{tmp_path / name}!head/IM0007{end}") == str(tmp_path / name)


def test_the_file_of_a_source_needs_not_be_there():
    for source, file in {
        "a.zip!b/c.dcm#1": "a.zip",
        "-": "-",
        "-!b": "-",
        "v.nii#2": "v.nii",
    }.items():
        assert file_of(source) == file


def text_of(*items: Item) -> tuple[str, list[str]]:
    stream, complaints = io.StringIO(), []
    sink = TextSink(stream, complaints.append)
    for item in items:
        sink.write(item)
    sink.close()
    return stream.getvalue(), complaints


def changed(item, **values):
    answers = [replace(a, prediction=replace(a.prediction, **values)) for a in item.answers]
    return replace(item, answers=answers)


def test_a_picture_is_a_paragraph():
    text, complaints = text_of(single(picture("scan.png"), SHARES))
    assert text.splitlines() == [
        "scan.png",
        "  glioma       ##############......   70.0%",
        "  no_tumor     ###.................   15.0%",
        "  meningioma   ##..................   10.0%",
        "  pituitary    #...................    5.0%",
        "  answer: Glioma (70.0%), flagged as a tumor: tumor probability 85.0%, "
        "at or above the threshold of 40.0%.",
        "  decision: review (this model has no fitted limits for accepting an answer by itself)",
        DISCLAIMER,
    ]
    assert complaints == []


def test_a_set_and_a_picture_are_named():
    item = single(picture("a"), SHARES)
    text, _ = text_of(changed(item, prediction_set=["glioma", "meningioma"], heatmap="x/1.png"))
    assert "  cannot be ruled out: glioma, meningioma\n  heat map: x/1.png\n" in text


def test_a_rejected_picture_has_no_answer():
    item = changed(
        single(picture("a"), SHARES), decision=Verdict.REJECT, reasons=[Reason.BLANK_IMAGE]
    )
    text, _ = text_of(item)
    assert "  answer: withheld\n  decision: reject (the picture is blank" in text
    assert "glioma" not in text.lower()
    assert "%" not in text


def test_a_label_and_a_flag_that_differ_are_told_as_one():
    unsure = {"tumor_flag": False, "threshold": 0.95}
    paragraph, _ = text_of(changed(single(picture("a"), SHARES), **unsure))
    assert (
        "answer: Most like glioma (70.0%), but not sure enough that there is a tumor" in paragraph
    )
    line, _ = text_of(changed(volume([picture("v#0"), picture("v#1")], [0.9, 0.1], [0]), **unsure))
    assert line.startswith(
        "v#0: unsure, most like glioma 72.0%, tumor probability 90.0% (not flagged), review"
    )


def test_withheld_slices_of_a_series_are_counted_with_their_reasons():
    series = volume([picture(f"v#{k}") for k in range(3)], [0.1, 0.9, 0.2], [1])
    refused = changed(series, decision=Verdict.REJECT, reasons=[Reason.OUT_OF_DISTRIBUTION])
    mixed = replace(series, answers=[refused.answers[0], series.answers[1], refused.answers[2]])
    text, _ = text_of(mixed)
    assert text.startswith("v#0: withheld: out of distribution: no training slice is like it\n")
    assert "1 of 3 slices is flagged, 2 are withheld." in text
    assert "\n  2 slices withheld: 2 out of distribution\n" in text


def test_notes_on_a_series_stand_below_its_name():
    series = volume([picture(f"v#{k}") for k in range(2)], [0.1, 0.9], [1])
    noted = replace(series, study=replace(series.study, notes=["2 slices share one position"]))
    lines = text_of(noted)[0].splitlines()
    assert lines[2:4] == [
        "series: series of 2 slices, axial",
        "  note: 2 slices share one position",
    ]


def test_notes_on_slices_without_a_study_follow_them():
    item = single(picture("scan.dcm"), SHARES)
    noted = replace(item, series=replace(item.series, notes=("split from one",)))
    assert text_of(noted)[0].splitlines()[-2:] == ["  note: split from one", DISCLAIMER]


def test_a_series_is_a_line_a_slice_and_a_paragraph():
    series = volume([picture(f"v#{k}") for k in range(2)], [0.1, 0.9], [1])
    text, _ = text_of(series)
    lines = text.splitlines()
    assert lines[0] == "v#0: no_tumor 90.0%, tumor probability 10.0% (not flagged), review"
    assert lines[1] == "v#1: glioma 72.0%, tumor probability 90.0% (flagged), review"
    assert lines[2] == "series: series of 2 slices, axial"
    assert lines[3].endswith("1 of 2 slices is flagged.")
    assert lines[-2:] == [
        "  key slices: v#1",
        DISCLAIMER,
    ]


def test_an_error_goes_elsewhere():
    text, complaints = text_of(Failure("bad\x1b.png", "expected\none"))
    assert text == f"{DISCLAIMER}\n"
    assert complaints == ["bad\\x1b.png\n  error: expected\\none"]


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    folder = tmp_path_factory.mktemp("json")
    head = (head_with_spot(0) / 6).clip(0, 255).astype(np.uint8)
    (folder / "ä.png").write_bytes(picture_bytes(head))
    (folder / "v.nii").write_bytes(nifti_bytes(np.stack([head] * 3, 2).astype(np.float32)))
    paths = [folder / "ä.png", folder / "gone.png", folder / "v.nii"]
    return list(answer_inputs(paths, Classifier(tiny_bundle(folder / "bundle"))))


def json_of(kind, items: list[Item], encoding: str = "utf-8") -> bytes:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    sink = kind(stream)
    for item in items:
        sink.write(item)
    sink.close()
    stream.flush()
    return raw.getvalue()


def test_an_object_of_nothing_has_all_three_lists():
    assert json.loads(json_of(JsonSink, [])) == {"predictions": [], "studies": [], "errors": []}


def test_names_are_those_of_the_contract(items):
    content = json.loads(json_of(JsonSink, items))
    assert [len(content[key]) for key in ("predictions", "studies", "errors")] == [4, 1, 1]
    for prediction in content["predictions"]:
        assert set(prediction) == PREDICTION
        assert sum(prediction["probabilities"].values()) == pytest.approx(1)
        assert (prediction["decision"], prediction["prediction_set"]) == ("review", None)
        assert "not_calibrated" in prediction["reasons"]
        assert set(prediction["bundle"]) == {"name", "version", "sha256"}
    (study,) = content["studies"]
    assert set(study) == STUDY
    assert set(study["study"]) == {
        *("label", "tumor_probability", "slices_flagged", "slices_total", "key_slices"),
    }
    (error,) = content["errors"]
    assert set(error) == {"source", "error"}


def test_lines_hold_the_same_in_the_order_of_the_inputs(items):
    content = json.loads(json_of(JsonSink, items))
    lines = [json.loads(line) for line in json_of(JsonLinesSink, items).splitlines()]
    first, failed, *volume, study = lines
    assert [first, *volume] == content["predictions"]
    assert ([study], [failed]) == (content["studies"], content["errors"])


def test_names_stay_readable_where_the_encoding_holds_them(items):
    assert "ä.png" in json_of(JsonSink, items).decode("utf-8")
    for encoding in ("ascii", "latin-1"):
        plain = json_of(JsonSink, items, encoding)
        assert json.loads(plain.decode("ascii")) == json.loads(json_of(JsonSink, items))


@pytest.mark.parametrize("name", ["\udce9é\x1b.png", "a\nb\u2028.png", "\x9b31m"], ids=ascii)
def test_odd_names_stay_valid_on_one_line(name):
    for encoding in ("utf-8", "ascii"):
        raw = json_of(JsonLinesSink, [Failure(name, "broken")], encoding)
        assert json.loads(raw.decode("utf-8")) == {"source": name, "error": "broken"}
        assert len(raw.decode().splitlines()) == 1


@pytest.mark.parametrize("kind", [JsonSink, JsonLinesSink])
def test_a_fault_of_our_own_is_an_error_as_any_other(kind):
    found = json.loads(json_of(kind, [InternalFailure("a.png", "SliceWise failed")]))
    errors = found["errors"] if kind is JsonSink else [found]
    assert errors == [{"source": "a.png", "error": "SliceWise failed"}]


def test_lines_are_there_before_the_end(items, tmp_path: Path):
    with (tmp_path / "lines").open("w", encoding="utf-8") as stream:
        JsonLinesSink(stream).write(items[0])
        assert json.loads((tmp_path / "lines").read_text(encoding="utf-8"))["label"]


def test_the_disclaimer_says_what_it_must():
    assert "Not a medical device" in DISCLAIMER


def rows_of(path: Path, *items: Item) -> list[dict[str, str]]:
    sink = CsvSink(path, CLASSES)
    for item in items:
        sink.write(item)
    sink.close()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_columns_are_those_of_a_prediction(tmp_path):
    (row,) = rows_of(tmp_path / "a.csv", single(picture("scan.png"), SHARES))
    flat = {field.name for field in fields(Prediction)} - {"probabilities", "bundle"}
    bundle = {f"bundle_{field.name}" for field in fields(BundleReference)}
    assert set(row) == flat | bundle | {f"p_{name}" for name in CLASSES} | {"error"}
    assert [float(row[f"p_{name}"]) for name in CLASSES] == list(SHARES)
    assert (row["source"], row["label"], row["decision"]) == ("scan.png", "glioma", "review")
    assert (row["tumor_probability"], row["tumor_flag"]) == ("0.85", "true")
    assert (row["reasons"], row["prediction_set"], row["error"]) == ("not_calibrated", "", "")
    assert row["bundle_sha256"] == REFERENCE.sha256


def test_lists_are_joined_by_semicolons(tmp_path):
    item = single(picture("a"), SHARES)
    prediction = replace(
        item.answers[0].prediction,
        prediction_set=["glioma", "meningioma"],
        reasons=[Reason.LOW_TRUST, Reason.END_OF_SERIES],
    )
    item = replace(item, answers=[replace(item.answers[0], prediction=prediction)])
    (row,) = rows_of(tmp_path / "a.csv", item)
    assert row["prediction_set"] == "glioma;meningioma"
    assert row["reasons"] == "low_trust;end_of_series"


def test_a_series_is_a_row_a_slice_and_an_error_a_row_beside_it(tmp_path):
    series = volume([picture(f"v#{k}") for k in range(3)], [0.1, 0.9, 0.2], [1])
    rows = rows_of(tmp_path / "new" / "a.csv", Failure("bad", "expected, got"), series)
    assert [row["source"] for row in rows] == ["bad", "v#0", "v#1", "v#2"]
    assert [row["error"] for row in rows] == ["expected, got", "", "", ""]
    assert not any(rows[0][name] for name in rows[0] if name not in ("source", "error"))


@pytest.mark.parametrize("name", ["a\nb\r", "\udce9", '"a",b', "\x1b[31m"], ids=ascii)
def test_odd_names_keep_to_their_row_and_line(tmp_path, name):
    rows = rows_of(tmp_path / "a.csv", single(picture(name), SHARES), Failure(name, name))
    assert len(rows) == 2
    assert len((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_table_that_is_not_closed_is_not_there(tmp_path):
    (tmp_path / "a.csv").write_text("older")
    sink = CsvSink(tmp_path / "a.csv", CLASSES)
    sink.write(single(picture("a"), SHARES))
    del sink
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "older"


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path):
    sink = CsvSink(tmp_path / "a.csv", CLASSES)
    sink.write(single(picture("=1+1.jpg"), SHARES))
    sink.write(Failure("@sum", "-why"))
    sink.close()
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == ["'=1+1.jpg", "'@sum"]
    assert rows[1]["error"] == "'-why"


def test_a_full_disk_for_drafts_is_named(tmp_path, monkeypatch):
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    sink = CsvSink(tmp_path / "a.csv", CLASSES)
    monkeypatch.setattr(sink, "_write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        sink.write(single(picture("a"), SHARES))
    assert "a.csv" in caught.value.filename
