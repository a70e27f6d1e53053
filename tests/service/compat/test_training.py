from __future__ import annotations

import pytest

from builders_service import problem


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
