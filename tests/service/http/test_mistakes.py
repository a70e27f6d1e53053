"""What is wrong with a request is told in our words: what was expected, and what was got."""

from __future__ import annotations

from typing import get_args

import pytest

from builders_service import files, png, problem
from slicewise.explain.overlay import COLORMAPS
from slicewise.service.http.routes.predictions import ExplainQuery

OPTIONS = "explain, tta, threshold"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            "thresold=0.4",
            "expected no other query parameters than tta, threshold, explain, arm; "
            "got 'thresold' (nearest: threshold)",
        ),
        ("threshold=high", "query parameter threshold: expected a number; got 'high'"),
        ("threshold=2", "query parameter threshold: expected at most 1; got '2'"),
        ("threshold=nan", "query parameter threshold: expected a number; got 'nan'"),
        ("tta=perhaps", "query parameter tta: expected true or false; got 'perhaps'"),
    ],
)
def test_a_wrong_query(client, query, told):
    said = problem(client.post(f"/v1/predict?{query}", files=files(png(0))), 422)
    assert said["detail"] == told


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        (
            "POST",
            "/v1/explain?colormap=red",
            "query parameter colormap: expected one of 'ember', 'lagoon' or 'grey'; got 'red'",
        ),
        ("GET", "/v1/sample?seed=-1", "query parameter seed: expected at least 0; got '-1'"),
        ("GET", "/v1/sample?seed=x", "query parameter seed: expected a whole number; got 'x'"),
        (
            "GET",
            "/v1/predictions/Jane",
            "path parameter prediction_id: expected an id, 32 hexadecimal digits; got 'Jane'",
        ),
    ],
)
def test_a_wrong_choice_number_or_id(client, method, path, told):
    assert problem(client.request(method, path), 422)["detail"] == told


def test_colours_are_those_that_can_be_drawn():
    assert get_args(ExplainQuery.model_fields["colormap"].annotation) == COLORMAPS


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"thresold": "0.4"},
            "expected no other fields than file, tta, threshold, explain, arm; "
            "got 'thresold' (nearest: threshold)",
        ),
        ({"threshold": "-1"}, "field threshold: expected at least 0; got '-1'"),
    ],
)
def test_a_wrong_form_field(client, fields, told):
    said = problem(client.post("/v1/predict", data=fields, files=files(png(0))), 422)
    assert said["detail"] == told


@pytest.mark.parametrize(
    ("path", "sent", "told"),
    [
        (
            "/v1/evaluate",
            {"manifest": "m.csv", "splits": "test"},
            "expected no other fields than manifest, split, allow_seen, resamples; "
            "got 'splits' (nearest: split)",
        ),
        (
            "/v1/evaluate",
            {"manifest": "m.csv", "split": "dev"},
            "field split: expected one of 'train', 'val', 'test' or 'all'; got 'dev'",
        ),
        ("/v1/evaluate", {}, "field manifest: expected a value; got none"),
        ("/v1/evaluate", {"manifest": 3}, "field manifest: expected text; got 3"),
        (
            "/v1/evaluate",
            {"manifest": "x" * 1001},
            "field manifest: expected at most 1,000 characters; got 1,001",
        ),
        ("/v1/evaluate", [], "body: expected names with values; got a list"),
        ("/metrics", {}, "body: expected either root or paths; got neither"),
        ("/metrics", {"paths": []}, "field paths: expected at least 1 in the list; got 0"),
        ("/metrics", {"root": ".", "tta": []}, "field tta: expected true or false; got a list"),
        (
            "/metrics",
            {"root": ".", "max_predictions": 10_001},
            "field max_predictions: expected at most 10,000; got 10001",
        ),
    ],
)
def test_a_wrong_key_or_value_of_json(client, path, sent, told):
    assert problem(client.post(path, json=sent), 422)["detail"] == told


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        (
            {"content": b"garbage", "headers": MULTIPART},
            400,
            "expected multipart/form-data, every part between its boundaries; got something else",
        ),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "expected a boundary in Content-Type; got none",
        ),
        (
            {"data": {"tta": "x" * 5000}, "files": files(png(0))},
            400,
            "expected at most 1,024 bytes in a field; got more",
        ),
        (
            {"data": {f"f{i}": "x" for i in range(20)}, "files": files(png(0))},
            400,
            "expected at most 16 fields beside the files; got more",
        ),
        ({"files": files(*[b"x"] * 51)}, 400, "expected at most 50 files; got more"),
        (
            {"content": b"{}", "headers": JSON},
            415,
            "expected multipart/form-data with a file in the field `file`; got application/json",
        ),
        (
            {},
            415,
            "expected multipart/form-data with a file in the field `file`; got no Content-Type",
        ),
    ],
)
def test_a_body_of_another_form(client, sent, status, told):
    assert problem(client.post("/v1/predict/batch", **sent), status)["detail"] == told


def test_no_json_where_it_is_expected(client):
    answer = client.post("/v1/evaluate", content=b"{}", headers={"Content-Type": "text/plain"})
    expected = "expected a body of application/json; got text/plain"
    assert problem(answer, 415)["detail"] == expected


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        (
            "POST",
            "/v1/predcit",
            404,
            "expected a route, as /docs lists them; got '/v1/predcit' (nearest: /v1/predict)",
        ),
        ("GET", "/qqqq", 404, "expected a route, as /docs lists them; got '/qqqq'"),
        ("GET", "/v1/predict", 405, "expected POST; got GET"),
        ("PUT", "/metrics", 405, "expected GET or POST; got PUT"),
        ("POST", "/docs", 405, "expected GET or HEAD; got POST"),
    ],
)
def test_no_such_route_or_method(client, method, path, status, told):
    answer = client.request(method, path)
    assert problem(answer, status)["detail"] == told
    if status == 405:
        assert told.endswith(f"got {method}")
        assert answer.headers["allow"].replace(", ", " or ") in told
