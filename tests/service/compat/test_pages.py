from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from builders_imaging import nifti_bytes, picture_bytes, zip_bytes
from builders_records import kept_in
from builders_service import files, keyed, png, problem, series, service_settings, services


def upload(client, name, content):
    return client.post("/api/upload", files={"file": (name, content)})


@pytest.mark.parametrize(
    ("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("BMP", "a.dat"), ("TIFF", "a")]
)
def test_it_says_what_it_read(client, kind, name):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60), dtype=np.uint8)
    said = upload(client, name, picture_bytes(Image.fromarray(noise), kind)).json()
    assert (said["success"], said["filename"], said["format"]) == (True, name, kind)
    assert (said["width"], said["height"], said["slices"]) == (60, 40, 1)
    assert "not kept" in said["message"]
    assert said["errors"] == []


def test_of_several_slices_it_says_how_many(client):
    volume = upload(client, "scan.nii", nifti_bytes(np.random.default_rng(0).random((30, 20, 5))))
    assert (volume.json()["format"], volume.json()["slices"]) == ("NIFTI", 5)
    packed = upload(client, "scan.zip", zip_bytes(series(6))).json()
    assert (packed["format"], packed["slices"], packed["width"]) == ("ZIP", 6, 96)
    (dicom,) = series(1).values()
    assert upload(client, "s.dcm", dicom).json()["format"] == "DICOM"


def test_what_could_not_be_read_is_named(client):
    said = upload(
        client, "m.zip", zip_bytes({"good.png": png(0), "bad.png": b"\x89PNG\r\n\x1a\nno"})
    )
    assert said.json()["slices"] == 1
    assert [one["source"] for one in said.json()["errors"]] == ["m.zip!bad.png"]


@pytest.mark.parametrize("sent", ["/home/jane/a.png", "..\\..\\a.png", "C:\\x\\a.png"])
def test_a_name_is_never_a_path(client, sent):
    assert upload(client, sent, png(0)).json()["filename"] == "a.png"


def test_nothing_is_kept(client):
    before = len(kept_in(services(client).store))
    upload(client, "a.png", png(0))
    assert len(kept_in(services(client).store)) == before


def test_what_is_no_image_is_refused(client):
    for content in (b"", b"no picture", png(0)[:60]):
        problem(upload(client, "a.png", content), 422)
    problem(client.post("/api/upload", files=files(png(0), png(1))), 400)
    problem(client.post("/api/upload?tta=true", files=files(png(0))), 422)
    problem(client.post("/api/upload", json={}), 415)


def test_it_is_for_callers(tmp_path):
    with keyed(service_settings(tmp_path)) as (client, headers):
        problem(upload(client, "a.png", png(0)), 401)
        sent = {"file": ("a.png", png(0))}
        said = client.post("/api/upload", files=sent, headers=headers["predict"])
        assert said.status_code == 200


@pytest.fixture
def answered(client):
    return client.post("/v1/predict", files=files(png(0))).json()


def kept(client, answered):
    return client.get(f"/v1/predictions/{answered['id']}").json()["feedback"]


@pytest.mark.parametrize(
    ("id_", "agree", "label", "note"),
    [
        ("prediction_id", "correct", "correct_label", "comment"),
        ("id", "agree", "label", "note"),
        ("prediction_id", "agree", "correct_label", "note"),
    ],
)
def test_old_and_new_fields_go_into_the_same_feedback(client, answered, id_, agree, label, note):
    assert answered["label"] != "no_tumor"
    sent = {id_: answered["id"], agree: False, label: "notumor", note: "seen on T2"}
    taken = client.post("/api/feedback", json=sent)
    assert taken.status_code == 201
    said = taken.json()
    assert said["success"] is True
    assert said["prediction_id"] == answered["id"]
    (found,) = kept(client, answered)
    assert found["id"] == said["id"]
    wanted = {"agree": False, "label": "no_tumor", "note": "seen on T2", "caller": "open"}
    assert {name: found[name] for name in wanted} == wanted


def test_label_and_comment_may_be_left_out(client, answered):
    sent = {"id": answered["id"], "correct": True}
    assert client.post("/api/feedback", json=sent).status_code == 201
    (found,) = kept(client, answered)
    assert (found["agree"], found["label"], found["note"]) == (True, None, None)


@pytest.mark.parametrize(
    "changed",
    [
        {"correct": None},
        {"correct": "perhaps"},
        {"prediction_id": "Jane"},
        {"correct_label": "cat"},
        {"correct_label": "notumor", "correct": True},
        {"comment": "x" * 2001},
        {"patient": "Jane"},
        {"agree": True},
    ],
)
def test_what_does_not_fit_is_refused(client, answered, changed):
    sent = {"prediction_id": answered["id"], "correct": False, **changed}
    problem(client.post("/api/feedback", json=sent), 422)
    assert kept(client, answered) == []


def test_a_missing_field_is_named(client):
    said = problem(client.post("/api/feedback", json={"id": "0" * 32}), 422)
    assert said["detail"] == "field correct: expected a value; got none"


def test_an_unknown_answer_is_not_found(client):
    problem(client.post("/api/feedback", json={"id": "0" * 32, "correct": True}), 404)


def test_it_is_only_for_ones_own_answers(tmp_path):
    with keyed(service_settings(tmp_path)) as (client, headers):
        sent = files(png(0))
        mine = client.post("/v1/predict", files=sent, headers=headers["review"]).json()
        said = {"id": mine["id"], "correct": True}
        problem(client.post("/api/feedback", json=said), 401)
        problem(client.post("/api/feedback", json=said, headers=headers["predict"]), 404)
        taken = client.post("/api/feedback", json=said, headers=headers["admin"])
        assert taken.status_code == 201


@pytest.mark.parametrize("how", [{}, {"json": {"epochs": 5}}, {"data": {"epochs": "5"}}])
def test_it_says_how_a_model_is_trained(client, how):
    said = problem(client.post("/api/train", **how), 501)
    assert "`slicewise train CONFIG`" in said["detail"]
    assert "`slicewise serve --bundle runs/NAME/bundle`" in said["detail"]
    assert said["title"] == "Not Implemented"
    assert problem(client.get("/api/train"), 405)


def test_its_description_promises_no_answer(client):
    responses = client.get("/openapi.json").json()["paths"]["/api/train"]["post"]["responses"]
    assert not [code for code in responses if code < "400"]
