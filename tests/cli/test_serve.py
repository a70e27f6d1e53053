from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from slicewise.cli.main import app
from slicewise.service import server
from slicewise.service.settings import Settings


@pytest.fixture
def served(monkeypatch) -> list[Settings]:
    kept: list[Settings] = []
    monkeypatch.setattr(server, "serve", kept.append)
    return kept


def test_options_come_before_the_environment(served, monkeypatch):
    monkeypatch.setenv("SLICEWISE_PORT", "9000")
    monkeypatch.setenv("SLICEWISE_QUEUE_SIZE", "7")
    given = ["--port", "9001", "--workers", "2", "--challenger", "b", "--challenger-share", "0.1"]
    assert CliRunner().invoke(app, ["serve", *given]).exit_code == 0
    (settings,) = served
    assert (settings.port, settings.queue_size, settings.workers) == (9001, 7, 2)
    assert (settings.challenger, settings.challenger_share) == (Path("b"), 0.1)


def test_without_options_it_listens_on_loopback(served):
    assert CliRunner().invoke(app, ["serve"]).exit_code == 0
    assert not served[0].reload
    assert (served[0].host, served[0].port, served[0].workers) == ("127.0.0.1", 8000, 1)


def test_it_may_be_restarted_when_its_code_changes(served):
    assert CliRunner().invoke(app, ["serve", "--reload"]).exit_code == 0
    assert served[0].reload


@pytest.mark.parametrize("given", [["--port", "99999"], ["--workers", "0"], ["--other"]])
def test_wrong_use_is_two(served, given):
    assert CliRunner().invoke(app, ["serve", *given]).exit_code == 2
    assert not served
