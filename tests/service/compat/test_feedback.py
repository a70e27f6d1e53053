from __future__ import annotations

import pytest

from builders_service import files, keyed, png, problem, service_settings


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
