"""A steady rate with room for one minute's worth at once."""

from __future__ import annotations

import pytest

from slicewise.service.access import rate_limit
from slicewise.service.access.rate_limit import RateLimiter


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
    monkeypatch.setattr(rate_limit, "MOST_NAMES", 3)
    clock = Clock()
    limiter = RateLimiter(60, clock)
    for name in "abc":
        limiter.wait(name)
    clock.now += 2
    limiter.wait("d")
    assert set(limiter._empty_at) == {"d"}
