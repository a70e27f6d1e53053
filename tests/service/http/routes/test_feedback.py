from __future__ import annotations

from dataclasses import fields

import pytest

from builders_service import files, png, problem, running, service_settings
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.audit_log.records import PredictionRecord


@pytest.fixture
def answered(client):
    return client.post("/v1/predict", files=files(png(0))).json()


def test_an_answer_can_be_looked_up(client, answered):
    said = client.get(f"/v1/predictions/{answered['id']}").json()
    for name in ("label", "probabilities", "confidence", "threshold", "decision", "bundle"):
        assert said[name] == answered[name]
    assert said["feedback"] == []
    assert said["latency_ms"] > 0


def test_feedback_is_kept_beside_the_answer(client, answered):
    place = f"/v1/predictions/{answered['id']}"
    other = next(name for name in answered["probabilities"] if name != answered["label"])
    sent = {"agree": False, "label": other, "note": "seen on T2"}
    taken = client.post(f"{place}/feedback", json=sent)
    assert taken.status_code == 201
    agreed = client.post(f"{place}/feedback", json={"agree": True})
    kept = client.get(place).json()["feedback"]
    assert [one["id"] for one in kept] == [taken.json()["id"], agreed.json()["id"]]
    assert {k: kept[0][k] for k in sent} == sent
    assert kept[0]["caller"] == "open"


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"agree": "perhaps"},
        {"agree": True, "other": 1},
        {"agree": False, "label": "cat"},
        {"agree": True, "note": "x" * 2001},
        {"agree": True, "note": "a\0b"},
    ],
)
def test_feedback_that_does_not_fit_is_refused(client, answered, sent):
    problem(client.post(f"/v1/predictions/{answered['id']}/feedback", json=sent), 422)


def test_an_unknown_answer_is_not_found(client):
    problem(client.get(f"/v1/predictions/{'0' * 32}"), 404)
    problem(client.post(f"/v1/predictions/{'0' * 32}/feedback", json={"agree": True}), 404)
    problem(client.get("/v1/predictions/../../etc/passwd"), 404)
    problem(client.get("/v1/predictions/abc"), 422)


def test_callers_see_their_own_answers_and_reviewers_all(tmp_path):
    settings = service_settings(tmp_path)
    keys = KeyStore.open(settings.audit_log)
    secrets = {
        name: keys.create(name, role)
        for name, role in (("ann", Role.PREDICT), ("bob", Role.PREDICT), ("rev", Role.REVIEW))
    }
    keys.close()
    with running(settings) as client:
        headers = {name: {"X-API-Key": secret} for name, secret in secrets.items()}
        problem(client.post("/v1/predict", files=files(png(0))), 401)
        mine = client.post("/v1/predict", files=files(png(0)), headers=headers["ann"]).json()
        place = f"/v1/predictions/{mine['id']}"
        assert client.get(place, headers=headers["ann"]).json()["caller"] == "ann"
        problem(client.get(place, headers=headers["bob"]), 404)
        assert client.get(place, headers=headers["rev"]).status_code == 200
        problem(client.get("/metrics", headers=headers["ann"]), 403)
        assert client.get("/metrics", headers=headers["rev"]).status_code == 200
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_an_answer_is_shown_with_every_field_of_its_record(client, answered):
    said = client.get(f"/v1/predictions/{answered['id']}").json()
    recorded = {field.name for field in fields(PredictionRecord)}
    assert set(said) == {*recorded, "distance", "feedback", "disclaimer"}
    assert said["bundle"] == answered["bundle"]
