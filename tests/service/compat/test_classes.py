from __future__ import annotations

import pytest

from builders import bundle_info, write_tiny_bundle
from builders_imaging import zip_bytes
from builders_service import (
    files,
    picture_of,
    png,
    problem,
    running,
    series,
    service_settings,
)


def test_predict_answers_with_the_fields_of_both_older_systems(client):
    said = client.post("/predict", files=files(png(2))).json()
    now = client.post("/v1/predict", files=files(png(2))).json()
    assert said["success"] is True
    assert said["predicted_class"] == said["classification"] == now["label"].replace("_", "")
    assert said["confidence"] == pytest.approx(now["confidence"], abs=1e-5)
    assert set(said["all_probabilities"]) == {"glioma", "meningioma", "notumor", "pituitary"}
    assert said["all_probabilities"]["notumor"] == pytest.approx(
        now["probabilities"]["no_tumor"], abs=1e-5
    )
    assert said["model_type"] == "small"
    assert said["has_tumor"] is now["tumor_flag"]
    assert said["tumor_probability"] == pytest.approx(now["tumor_probability"], abs=1e-5)
    assert (said["segmentation_available"], said["tumor_volume_ml"]) == (False, None)
    assert "not a medical device" in said["notes"].lower()
    assert said["cam"] is None


def test_save_cam_sends_the_overlay_and_writes_nothing(client):
    said = client.post("/predict?save_cam=true&tta=true", files=files(png(0))).json()
    assert picture_of(said["cam"]).size == (128, 128)


def test_predict_refuses_a_second_file(client):
    problem(client.post("/predict", files=files(png(0), png(1))), 400)


def test_api_predict_ranks_classes_and_sends_both_pictures(client):
    said = client.post("/api/predict", files=files(png(1))).json()
    shares = [one["probability"] for one in said["predictions"]]
    assert shares == sorted(shares, reverse=True)
    assert {one["class"] for one in said["predictions"]} == {
        "glioma",
        "meningioma",
        "notumor",
        "pituitary",
    }
    assert picture_of(said["gradcam"]).mode == "RGB"
    assert picture_of(said["original"]).mode == "L"


def test_api_predict_of_a_series_shows_a_key_slice(client):
    sent = {"file": ("scan.zip", zip_bytes(series(6, uid="1.2.4")))}
    assert picture_of(client.post("/api/predict", files=sent).json()["gradcam"])


def test_model_type_is_that_of_the_bundle_that_answered(tmp_path):
    (tmp_path / "next").mkdir()
    origin = bundle_info().origin.model_copy(update={"architecture": "larger"})
    sha256 = write_tiny_bundle(tmp_path / "next", version="0.2.0", origin=origin)
    settings = service_settings(tmp_path, challenger=tmp_path / "next", challenger_share=0.5)
    with running(settings) as client:
        said = [client.post("/predict", files=files(png(0, seed=i))).json() for i in range(12)]
    types = {one["bundle"]["sha256"]: one["model_type"] for one in said}
    assert len(types) == 2
    assert types.pop(sha256) == "larger"
    assert set(types.values()) == {"small"}


def test_a_series_is_answered_by_the_same_key_slice_everywhere(client):
    """A route with room for one answer names a key slice of the study, and says that it is one."""
    sent = {"file": ("scan.zip", zip_bytes(series(6, uid="1.2.4")))}
    study = client.post("/v1/predict", files=sent).json()
    (key, *_) = study["studies"][0]["study"]["key_slices"]
    (wanted,) = [p for p in study["predictions"] if p["source"] == key]
    answers = [
        client.post(route, files=sent).json()
        for route in ("/predict", "/api/predict", "/classify_slice", "/classify_with_gradcam")
    ]
    assert answers[0]["confidence"] == wanted["confidence"]
    assert answers[1]["predictions"][0]["probability"] == wanted["confidence"]
    tumor = [answer["probabilities"]["Tumor"] for answer in answers[2:]]
    assert tumor == [wanted["tumor_probability"]] * 2
    assert all("One of 6 slices" in answer["notes"] for answer in answers)


def test_what_could_not_be_read_is_not_kept_quiet(client):
    sent = {"file": ("m.zip", zip_bytes({"good.png": png(0), "bad.png": b"\x89PNG\r\n\x1a\nno"}))}
    for route in ("/predict", "/api/predict", "/classify_slice"):
        assert "Not all could be read (1)" in client.post(route, files=sent).json()["notes"]
