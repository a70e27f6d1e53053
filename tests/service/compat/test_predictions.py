from __future__ import annotations

import numpy as np
import pytest

from builders import CLASSES, TaskInfo, bundle_info, write_tiny_bundle
from builders_imaging import picture_bytes, zip_bytes
from builders_service import (
    files,
    picture_of,
    png,
    problem,
    running,
    series,
    service_settings,
)
from slicewise.text import percent_text


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
    assert f"tumor probability {percent_text(now['tumor_probability'])}, " in said["notes"]
    assert f"threshold of {percent_text(now['threshold'])}" in said["notes"]
    assert said["cam"] is None


def test_the_notes_of_a_withheld_slice_hold_no_number(client):
    blank = picture_bytes(np.zeros((64, 64), dtype=np.uint8))
    said = client.post("/predict", files=files(blank)).json()
    assert said["decision"] == "reject"
    assert "the picture is blank" in said["notes"]
    assert "%" not in said["notes"]


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


@pytest.mark.parametrize("kind", range(4))
def test_classify_slice_collapses_four_classes(client, kind):
    said = client.post("/classify_slice", files=files(png(kind))).json()
    now = client.post("/v1/predict", files=files(png(kind))).json()
    assert said["predicted_class"] == int(now["tumor_flag"])
    assert said["predicted_label"] == ("Tumor" if now["tumor_flag"] else "No Tumor")
    assert set(said["probabilities"]) == {"No Tumor", "Tumor"}
    assert sum(said["probabilities"].values()) == pytest.approx(1)
    assert said["probabilities"]["Tumor"] == pytest.approx(now["tumor_probability"], abs=1e-5)
    assert said["confidence"] == said["probabilities"][said["predicted_label"]]


@pytest.mark.parametrize("threshold", [0, 1])
def test_any_threshold_means_the_same_as_in_the_newer_route(client, threshold):
    asked = {"params": {"threshold": threshold}, "files": files(png(2))}
    said = client.post("/classify_slice", **asked).json()
    assert said["threshold"] == threshold
    assert bool(said["predicted_class"]) == client.post("/v1/predict", **asked).json()["tumor_flag"]


def test_classify_batch_keeps_the_good_ones(client):
    sent = files(png(0), b"nothing", png(2), field="files")
    said = client.post("/classify_batch", files=sent).json()
    assert said["count"] == len(said["predictions"]) == 2
    assert len(said["errors"]) == 1
    assert {one["predicted_class"] for one in said["predictions"]} <= {0, 1}


def test_a_batch_says_which_file_an_answer_is_of(client):
    sent = [("file", (f"{n}.png", png(n))) for n in range(3)]
    said = client.post("/classify_batch", files=sent).json()
    assert [one["source"] for one in said["predictions"]] == ["0.png", "1.png", "2.png"]


def test_a_rejected_picture_is_not_told_to_be_without_tumor_against_its_numbers(client):
    blank = picture_bytes(np.zeros((96, 96), np.uint8))
    said = client.post("/classify_slice", files=files(blank)).json()
    assert said["decision"] == "reject"
    tumor = said["probabilities"]["Tumor"] >= said["threshold"]
    assert (said["predicted_class"], said["predicted_label"]) == (
        int(tumor),
        "Tumor" if tumor else "No Tumor",
    )


def test_classify_with_gradcam_sends_the_overlay(client):
    said = client.post("/classify_with_gradcam", files=files(png(0))).json()
    assert picture_of(said["gradcam_overlay"]).size == (128, 128)
    assert said["predicted_class"] in {0, 1}


def test_a_model_without_a_negative_class_says_so(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_tiny_bundle(folder, task=TaskInfo(name="all", classes=CLASSES, negative_class=None))
    with running(service_settings(tmp_path)) as client:
        said = problem(client.post("/classify_slice", files=files(png(0))), 422)
        assert "/v1/predict" in said["detail"]
        plain = client.post("/predict", files=files(png(0))).json()
        assert plain["has_tumor"] is plain["tumor_probability"] is None


@pytest.mark.parametrize(
    "route", ["/classify_slice", "/classify_batch", "/classify_with_gradcam", "/api/predict"]
)
def test_explain_is_no_option_where_it_changes_nothing(client, route):
    problem(client.post(f"{route}?explain=false", files=files(png(0))), 422)
    sent = client.post(route, files=files(png(0)), data={"explain": "false"})
    problem(sent, 422)


@pytest.mark.parametrize("route", ["/predict", "/api/predict", "/classify_slice"])
def test_every_older_answer_names_its_bundle(client, route):
    expected = client.post("/v1/predict", files=files(png(0))).json()["bundle"]
    assert client.post(route, files=files(png(0))).json()["bundle"] == expected


def test_random_test_answers_for_a_synthetic_slice(client):
    said = client.get("/api/random-test?seed=5&label=no_tumor").json()
    assert said["true_label"] == "notumor"
    assert said["synthetic"] is True
    assert picture_of(said["original"]).size == (512, 512)
    assert client.get(f"/v1/predictions/{said['id']}").json()["route"] == "/api/random-test"
