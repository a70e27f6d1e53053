from __future__ import annotations

import subprocess
import sys
import threading
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from builders_service import files, png, problem, running, service_settings
from slicewise.service.http.dependencies import UploadRequest


def test_importing_the_service_loads_nothing_heavy():
    code = (
        "import sys; import slicewise.service.app;"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "matplotlib", "sklearn", "lightning", "timm", "pandas", "pyarrow"}
    assert not set(done.stdout.split()) & heavy


def test_unknown_routes_and_methods_are_problems(client):
    problem(client.get("/v2/predict"), 404)
    wrong = client.get("/v1/predict")
    problem(wrong, 405)
    assert wrong.headers["allow"] == "POST"


def test_broken_json_is_a_problem(client):
    kind = {"Content-Type": "application/json"}
    for body in (b"{", b"\xff\xfe", b"[]", b'{"manifest": 1}'):
        response = client.post("/v1/evaluate", content=body, headers=kind)
        assert problem(response, response.status_code)["status"] in {400, 422}


def test_what_fails_unexpectedly_says_only_its_id(tmp_path, monkeypatch):
    async def fails(*given, **named):
        raise RuntimeError("/secret/place")

    monkeypatch.setattr(UploadRequest, "results", fails)
    with running(service_settings(tmp_path)) as client, capture_logs() as logged:
        response = client.post("/v1/predict", files=files(png(0)))
    said = problem(response, 500)
    assert "secret" not in response.text
    assert UUID(said["instance"].removeprefix("urn:uuid:")).hex == response.headers["x-request-id"]
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["failure"]


def test_other_sites_may_call_only_where_allowed(tmp_path):
    site = {"Origin": "https://viewer.example"}
    asks = {**site, "Access-Control-Request-Method": "POST"}
    with running(service_settings(tmp_path)) as client:
        assert "access-control-allow-origin" not in client.get("/healthz", headers=site).headers
    allowed = service_settings(tmp_path, cors_origins=("https://viewer.example",))
    with running(allowed) as client:
        checked = client.options("/v1/predict", headers=asks)
        assert checked.headers["access-control-allow-origin"] == "https://viewer.example"
        said = client.post("/v1/predict", files=files(png(0)), headers=site)
        assert said.headers["access-control-allow-origin"] == "https://viewer.example"


def test_a_page_of_another_site_or_under_another_name_is_turned_away(client):
    problem(client.post("/v1/predict", files=files(png(0)), headers={"Host": "evil.example"}), 403)
    foreign = {"Origin": "https://evil.example"}
    problem(client.post("/v1/predict", files=files(png(0)), headers=foreign), 403)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/", "/openapi.json"])
def test_what_a_browser_is_shown_is_logged_and_counted_by_its_route(client, path):
    with capture_logs() as logged:
        assert client.get(path).status_code == 200
    assert [one["route"] for one in logged if one["event"] == "request"] == [path]
    assert (
        f'slicewise_responses_total{{route="{path}",status="200"}}' in client.get("/metrics").text
    )


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/", "/openapi.json", "/healthz"])
def test_every_answer_has_an_id_and_safe_headers(client, path):
    headers = client.get(path).headers
    assert len(headers["x-request-id"]) == 32
    assert headers["x-content-type-options"] == "nosniff"


def test_a_page_that_is_kept_does_not_keep_headers_of_an_answer(client):
    waits = {"Expect": "100-continue"}  # with a body that is never asked for
    assert client.get("/docs", headers=waits).headers["connection"] == "close"
    assert "connection" not in client.get("/docs").headers


def test_requests_start_no_threads_of_their_own(client):
    client.post("/v1/predict", files=files(png(0)))
    client.get("/v1/models")
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("AnyIO worker")]
