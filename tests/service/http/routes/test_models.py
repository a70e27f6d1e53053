from __future__ import annotations

from builders import CLASSES, SIZE


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
