"""`slicewise keys`: a secret is shown once, and never listed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slicewise.audit_log.keys import KeyStore, Role
from slicewise.cli.main import app, main
from slicewise.service.settings import Settings


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    made = f"sqlite:///{tmp_path / 'service.db'}"
    monkeypatch.setenv("SLICEWISE_DATABASE_URL", made)
    return made


def run(*arguments: str):
    return CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False)


def test_create_prints_a_secret_that_works(url: str):
    result = run("create", "reader", "--role", "review")
    assert result.exit_code == 0
    assert "Key reader (review)" in result.stderr
    store = KeyStore.open(Settings().audit_log)
    key = store.find(result.stdout.strip())
    store.close()
    assert (key.name, key.role) == ("reader", Role.REVIEW)


def test_list_and_revoke():
    secret = run("create", "reader").stdout.strip()
    run("create", "boss", "--role", "admin")
    run("revoke", "reader")
    result = run("list")
    assert secret[16:] not in result.stdout
    first, second = result.stdout.splitlines()
    assert first.startswith("boss  admin  created ")
    assert first.endswith("in force")
    assert second.startswith("reader  predict  created ")
    assert "revoked 20" in second
    keys = json.loads(run("list", "--json").stdout)["keys"]
    assert [set(key) for key in keys] == [{"name", "role", "created", "revoked"}] * 2
    assert [key["revoked"] is None for key in keys] == [True, False]


def test_another_database(tmp_path: Path):
    other = f"sqlite:///{tmp_path / 'other.db'}"
    run("create", "reader", "--database", other)
    assert run("list", "--database", other).stdout.startswith("reader")
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["create", "a b"], 2, "expected a name of 1 to 64"),
        (["list"], 1, "expected an audit database; there is none"),
        (["revoke", "reader"], 1, "expected an audit database; there is none"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_fails_is_one_line(monkeypatch, capsys, arguments, code, message):
    monkeypatch.setattr(sys, "argv", ["slicewise", "keys", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["create"], ["create", "x", "--role", "king"], ["revoke"]], ids=" ".join
)
def test_wrong_use(arguments):
    assert CliRunner().invoke(app, ["keys", *arguments]).exit_code == 2
