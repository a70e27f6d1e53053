"""API keys: only hashes are stored, and what is revoked is refused."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postgres import on_both, postgres, postgres_url
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.keys import Key, KeyStore, Role
from slicewise.errors import AuditError, ConfigError

__all__ = ["postgres", "postgres_url"]


@pytest.fixture
def kind() -> str:
    """SQLite, but for tests marked with `on_both`."""
    return "sqlite"


@pytest.fixture
def settings(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AuditSettings:
    if kind == "sqlite":
        return AuditSettings(database_url=f"sqlite:///{tmp_path / 'keys.db'}")
    return AuditSettings(database_url=request.getfixturevalue("postgres_url"))


@pytest.fixture
def keys(settings: AuditSettings) -> Iterator[KeyStore]:
    store = KeyStore.open(settings)
    yield store
    store.close()


@on_both
def test_a_secret_finds_its_key(keys: KeyStore):
    reader, admin = keys.create("reader", Role.PREDICT), keys.create("admin-1", Role.ADMIN)
    assert (keys.find(reader).name, keys.find(reader).role) == ("reader", Role.PREDICT)
    assert keys.find(admin).role is Role.ADMIN
    assert [key.name for key in keys.list()] == ["admin-1", "reader"]
    assert abs((keys.list()[0].created - datetime.now(UTC)).total_seconds()) < 60


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: secret[:-1],
        lambda secret: secret + "x",
        lambda secret: secret + "\n",
        lambda secret: secret[:-1] + ("a" if secret[-1] != "a" else "b"),
        lambda secret: secret.replace("sw_", "sw-"),
        lambda secret: "sw_" + "0" * 12 + secret[15:],
        lambda secret: secret.upper(),
        lambda secret: "é" * 59,
        lambda secret: "\ud800",
        lambda secret: "a\0b",
    ],
)
def test_anything_else_finds_none(keys: KeyStore, change):
    secret = keys.create("reader", Role.PREDICT)
    assert keys.find(change(secret)) is None
    assert keys.find(secret) is not None


def test_one_keys_secret_does_not_open_another(keys: KeyStore):
    first, second = keys.create("a", Role.PREDICT), keys.create("b", Role.ADMIN)
    assert keys.find(second[:16] + first[16:]) is None


@on_both
def test_a_revoked_key_is_refused_and_stays_listed(keys: KeyStore):
    secret = keys.create("reader", Role.REVIEW)
    keys.revoke("reader")
    assert keys.find(secret) is None
    assert keys.list()[0].revoked is not None
    with pytest.raises(ConfigError, match="a key in force; got 'reader'"):
        keys.revoke("reader")
    with pytest.raises(ConfigError, match="a name that no key ever had"):
        keys.create("reader", Role.PREDICT)


def test_another_process_hears_of_it_within_a_second(keys: KeyStore, settings, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("slicewise.audit_log.keys.time.monotonic", lambda: clock[0])
    secret = keys.create("reader", Role.PREDICT)
    other = KeyStore.open(settings)
    assert other.find(secret) is not None
    keys.revoke("reader")
    assert keys.find(secret) is None
    clock[0] += 1.01
    assert other.find(secret) is None
    other.close()


def test_only_a_hash_is_stored(keys: KeyStore, tmp_path: Path):
    secret = keys.create("reader", Role.PREDICT)
    keys.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret[16:].encode() not in stored
    assert secret.encode() not in stored


def test_secrets_are_long_and_differ(keys: KeyStore):
    made = {keys.create(f"k{n}", Role.PREDICT) for n in range(20)}
    assert len(made) == 20
    assert {len(secret) for secret in made} == {59}


def test_known_and_unknown_keys_are_compared_alike(keys: KeyStore, monkeypatch):
    compare, compared = hmac.compare_digest, []

    def watched(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    secret = keys.create("reader", Role.PREDICT)
    monkeypatch.setattr("slicewise.audit_log.keys.hmac.compare_digest", watched)
    for asked in (secret, secret[:-1] + "!", "sw_" + "0" * 12 + secret[15:], "nothing like it"):
        keys.find(asked)
    assert compared == [(64, 64)] * 4


def test_when_the_database_fails_nobody_is_let_in(keys: KeyStore):
    secret = keys.create("reader", Role.PREDICT)
    with keys._database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO gone")
    with pytest.raises(AuditError):
        keys.find(secret)


@pytest.mark.parametrize("name", ["", "a b", "-a", "ä", "a" * 65, "open", "a\n", "../x"])
def test_names_that_do_not_do(keys: KeyStore, name: str):
    with pytest.raises(ConfigError, match="expected a name"):
        keys.create(name, Role.PREDICT)
    assert keys.list() == ()


def test_roles_include_those_before():
    allowed = [[role.allows(needed) for needed in Role] for role in Role]
    assert allowed == [[True, False, False], [True, True, False], [True, True, True]]


def test_nothing_is_made_where_nothing_is_to_be(tmp_path: Path):
    settings = AuditSettings(database_url=f"sqlite:///{tmp_path / 'keys.db'}")
    with pytest.raises(AuditError, match="there is none"):
        KeyStore.open(settings, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_key_shows_no_secret(keys: KeyStore):
    secret = keys.create("reader", Role.PREDICT)
    key = keys.find(secret)
    assert isinstance(key, Key)
    assert secret[16:] not in repr(key)
    assert secret[4:16] not in repr(key)
