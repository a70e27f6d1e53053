"""Every setting can be set through the environment, and a misspelt one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from slicewise.audit_log.chain import AuditSettings
from slicewise.errors import ConfigError
from slicewise.service.settings import Settings, read_settings

GIVEN = {
    "host": ("::1", "::1"),
    "port": ("81", 81),
    "workers": ("2", 2),
    "bundle": ("b.zip", Path("b.zip")),
    "threads": ("3", 3),
    "challenger": ("c.zip", Path("c.zip")),
    "challenger_share": ("0.25", 0.25),
    "batch_size": ("4", 4),
    "batch_patience_ms": ("1.5", 1.5),
    "queue_size": ("9", 9),
    "max_upload_bytes": ("2048", 2048),
    "page_max_bytes": ("2097152", 2097152),
    "max_files": ("7", 7),
    "body_timeout_s": ("5", 5.0),
    "request_timeout_s": ("6", 6.0),
    "drain_s": ("0", 0.0),
    "database_url": ("sqlite:///x.db", "sqlite:///x.db"),
    "retention_days": ("30", 30),
    "data_roots": ("/: /usr", (Path("/"), Path("/usr"))),
    "cors_origins": (
        "https://a.example, https://b.example",
        ("https://a.example", "https://b.example"),
    ),
    "rate_limit": ("1", 1),
    "tls_certificate": ("c.pem", Path("c.pem")),
    "tls_key": ("k.pem", Path("k.pem")),
    "trusted_proxy": ("10.0.0.1", "10.0.0.1"),
    "root_path": ("/slicewise/", "/slicewise"),
    "reload": ("0", False),
    "log_level": ("debug", "debug"),
}


def test_every_setting_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("SLICEWISE_AUDIT_KEY", "k" * 40)
    for name, (text, _) in GIVEN.items():
        monkeypatch.setenv(f"SLICEWISE_{name.upper()}", text)
    found = read_settings()
    assert {name: getattr(found, name) for name in GIVEN} == {n: v for n, (_, v) in GIVEN.items()}
    assert found.audit_key is not None
    assert found.audit_key.get_secret_value() == "k" * 40
    assert set(GIVEN) | {"audit_key"} == set(Settings.model_fields)


def test_any_origin_is_none(monkeypatch):
    monkeypatch.setenv("SLICEWISE_CORS_ORIGINS", "https://a.example, *")
    with pytest.raises(ConfigError, match="SLICEWISE_CORS_ORIGINS: expected origins"):
        read_settings()


@pytest.mark.parametrize("name", ["data_roots", "cors_origins"])
def test_an_empty_list_is_none(monkeypatch, name):
    monkeypatch.setenv(f"SLICEWISE_{name.upper()}", "")
    assert getattr(read_settings(), name) == ()


@pytest.mark.parametrize(
    ("misspelt", "known"),
    [
        ("DATA_ROOT", "DATA_ROOTS"),
        ("BATCHSIZE", "BATCH_SIZE"),
        ("audit_keys", "AUDIT_KEY"),
        ("TLS_CERT", "TLS_CERTIFICATE"),
        ("PROT", "PORT"),
    ],
)
def test_a_misspelt_variable_is_told(monkeypatch, misspelt, known):
    monkeypatch.setenv(f"SLICEWISE_{misspelt}", "secret")
    with pytest.raises(ConfigError, match=f"SLICEWISE_{misspelt}.*SLICEWISE_{known}") as told:
        read_settings()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("foo", "foo"),
        ("", ""),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("mysql://me:hunter2@host/name", "mysql:***@host/name"),
        ("me:hunter:2@host", "me:***@host"),
        ("postgresql:/me:hunter@2@host/name", "postgresql:***@host/name"),
        ("postgresql://me:hunter2@host:abc/name", "postgresql:***@host:abc/name"),
        ("host=here password=hunter2 dbname=name", "host=here password=*** dbname=name"),
    ],
)
def test_another_address_of_a_database_is_told_without_its_password(given, got):
    with pytest.raises(ConfigError) as told:
        read_settings(database_url=given)
    assert str(told.value) == (
        "SLICEWISE_DATABASE_URL or --database: expected sqlite:///FILE or "
        f"postgresql://USER@HOST/NAME, such as sqlite:///slicewise.db; got {got}"
    )


@pytest.mark.parametrize("url", ["sqlite:///a/b.db", "postgresql://u:p@h/n", "postgres://h/n"])
def test_an_address_of_a_database_is_taken_as_it_is(url):
    assert read_settings(database_url=url).database_url == url


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("PORT", "abc", "SLICEWISE_PORT: expected a whole number; got 'abc'"),
        ("WORKERS", "0", "SLICEWISE_WORKERS: expected at least 1; got '0'"),
        ("DRAIN_S", "soon", "SLICEWISE_DRAIN_S: expected a number; got 'soon'"),
        (
            "LOG_LEVEL",
            "loud",
            "SLICEWISE_LOG_LEVEL: expected one of 'debug', 'info', 'warning' or 'error'; "
            "got 'loud'",
        ),
    ],
)
def test_another_value_of_a_variable_is_told(monkeypatch, name, given, told):
    monkeypatch.setenv(f"SLICEWISE_{name}", given)
    with pytest.raises(ConfigError) as found:
        read_settings()
    assert str(found.value) == told


@pytest.mark.parametrize("origin", ["*", "viewer", "https://a.example/", "ftp://a.example"])
def test_an_origin_that_no_browser_sends_is_told(monkeypatch, origin):
    monkeypatch.setenv("SLICEWISE_CORS_ORIGINS", f"https://b.example,{origin}")
    with pytest.raises(ConfigError, match="CORS_ORIGINS: expected origins such as"):
        read_settings()


@pytest.mark.parametrize("other", ["SLICEWISE_DATA", "SLICEWISE_HOMEPAGE", "ZSLICEWISE_PORTS"])
def test_other_variables_are_not_ours(monkeypatch, other):
    monkeypatch.setenv(other, "x")
    read_settings()


def test_a_share_needs_a_challenger(monkeypatch):
    with pytest.raises(ConfigError, match=r"^SLICEWISE_CHALLENGER_SHARE: expected SLICEWISE_CHALL"):
        read_settings(challenger_share=0.5)
    monkeypatch.setenv("SLICEWISE_CHALLENGER", "c.zip")
    assert read_settings(challenger_share=0.5).challenger_share == 0.5


@pytest.mark.parametrize("given", ["", "/", "/slicewise", "/slicewise/", "/a-b/c.d_e~1"])
def test_a_path_prefix_is_kept_without_its_last_slash(given):
    assert read_settings(root_path=given).root_path == given.rstrip("/")


@pytest.mark.parametrize(
    "given", ["slicewise", "/a b", "/..", "/a/../b", "/a//b", "https://x.example/a", '/"', "/é"]
)
def test_a_path_prefix_is_a_plain_path(given):
    with pytest.raises(ConfigError, match=r"^SLICEWISE_ROOT_PATH: expected a path such as"):
        read_settings(root_path=given)


@pytest.mark.parametrize("given", ["/v1", "/api", "/docs/", "/api/slices"])
def test_a_path_prefix_begins_as_no_route(given):
    with pytest.raises(ConfigError, match=r"^SLICEWISE_ROOT_PATH: expected .* as no route does"):
        read_settings(root_path=given)


def test_one_process_alone_is_restarted_when_its_code_changes(monkeypatch):
    assert not read_settings().reload
    assert read_settings(reload=True).reload
    monkeypatch.setenv("SLICEWISE_WORKERS", "2")
    with pytest.raises(ConfigError, match=r"--reload: expected one worker beside it, got 2"):
        read_settings(reload=True)


def test_what_concerns_the_audit_log_is_handed_on_and_shows_no_secret() -> None:
    given = Settings(database_url="sqlite:///a.db", audit_key="k" * 32, retention_days=9)
    assert given.audit_log == AuditSettings("sqlite:///a.db", "k" * 32, 9)
    assert "kkk" not in repr(given.audit_log)
    assert Settings().audit_log.key is None
