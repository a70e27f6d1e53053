from __future__ import annotations

import pytest

from builders_service import files, problem
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import is_synthetic


def test_a_sample_says_that_it_is_synthetic_and_can_be_drawn_again(client):
    first = client.get("/v1/sample?seed=3&label=glioma")
    again = client.get("/v1/sample?seed=3&label=glioma")
    assert first.headers["content-type"] == "image/png"
    assert first.content == again.content
    (slice_,) = read_slices(first.content)
    assert is_synthetic(slice_)
    assert slice_.annotations["drawn"] == first.headers["x-sample-label"] == "glioma"


def test_a_sample_of_no_seed_tells_its_seed(client):
    made = client.get("/v1/sample")
    seed = made.headers["x-sample-seed"]
    assert client.get(f"/v1/sample?seed={seed}").content == made.content
    assert client.post("/v1/predict", files=files(made.content)).status_code == 200


@pytest.mark.parametrize("query", ["seed=-1", "seed=x", "label=cat", "other=1"])
def test_a_sample_of_nothing_is_refused(client, query):
    problem(client.get(f"/v1/sample?{query}"), 422)
