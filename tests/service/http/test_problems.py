"""A fault of SliceWise while it reads an input is told as one, and loses no other input."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from builders_service import files, png, problem
from slicewise.imaging import series
from slicewise.service.http.problems import problem_response


@pytest.fixture
def failing(monkeypatch):
    """Inputs called slice0.png meet a fault."""
    decode = series.decode

    def fails(entry, content, limits):
        if entry.source == "slice0.png":
            raise AttributeError("/secret/place")
        return decode(entry, content, limits)

    monkeypatch.setattr(series, "decode", fails)


def test_a_request_with_nothing_else_is_answered_500(client, failing):
    with capture_logs() as logged:
        answer = client.post("/v1/predict", files=files(png(0)))
    told = problem(answer, 500)
    assert [one["event"] for one in logged].count("failure on an input") == 1
    assert "secret" not in answer.text
    assert told["errors"][0]["source"] == "slice0.png"
    assert "fault of SliceWise" in told["errors"][0]["error"]


def test_beside_another_input_it_is_an_entry(client, failing):
    with capture_logs() as logged:
        answer = client.post("/v1/predict/batch", files=files(png(0), png(1)))
    (fault,) = (one["fault"] for one in logged if one["event"] == "failure on an input")
    assert "SliceWise failed (AttributeError in " in fault
    assert "slice0" not in fault
    assert answer.status_code == 200
    assert [one["source"] for one in answer.json()["predictions"]] == ["slice1.png"]
    assert [one["source"] for one in answer.json()["errors"]] == ["slice0.png"]


def test_beside_a_bad_input_the_request_is_wrong_too(client, failing):
    told = problem(client.post("/v1/predict/batch", files=files(png(0), b"nothing")), 422)
    assert len(told["errors"]) == 2


def test_a_request_id_of_any_form_has_a_urn():
    content = problem_response(404, "none", "no uuid").body
    assert b"urn:slicewise:request:no uuid" in content
