from __future__ import annotations

import numpy as np
import pytest

from builders import CLASSES, TaskInfo, write_tiny_bundle
from builders_imaging import picture_bytes
from builders_service import files, picture_of, png, problem, running, service_settings


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
