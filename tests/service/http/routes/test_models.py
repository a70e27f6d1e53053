from __future__ import annotations

import pytest

from builders import CLASSES, SIZE
from builders_service import keyed, problem, running, service_settings


def test_models_tell_rule_and_identity(client):
    (model,) = client.get("/v1/models").json()["models"]
    assert model["arm"] == "main"
    assert model["classes"] == list(CLASSES)
    assert model["negative_class"] == "no_tumor"
    assert model["decision"]["operating_point"]["threshold"] == 0.4
    assert len(model["bundle"]["sha256"]) == 64


def test_the_older_route_tells_of_the_main_model(client):
    said = client.get("/model/info").json()
    assert (said["model_name"], said["num_classes"]) == ("tiny", 4)
    assert said["class_names"] == list(CLASSES)
    assert said["input_size"] == [1, SIZE, SIZE]
    assert said["threshold"] == 0.4


def test_the_card_of_every_loaded_bundle_can_be_read(tmp_path, rival):
    settings = service_settings(tmp_path, challenger=rival)
    with running(settings) as client:
        models = client.get("/v1/models").json()["models"]
        assert len(models) == 2
        for model, folder in zip(models, (settings.bundle, rival), strict=True):
            said = client.get(f"/v1/models/{model['bundle']['sha256']}/card")
            assert said.status_code == 200
            assert said.headers["content-type"] == "text/markdown; charset=utf-8"
            assert said.content == (folder / "MODEL_CARD.md").read_bytes()


@pytest.mark.parametrize("other", ["0" * 64, "main", "..%2F..", "tiny", "A" * 64])
def test_there_is_no_other_card(client, other):
    (model,) = client.get("/v1/models").json()["models"]
    said = problem(client.get(f"/v1/models/{other}/card"), 404)
    if "%2F" not in other:  # which is another route
        assert model["bundle"]["sha256"] in said["detail"]


def test_a_card_is_for_callers(tmp_path):
    with keyed(service_settings(tmp_path)) as (client, headers):
        known = client.get("/v1/models", headers=headers["predict"]).json()["models"][0]
        place = f"/v1/models/{known['bundle']['sha256']}/card"
        problem(client.get(place), 401)
        assert client.get(place, headers=headers["predict"]).text == "# tiny\n"
