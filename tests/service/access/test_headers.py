"""When the service refuses to start, what it turns away, and which headers it sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

from slicewise.audit_log.keys import KeyStore, Role
from slicewise.errors import ConfigError
from slicewise.service.access.headers import (
    HEADERS,
    Guard,
    SecurityHeaders,
    is_exposed,
    is_loopback,
    require_safe,
)
from slicewise.service.http import problems
from slicewise.service.monitoring.logs import RequestLog
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.settings import Settings

TLS = {"tls_certificate": "c.pem", "tls_key": "k.pem"}
WORLD = "0.0.0.0"  # noqa: S104 (nothing listens there)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database stands that settings name by default."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def keys(here: None) -> Iterator[KeyStore]:
    store = KeyStore.open(Settings().audit_log)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        (WORLD, False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_proxy_on_the_same_machine_exposes_loopback() -> None:
    assert not is_exposed(Settings())
    assert is_exposed(Settings(trusted_proxy="127.0.0.1"))


def test_on_loopback_nothing_is_needed() -> None:
    require_safe(Settings())


@pytest.mark.parametrize("empty", [True, False])
def test_without_a_database_there_is_no_key_and_none_is_made(tmp_path: Path, empty: bool) -> None:
    if empty:
        (tmp_path / "slicewise.db").touch()
    with pytest.raises(ConfigError, match="keys create"):
        require_safe(Settings(host=WORLD, **TLS))
    assert [path.name for path in tmp_path.iterdir()] == ["slicewise.db"] * empty


@pytest.mark.parametrize(
    ("changed", "with_key", "named"),
    [
        ({"host": WORLD}, False, ["keys create", "TRUSTED_PROXY"]),
        ({"host": WORLD}, True, ["TRUSTED_PROXY"]),
        ({"host": WORLD, **TLS}, False, ["keys create"]),
        ({"host": WORLD, "trusted_proxy": "10.0.0.1"}, False, ["keys create"]),
        ({"trusted_proxy": "127.0.0.1"}, False, ["keys create"]),
        ({"tls_certificate": "c.pem"}, True, ["TLS_KEY"]),
        ({"tls_key": "k.pem"}, True, ["TLS_CERTIFICATE"]),
        ({"host": WORLD, "trusted_proxy": "proxy.example.org"}, True, ["IP address"]),
        ({"host": WORLD, "trusted_proxy": "10.0.0.1/8"}, True, ["10.0.0.0/8"]),
    ],
)
def test_it_refuses_to_start_and_says_why(
    keys: KeyStore, changed: dict[str, Any], with_key: bool, named: list[str]
) -> None:
    if with_key:
        keys.create("one", Role.PREDICT)
    with pytest.raises(ConfigError) as refused:
        require_safe(Settings(**changed))
    assert all(name in str(refused.value) for name in named)
    if with_key:
        assert "keys create" not in str(refused.value)


@pytest.mark.parametrize(
    "changed",
    [{"host": WORLD, **TLS}, {"host": WORLD, "trusted_proxy": "10.0.0.0/8"}],
)
def test_with_a_key_and_encryption_it_starts(keys: KeyStore, changed: dict[str, Any]) -> None:
    keys.create("one", Role.PREDICT)
    require_safe(Settings(**changed))


def test_a_revoked_key_is_none(keys: KeyStore) -> None:
    keys.create("one", Role.PREDICT)
    keys.revoke("one")
    with pytest.raises(ConfigError, match="keys create"):
        require_safe(Settings(host=WORLD, **TLS))


def client(address: str = "http://127.0.0.1:8000", **changed: Any) -> TestClient:
    app = FastAPI()

    @app.api_route("/thing", methods=["GET", "POST"])
    async def thing() -> dict[str, str]:
        return {}

    @app.get("/own")
    async def own(response: Response) -> dict[str, str]:
        response.headers["Content-Security-Policy"] = "default-src 'none'"
        return {}

    @app.get("/api/random-test")
    async def recording() -> dict[str, str]:
        return {}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    settings = Settings(**changed)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(
        RequestLog,
        metrics=Metrics(),
        on_failure=problems.failure_response,
        on_end=problems.ending_response,
    )
    app.add_middleware(SecurityHeaders, settings=settings)
    return TestClient(app, base_url=address, raise_server_exceptions=False)


@pytest.mark.parametrize(("path", "status"), [("/thing", 200), ("/nothing", 404), ("/broken", 500)])
def test_every_response_has_the_headers(path: str, status: int) -> None:
    answer = client().get(path)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "X-Request-ID" in answer.headers
    assert "Strict-Transport-Security" not in answer.headers


def test_a_route_may_bring_its_own_policy() -> None:
    assert client().get("/own").headers["Content-Security-Policy"] == "default-src 'none'"


def test_over_tls_browsers_are_told_to_stay() -> None:
    assert "max-age" in client(**TLS).get("/thing").headers["Strict-Transport-Security"]


@pytest.mark.parametrize("host", ["evil.example.org", "127.0.0.1.evil.example.org", "[::1", ""])
def test_another_name_for_this_machine_is_refused_on_loopback(host: str) -> None:
    answer = client().get("/thing", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "evil" not in answer.text


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_fine(host: str) -> None:
    assert client().get("/thing", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        ("cross-site", None, 403),
        ("cross-site", "https://lab.example.org", 200),
        ("same-origin", None, 200),
        (None, None, 200),
    ],
)
def test_a_page_elsewhere_makes_no_record_by_a_picture(site, origin, status) -> None:
    headers = {"Sec-Fetch-Site": site, "Origin": origin}
    given = {name: value for name, value in headers.items() if value}
    service = client(cors_origins=("https://lab.example.org",))
    assert service.get("/api/random-test", headers=given).status_code == status
    assert service.get("/thing", headers=given).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:8000", 200),
        ("https://lab.example.org", 200),
        ("https://evil.example.org", 403),
        ("null", 403),
        ("http://127.0.0.1:9999", 403),
        ("http://[", 403),
    ],
)
def test_only_pages_of_this_site_and_allowed_ones_may_post(origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"Origin": origin}
    service = client(cors_origins=("https://lab.example.org",))
    assert service.post("/thing", headers=headers).status_code == status
    assert service.get("/thing", headers=headers).status_code == 200


def test_behind_a_proxy_plain_http_is_for_probes_only() -> None:
    plain = client("http://10.0.0.9", trusted_proxy="10.0.0.1", host=WORLD)
    assert plain.get("/thing").status_code == 403
    assert plain.get("/healthz").status_code == 200
    through = client("https://scans.example.org", trusted_proxy="10.0.0.1", host=WORLD)
    assert through.get("/thing").status_code == 200
    assert "max-age" in through.get("/thing").headers["Strict-Transport-Security"]


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"])
def test_a_proxy_that_was_not_declared_is_refused_on_loopback(name: str) -> None:
    answer = client().get("/thing", headers={name: "10.1.2.3"})
    assert answer.status_code == 403
    assert "SLICEWISE_TRUSTED_PROXY" in answer.text
    declared = client("https://127.0.0.1:8000", trusted_proxy="127.0.0.1")
    assert declared.get("/thing", headers={name: "10.1.2.3"}).status_code == 200


def test_browsers_name_their_origin_with_the_form_of_this_site() -> None:
    # With `no-referrer` they send `Origin: null`, which the guard has to refuse (Fetch standard,
    # "append a request `Origin` header").
    assert HEADERS["Referrer-Policy"] == "same-origin"
