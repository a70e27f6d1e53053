"""Below a path of a proxy, whether it takes the path off or leaves it on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from builders_service import files, png, problem, running, service_settings
from processes import serving
from proxies import PREFIX, proxy
from slicewise.audit_log.keys import KeyStore, Role

THROUGH = {"X__Forwarded__Proto": "https", "X__Forwarded__For": "203.0.113.7"}


class Behind(NamedTuple):
    """A service behind a declared proxy."""

    address: str
    log: Path
    key: dict[str, str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("prefix")
    with closing(KeyStore.open(service_settings(folder).audit_log)) as keys:
        secret = keys.create("one", Role.REVIEW)
    named = {"SLICEWISE_ROOT_PATH": f"{PREFIX}/", "SLICEWISE_TRUSTED_PROXY": "127.0.0.1"}
    with serving(folder, **named) as (_, address):
        yield Behind(address, folder / "log", {"X-API-Key": secret})


@pytest.fixture(params=[True, False], ids=["strips", "keeps"])
def client(request: pytest.FixtureRequest, service: Behind) -> Iterator[httpx.Client]:
    with (
        proxy(service.address, strips=request.param, **THROUGH) as address,
        httpx.Client(base_url=address, timeout=30) as asks,
    ):
        yield asks


@pytest.mark.parametrize("page", ["", "/", "/docs", "/redoc", "/docs/"])
def test_whatever_a_page_names_is_there(client, page):
    shown = client.get(f"{PREFIX}{page}")
    if shown.is_redirect:  # to HTTPS, which the proxy says that it speaks
        shown = client.get(urlsplit(shown.headers["location"]).path)
    assert shown.status_code == 200
    at = str(shown.url)
    if base := re.search(r"<base href=\"([^\"]+)\"", shown.text):
        at = urljoin(at, base[1])
        assert "base-uri 'self'" in shown.headers["content-security-policy"]
    named = re.findall(r"(?:src|href|spec-url)=\"([^\"]+)\"|url: '([^']+)'", shown.text)
    for one in {one or other for one, other in named} - {"data:,"}:
        address = urljoin(at, one)
        assert urlsplit(address).path.startswith(f"{PREFIX}/")
        assert client.get(address).status_code == 200, address


def test_a_page_without_its_last_slash_is_sent_there(service):
    with proxy(service.address, strips=False, **THROUGH) as address:
        answer = httpx.get(f"{address}{PREFIX}")
    assert answer.status_code == 307
    assert urlsplit(answer.headers["location"]).path == f"{PREFIX}/"


def test_routes_answer_and_say_where_they_are(client, service):
    said = client.get(f"{PREFIX}/openapi.json").json()
    assert said["servers"] == [{"url": PREFIX}]
    assert "/v1/predict" in said["paths"]
    origin = {"Origin": str(client.base_url).rstrip("/")}
    post = f"{PREFIX}/v1/predict"
    assert client.post(post, files=files(png(0)), headers=service.key | origin).status_code == 200
    foreign = {"Origin": "https://evil.example"}
    problem(client.post(post, files=files(png(0)), headers=service.key | foreign), 403)
    about = client.get(f"{PREFIX}/", headers={"Accept": "application/json"}).json()
    assert client.get(about["docs"]).status_code == 200
    wrong = problem(client.get(f"{PREFIX}/v1/predcit"), 404)
    assert wrong["detail"].endswith("got '/v1/predcit' (nearest: /v1/predict)")
    problem(client.get(f"{PREFIX}/v1/predict"), 405)


def test_log_and_metrics_name_routes_without_it(client, service):
    client.get(f"{PREFIX}/v1/models", headers=service.key)
    text = client.get(f"{PREFIX}/metrics", headers=service.key).text
    assert 'slicewise_responses_total{route="/v1/models",status="200"}' in text
    assert PREFIX not in text
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    routes = {line["route"] for line in lines if line["event"] == "request"}
    assert "/v1/models" in routes
    assert not any(route.startswith(PREFIX) for route in routes)


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_past_the_proxy_only_probes_answer(service, prefix):
    assert httpx.get(f"{service.address}{prefix}/healthz").status_code == 200
    problem(httpx.get(f"{service.address}{prefix}/v1/models", headers=service.key), 403)


def test_wrong_keys_are_counted_by_who_sends_them(client, service):
    wrong = {"X-API-Key": "sw_wrong"}
    other = {**THROUGH, "X__Forwarded__For": f"2001:db8::{client.base_url.port:x}"}
    with proxy(service.address, strips=True, **other) as at, httpx.Client(base_url=at) as many:
        statuses = {many.get(f"{PREFIX}/v1/models", headers=wrong).status_code for _ in range(90)}
    assert statuses == {401, 429}
    assert client.get(f"{PREFIX}/v1/models", headers=service.key).status_code == 200


@pytest.mark.parametrize("path", [f"{PREFIX}x/healthz", f"{PREFIX}healthz"])
def test_what_only_begins_like_it_is_another_path(tmp_path, path):
    with running(service_settings(tmp_path, root_path=PREFIX)) as client:
        problem(client.get(path), 404)
        assert client.get(f"{PREFIX}/healthz").status_code == 200


def test_without_one_nothing_is_said_of_it(tmp_path):
    with running(service_settings(tmp_path)) as client:
        assert "servers" not in client.get("/openapi.json").json()
        assert "<base" not in client.get("/").text
        problem(client.get(f"{PREFIX}/healthz"), 404)
