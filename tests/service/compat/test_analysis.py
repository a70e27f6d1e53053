from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_explain import answer
from builders_imaging import picture_bytes, zip_bytes
from builders_records import kept_in
from builders_service import (
    files,
    keyed,
    picture_of,
    png,
    problem,
    running,
    series,
    service_settings,
    services,
)
from slicewise.audit_log.records import Arm
from slicewise.explain.heatmap import heat_map_of
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Slice
from slicewise.inference.decision import Verdict
from slicewise.service.compat.analysis import agreement_of

ROUTE = "/api/analyze-detailed"


def box_of(said):
    box = said["bounding_box"]
    return box and (box["x"], box["y"], box["width"], box["height"])


def test_it_has_what_api_predict_has(client):
    said = client.post(ROUTE, files=files(png(1))).json()
    older = client.post("/api/predict", files=files(png(1))).json()
    for name in set(older) - {"id", "predictions"}:
        assert said[name] == older[name]
    assert [one["class"] for one in said["predictions"]] == [
        one["class"] for one in older["predictions"]
    ]
    assert set(said) - set(older) == {"bounding_box", "models", "agreement", "agreement_note"}
    assert client.get(f"/v1/predictions/{said['id']}").json()["route"] == ROUTE


@pytest.mark.parametrize("kind", [0, 1, 3])
def test_the_box_is_that_of_the_answered_class(client, kind):
    said = client.post(ROUTE, files=files(png(kind))).json()
    (slice_,) = read_slices(png(kind), "s")
    (given,) = services(client).engine.main.answers([slice_])
    assert said["predictions"][0]["class"] == given.prediction.label != "no_tumor"
    box = heat_map_of(slice_, given).box()
    assert box_of(said) == (box and (box.x, box.y, box.width, box.height))
    assert box is None or said["bounding_box"]["level"] == 0.5


