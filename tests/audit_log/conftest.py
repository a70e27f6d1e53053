"""The audit database, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders_records import KEY
from postgres import postgres, postgres_url
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.store import AuditStore

__all__ = ["postgres", "postgres_url"]


@pytest.fixture
def kind() -> str:
    """SQLite, but for tests marked with `on_both`."""
    return "sqlite"


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'audit.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def settings(url: str) -> AuditSettings:
    return AuditSettings(database_url=url, key=KEY)


@pytest.fixture
def store(settings: AuditSettings) -> Iterator[AuditStore]:
    opened = AuditStore.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def log(settings: AuditSettings, store: AuditStore) -> Iterator[AuditLog]:
    opened = AuditLog.open(settings, create=False)
    yield opened
    opened.close()


@pytest.fixture
def execute(log: AuditLog) -> Callable[[str], None]:
    """Change the database behind the back of whoever keeps the chain."""

    def run(statement: str) -> None:
        with log.database.writing() as connection:
            connection.exec_driver_sql(statement)

    return run
