"""Commits come first, and the chore comes none the less."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from builders_service import until
from slicewise.audit_log import store
from slicewise.audit_log.store import GroupWriter


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FIRST_CHORE_S", 0.05)
    monkeypatch.setattr(store, "CHORE_S", 0.2)


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def made(done: list[str]) -> Iterator[GroupWriter]:
    opened = GroupWriter(lambda rows: done.append("rows"), lambda: bool(done.append("chore")))
    yield opened
    opened.close()


def test_the_chore_comes_under_traffic_too(made: GroupWriter, done: list[str]):
    began = time.monotonic()
    while done.count("chore") < 3:  # never idle for as long as lies between two chores
        made.submit([{}]).result(5)
        time.sleep(0.002)
        assert time.monotonic() - began < 30
    assert done.count("chore") <= (time.monotonic() - began) / store.CHORE_S + 1
    assert done.count("rows") > 20


def test_the_chore_comes_without_traffic(made: GroupWriter, done: list[str]):
    began = time.monotonic()
    until(lambda: len(done) >= 3)
    assert set(done) == {"chore"}
    assert len(done) <= (time.monotonic() - began) / store.CHORE_S + 2


def test_commits_go_between_the_parts_of_a_chore():
    turns: list[str] = []
    running, go_on = threading.Event(), threading.Event()

    def chore() -> bool:
        turns.append("chore")
        running.set()
        go_on.wait(5)
        return turns.count("chore") < 4

    busy = GroupWriter(lambda rows: turns.append("rows"), chore)
    running.wait(5)
    waiting = busy.submit([{}])
    go_on.set()
    waiting.result(5)
    until(lambda: len(turns) >= 5)
    busy.close()
    assert turns[:5] == ["chore", "rows", "chore", "chore", "chore"]


def test_closing_waits_for_no_long_chore():
    calls: list[float] = []

    def chore() -> bool:
        calls.append(time.monotonic())
        time.sleep(0.05)
        return True

    endless = GroupWriter(lambda rows: None, chore)
    until(lambda: calls)
    endless.close()
    assert not endless.alive


def test_a_chore_that_fails_comes_again():
    calls: list[int] = []

    def chore() -> bool:
        calls.append(1)
        raise RuntimeError

    failing = GroupWriter(lambda rows: None, chore)
    until(lambda: len(calls) >= 2)
    failing.submit([{}]).result(5)
    failing.close()
