"""Keys and roles as a request meets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from slicewise.audit_log.keys import KeyStore, Role
from slicewise.service.access import auth
from slicewise.service.access.auth import (
    FAILURES_A_MINUTE,
    Access,
    Caller,
    RateLimiter,
    caller_dependency,
)
from slicewise.service.http import problems
from slicewise.service.monitoring.logs import RequestLog
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.settings import Settings


def answer_for(role: Role) -> Callable[..., dict[str, str]]:
    def answer(caller: Caller = Depends(caller_dependency(role))) -> dict[str, str]:  # noqa: B008
        return {"name": caller.name, "role": caller.role}

    return answer


class Service:
    """A small application with one route a role."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.settings = Settings(database_url=f"sqlite:///{folder / 'audit.db'}", **changed)
        self.keys = KeyStore.open(self.settings.audit_log)
        app = FastAPI()
        app.state.access = Access(self.settings, self.keys)
        for role in Role:
            app.get(f"/{role}")(answer_for(role))

        problems.install(app)
        app.add_middleware(
            RequestLog,
            metrics=Metrics(),
            on_failure=problems.failure_response,
            on_end=problems.ending_response,
        )
        self.client = TestClient(app, base_url="http://127.0.0.1:8000")

    def get(self, role: str, key: str | None = None) -> Any:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return self.client.get(f"/{role}", headers=headers)


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    made: list[Service] = []

    def make(**changed: Any) -> Service:
        made.append(Service(tmp_path, **changed))
        return made[-1]

    yield make
    for service in made:
        service.keys.close()


def test_on_loopback_anybody_may_do_all(opened: Any) -> None:
    answer = opened().get("admin")
    assert answer.status_code == 200
    assert answer.json() == {"name": "open", "role": "admin"}


def test_the_first_key_closes_an_open_service_and_revoking_it_does_not_open_it(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "OPEN_SECONDS", 0.0)
    service = opened()
    assert service.get("predict").status_code == 200
    secret = service.keys.create("ward", Role.PREDICT)
    refused = service.get("predict")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.headers["content-type"] == "application/problem+json"
    assert service.get("predict", secret).status_code == 200
    service.keys.revoke("ward")
    assert service.get("predict").status_code == 401


def test_beyond_loopback_nobody_comes_in_without_a_key(opened: Any) -> None:
    assert opened(host="0.0.0.0").get("predict").status_code == 401  # noqa: S104
    assert opened(trusted_proxy="127.0.0.1").get("predict").status_code == 401


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.PREDICT, {"predict"}),
        (Role.REVIEW, {"predict", "review"}),
        (Role.ADMIN, {"predict", "review", "admin"}),
    ],
)
def test_a_role_may_do_what_those_below_it_may(opened: Any, role: Role, allowed: set[str]) -> None:
    service = opened()
    secret = service.keys.create("one", role)
    statuses = {name: service.get(name, secret).status_code for name in Role}
    assert statuses == {name: 200 if name in allowed else 403 for name in Role}


def test_both_headers_work_and_no_answer_repeats_the_secret(opened: Any) -> None:
    service = opened()
    secret = service.keys.create("one", Role.PREDICT)
    by_header = service.client.get("/predict", headers={"X-API-Key": secret})
    assert by_header.json()["name"] == "one"
    wrong = service.client.get("/predict", headers={"X-API-Key": "sw_wrong-secret"})
    assert wrong.status_code == 401
    assert "wrong-secret" not in wrong.text


def test_one_key_is_limited_and_the_other_goes_on(opened: Any) -> None:
    service = opened(rate_limit=3)
    first = service.keys.create("first", Role.PREDICT)
    second = service.keys.create("second", Role.PREDICT)
    assert [service.get("predict", first).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert service.get("predict", second).status_code == 200
    assert 0 < int(service.get("predict", first).headers["Retry-After"]) <= 20


def test_guessing_keys_ends_soon(opened: Any) -> None:
    service = opened()
    service.keys.create("one", Role.PREDICT)
    statuses = [
        service.get("predict", f"guess-{i}").status_code for i in range(FAILURES_A_MINUTE + 2)
    ]
    assert statuses[:FAILURES_A_MINUTE] == [401] * FAILURES_A_MINUTE
    assert set(statuses[FAILURES_A_MINUTE:]) == {429}


def test_the_openapi_description_names_both_ways(opened: Any) -> None:
    schemes = opened().client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_one_minutes_worth_at_once_then_one_each_interval() -> None:
    clock = Clock()
    limiter = RateLimiter(60, clock)
    assert [limiter.wait("a") for _ in range(60)] == [0.0] * 60
    assert limiter.wait("a") == pytest.approx(1.0)
    clock.now += 0.4
    assert limiter.wait("a") == pytest.approx(0.6)
    clock.now += 0.6
    assert limiter.wait("a") == 0.0
    assert limiter.wait("a") == pytest.approx(1.0)


def test_over_ten_minutes_the_rate_holds() -> None:
    clock = Clock()
    limiter = RateLimiter(30, clock)
    admitted = 0
    for _ in range(600):
        admitted += limiter.wait("a") == 0.0
        clock.now += 1
    assert admitted == pytest.approx(30 + 30 * 600 / 60, abs=1)


def test_names_do_not_share_a_bucket() -> None:
    limiter = RateLimiter(1, Clock())
    assert limiter.wait("a") == 0.0
    assert limiter.wait("b") == 0.0
    assert limiter.wait("a") > 0


def test_zero_is_no_limit() -> None:
    limiter = RateLimiter(0, Clock())
    assert not any(limiter.wait("a") for _ in range(10_000))


def test_names_that_wait_for_nothing_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MOST_NAMES", 3)
    clock = Clock()
    limiter = RateLimiter(60, clock)
    for name in "abc":
        limiter.wait(name)
    clock.now += 2
    limiter.wait("d")
    assert set(limiter._empty_at) == {"d"}
