from __future__ import annotations

import json

import numpy as np
import pytest

from builders import head_with_spot, tiny_bundle
from builders_imaging import nifti_bytes, picture_bytes
from slicewise.imaging.slice import Failure
from slicewise.inference.classifier import Classifier
from slicewise.inference.pipeline import answer_inputs
from slicewise.inference.results import DISCLAIMER, Envelope, json_line

PREDICTION = {
    *("source", "label", "probabilities", "confidence", "tumor_probability", "tumor_flag"),
    *("threshold", "prediction_set", "decision", "reasons", "bundle", "timing_ms", "heatmap"),
}
STUDY = {"source", "plane", "study", "threshold", "decision", "reasons", "bundle"}


@pytest.fixture
def envelope(tmp_path) -> Envelope:
    head = (head_with_spot(0) / 6).clip(0, 255).astype(np.uint8)
    (tmp_path / "ä.png").write_bytes(picture_bytes(head))
    (tmp_path / "v.nii").write_bytes(nifti_bytes(np.stack([head] * 3, 2).astype(np.float32)))
    paths = [tmp_path / "ä.png", tmp_path / "gone.png", tmp_path / "v.nii"]
    made = Envelope()
    for item in answer_inputs(paths, Classifier(tiny_bundle(tmp_path / "bundle"))):
        made.add(item)
    return made


def test_an_empty_envelope_has_all_three_lists():
    assert json.loads(Envelope().to_json()) == {"predictions": [], "studies": [], "errors": []}


def test_names_are_those_of_the_contract(envelope):
    content = json.loads(envelope.to_json())
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


def test_names_stay_readable_and_lines_are_single(envelope):
    assert "ä.png" in envelope.to_json()
    for item in (*envelope.predictions, *envelope.studies, *envelope.errors):
        line = json_line(item)
        assert "\n" not in line
        assert json.loads(line)["source"] == item.source
    assert json.loads(json_line(Failure("a\nb", "c"))) == {"source": "a\nb", "error": "c"}


def test_the_disclaimer_says_what_it_must():
    assert "Not a medical device" in DISCLAIMER


def test_odd_names_are_shown_as_escapes_and_stay_valid_json() -> None:
    from slicewise.inference.results import printable

    assert printable("a\x1b[31m\n\udce9é.png") == "a\\x1b[31m\\n\\udce9é.png"
    line = json_line(Failure("\udce9é\x1b.png", "broken"))
    assert json.loads(line.encode("utf-8"))["source"] == "\udce9é\x1b.png"
