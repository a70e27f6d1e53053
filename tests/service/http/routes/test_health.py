from __future__ import annotations

import pytest

from builders_service import files, png, problem, running, service_settings
from slicewise.errors import AuditError


def test_alive_and_ready(client):
    assert client.get("/healthz").json()["status"] == "ok"
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["bundle"]["name"] == "tiny"


def test_the_older_health_route_says_that_a_model_is_loaded(client):
    for path in ("/health", "/api/health"):
        said = client.get(path).json()
        assert (said["status"], said["model_loaded"], said["model_name"]) == (
            "healthy",
            True,
            "tiny",
        )


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/health", "/api/health"])
def test_a_probe_may_ask_for_the_head_alone(client, path):
    said = client.head(path)
    assert (said.status_code, said.content) == (200, b"")


def test_not_ready_without_a_database(tmp_path, monkeypatch):
    def fails(self):
        raise AuditError("/secret/place.db")

    with running(service_settings(tmp_path)) as client:
        monkeypatch.setattr(type(client.app.state.services.store), "ping", fails)
        assert "secret" not in client.get("/readyz").text
        problem(client.get("/readyz"), 503)
        problem(client.get("/health"), 503)
        assert client.get("/healthz").status_code == 200


def test_not_ready_without_forward_passes(tmp_path):
    with running(service_settings(tmp_path)) as client:
        for batcher in client.app.state.services.engine._batchers.values():
            batcher.close()
        problem(client.get("/readyz"), 503)


def test_metrics_count_what_was_answered(tmp_path):
    with running(service_settings(tmp_path)) as client:
        label = client.post("/v1/predict?explain=1", files=files(png(0))).json()["label"]
        text = client.get("/metrics").text
    assert 'slicewise_responses_total{route="/v1/predict",status="200"} 1.0' in text
    for stage in ("decode", "queue", "forward", "draw", "record"):
        assert f'slicewise_stage_seconds_count{{stage="{stage}"}} 1.0' in text
    assert f'label="{label}"' in text
    assert "slicewise_batch_slices_count 1.0" in text
