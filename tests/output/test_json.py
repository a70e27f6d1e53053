"""Answers as JSON: the names of the contract, valid and on single lines whatever a name holds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from builders import head_with_spot, tiny_bundle
from builders_imaging import nifti_bytes, picture_bytes
from slicewise.imaging.slice import Failure, InternalFailure
from slicewise.inference.classifier import Classifier
from slicewise.inference.predict import answer_inputs
from slicewise.inference.results import DISCLAIMER
from slicewise.output.json import JsonLinesSink, JsonSink
from slicewise.output.sink import Item

PREDICTION = {
    *("source", "label", "probabilities", "confidence", "tumor_probability", "tumor_flag"),
    *("threshold", "prediction_set", "decision", "reasons", "bundle", "timing_ms", "heatmap"),
}
STUDY = {"source", "plane", "study", "threshold", "decision", "reasons", "bundle"}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    folder = tmp_path_factory.mktemp("json")
    head = (head_with_spot(0) / 6).clip(0, 255).astype(np.uint8)
    (folder / "ä.png").write_bytes(picture_bytes(head))
    (folder / "v.nii").write_bytes(nifti_bytes(np.stack([head] * 3, 2).astype(np.float32)))
    paths = [folder / "ä.png", folder / "gone.png", folder / "v.nii"]
    return list(answer_inputs(paths, Classifier(tiny_bundle(folder / "bundle"))))


def written(kind, items: list[Item], encoding: str = "utf-8") -> bytes:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    sink = kind(stream)
    for item in items:
        sink.write(item)
    sink.close()
    stream.flush()
    return raw.getvalue()


def test_an_object_of_nothing_has_all_three_lists():
    assert json.loads(written(JsonSink, [])) == {"predictions": [], "studies": [], "errors": []}


def test_names_are_those_of_the_contract(items):
    content = json.loads(written(JsonSink, items))
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
    content = json.loads(written(JsonSink, items))
    lines = [json.loads(line) for line in written(JsonLinesSink, items).splitlines()]
    first, failed, *volume, study = lines
    assert [first, *volume] == content["predictions"]
    assert ([study], [failed]) == (content["studies"], content["errors"])


def test_names_stay_readable_where_the_encoding_holds_them(items):
    assert "ä.png" in written(JsonSink, items).decode("utf-8")
    for encoding in ("ascii", "latin-1"):
        plain = written(JsonSink, items, encoding)
        assert json.loads(plain.decode("ascii")) == json.loads(written(JsonSink, items))


@pytest.mark.parametrize("name", ["\udce9é\x1b.png", "a\nb\u2028.png", "\x9b31m"], ids=ascii)
def test_odd_names_stay_valid_on_one_line(name):
    for encoding in ("utf-8", "ascii"):
        raw = written(JsonLinesSink, [Failure(name, "broken")], encoding)
        assert json.loads(raw.decode("utf-8")) == {"source": name, "error": "broken"}
        assert len(raw.decode().splitlines()) == 1


@pytest.mark.parametrize("kind", [JsonSink, JsonLinesSink])
def test_a_fault_of_our_own_is_an_error_as_any_other(kind):
    found = json.loads(written(kind, [InternalFailure("a.png", "SliceWise failed")]))
    errors = found["errors"] if kind is JsonSink else [found]
    assert errors == [{"source": "a.png", "error": "SliceWise failed"}]


def test_lines_are_there_before_the_end(items, tmp_path: Path):
    with (tmp_path / "lines").open("w", encoding="utf-8") as stream:
        JsonLinesSink(stream).write(items[0])
        assert json.loads((tmp_path / "lines").read_text(encoding="utf-8"))["label"]


def test_the_disclaimer_says_what_it_must():
    assert "Not a medical device" in DISCLAIMER