def test_a_large_slice_has_its_box_in_pixels_of_what_is_sent(client):
    large = client.post(ROUTE, files=files(png(0, side=2048))).json()
    width, height = picture_of(large["original"]).size
    assert (width, height) == (1024, 1024)
    x, y, across, down = box_of(large)
    (slice_,) = read_slices(png(0, side=2048), "s")
    (given,) = services(client).engine.main.answers([slice_])
    box = heat_map_of(slice_, given).box()
    assert (x, y) == (box.x // 2, box.y // 2)
    assert (across, down) == pytest.approx((box.width / 2, box.height / 2), abs=1)


def test_of_no_tumor_and_of_a_rejected_slice_there_is_no_box(client):
    said = client.post(ROUTE, files=files(png(2))).json()
    assert said["predictions"][0]["class"] == "notumor"
    assert said["bounding_box"] is None
    blank = picture_bytes(np.zeros((64, 64), dtype=np.uint8))
    said = client.post(ROUTE, files=files(blank)).json()
    assert (said["decision"], said["bounding_box"]) == ("reject", None)


def test_with_one_bundle_there_is_no_agreement(client):
    said = client.post(ROUTE, files=files(png(0))).json()
    assert said["agreement"] is None
    assert said["agreement_note"] == "only one bundle is loaded"
    (model,) = said["models"]
    assert model["id"] == said["id"]
    assert model["bundle"] == said["bundle"]
    assert model["predictions"] == said["predictions"]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_reviewer_sees_every_bundle_and_how_far_they_agree(tmp_path, rival, share):
    settings = service_settings(tmp_path, challenger=rival, challenger_share=share)
    with running(settings) as client:
        said = client.post(ROUTE, files=files(png(0)), data={"threshold": "0.3"}).json()
        records = kept_in(services(client).store)
    names = ["tiny", "rival"] if share == 0 else ["rival", "tiny"]
    assert [one["bundle"]["name"] for one in said["models"]] == names
    assert said["bundle"]["name"] == names[0]
    assert said["agreement"] == {"level": "unanimous", "share": 1.0, "models": 2}
    assert said["agreement_note"] is None
    assert [row.id for row in records] == [one["id"] for one in said["models"]]
    assert {row.arm for row in records} == {"main", "challenger"}
    assert {row.threshold for row in records} == {0.3}


def test_of_a_series_bundles_are_asked_about_the_same_slice(tmp_path, rival):
    with running(service_settings(tmp_path, challenger=rival)) as client:
        sent = {"file": ("scan.zip", zip_bytes(series(5)))}
        said = client.post(ROUTE, files=sent).json()
        store = services(client).store
        places = {store.get(one["id"]).slice_index for one in said["models"]}
    assert len(said["models"]) == 2
    assert len(places) == 1


def test_others_see_the_bundle_that_answers_them_only(tmp_path, rival):
    with keyed(service_settings(tmp_path, challenger=rival, challenger_share=1.0)) as (
        client,
        headers,
    ):
        for path in (ROUTE, "/api/random-test-detailed"):
            how = {"files": files(png(0))} if path == ROUTE else {}
            method = "POST" if path == ROUTE else "GET"
            problem(client.request(method, path, **how), 401)
            said = client.request(method, path, headers=headers["predict"], **how).json()
            assert [one["bundle"]["name"] for one in said["models"]] == ["rival"]
            assert said["agreement"] is None
            assert "role review" in said["agreement_note"]
            both = client.request(method, path, headers=headers["review"], **how).json()
            assert len(both["models"]) == 2


def test_a_bundle_that_fails_costs_the_answer_of_the_other_nothing(tmp_path, rival, monkeypatch):
    with running(service_settings(tmp_path, challenger=rival)) as client:
        challenger = services(client).engine.classifiers[Arm.CHALLENGER]
        monkeypatch.setattr(challenger, "prepare", lambda slice_: 1 / 0)
        said = client.post(ROUTE, files=files(png(0))).json()
    assert [one["bundle"]["name"] for one in said["models"]] == ["tiny"]
    assert said["agreement"] is None
    assert "fewer than two" in said["agreement_note"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("aa", ("unanimous", 1.0, 2)),
        ("aaa", ("unanimous", 1.0, 3)),
        ("aba", ("majority", 2 / 3, 3)),
        ("ab", ("split", 0.5, 2)),
        ("aabb", ("split", 0.5, 4)),
        ("abc", ("split", 1 / 3, 3)),
        ("abR", ("split", 0.5, 2)),
        ("aaR", ("unanimous", 1.0, 2)),
        ("aR", None),
        ("RR", None),
        ("a", None),
    ],
)
def test_agreement_is_of_those_that_have_an_answer(labels, expected):
    slice_ = Slice(np.zeros((8, 8), dtype=np.float32), "s")
    one = answer(slice_, (0.1, 0.7, 0.1, 0.1), (0, 0)).prediction
    given = [
        replace(one, label=label, decision=Verdict.REJECT if label == "R" else Verdict.REVIEW)
        for label in labels
    ]
    found = agreement_of(given)
    assert (found and (found.level, found.share, found.models)) == expected


@pytest.mark.parametrize("label", ["glioma", "no_tumor"])
def test_random_test_detailed_is_the_same_for_a_synthetic_slice(client, label):
    query = {"seed": 5, "label": label}
    said = client.get("/api/random-test-detailed", params=query).json()
    older = client.get("/api/random-test", params=query).json()
    for name in set(older) - {"id"}:
        assert said[name] == older[name]
    assert (said["true_label"], said["seed"]) == (label.replace("_", ""), 5)
    drawn = client.get("/v1/sample", params=query).content
    sent = client.post(ROUTE, files={"file": ("synthetic.png", drawn)}).json()
    assert said["bounding_box"] == sent["bounding_box"]


@pytest.mark.parametrize("query", ["seed=-1", "label=cat", "kind=stored", "kind=synthetic"])
def test_random_tests_take_no_other_options(client, query):
    for path in ("/api/random-test", "/api/random-test-detailed"):
        problem(client.get(f"{path}?{query}"), 422)
