"""Migrations and tables say the same, on an empty and on a half-made database."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from builders_records import KEY, record
from postgres import on_both
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.database import Database
from slicewise.audit_log.log import MIGRATIONS, AuditLog, open_database, revision_of
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import METADATA, REVISION
from slicewise.audit_log.verify import verify
from slicewise.errors import AuditError


@on_both
def test_migrations_make_the_tables(settings: AuditSettings):
    database = open_database(settings, create=True)
    with database.reading() as connection:
        assert revision_of(connection) == REVISION
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    database.close()


def test_the_newest_migration_is_the_one_the_tables_name():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


@on_both
def test_rows_of_the_first_tables_keep_their_codes(settings: AuditSettings):
    store = AuditStore.open(settings)
    store.submit([record(1), record(2)]).result(10)
    store.close()
    database = Database(settings.database_url, create=False)
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE predictions DROP COLUMN shadow_of"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    database.close()
    log = AuditLog.open(settings, create=False)
    found = verify(log)
    log.close()
    assert {state.chain: state.rows for state in found.chains}["predictions"] == 2
    assert found.intact


@on_both
def test_several_start_at_once(settings: AuditSettings):
    opened: list[AuditStore] = []
    barrier = threading.Barrier(4)

    def start() -> None:
        barrier.wait()
        opened.append(AuditStore.open(settings))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for store in opened:
        store.ping()
        store.close()


def test_several_processes_start_at_once_and_share_one_key(tmp_path: Path):
    code = (
        "import sys; from slicewise.audit_log.store import AuditStore; "
        "from slicewise.audit_log.chain import AuditSettings; "
        "store = AuditStore.open(AuditSettings(sys.argv[1])); store.ping(); store.close()"
    )
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    started = [
        subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [(process.wait(60), process.communicate()[1]) for process in started] == [(0, b"")] * 3
    assert {path.name for path in tmp_path.iterdir()} == {"audit.db", "audit.db.key"}


@on_both
def test_a_newer_database_is_refused(settings: AuditSettings):
    AuditStore.open(settings).close()
    database = Database(settings.database_url, create=False)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(AuditError, match="9999, which a newer SliceWise wrote"):
        AuditStore.open(settings)


@pytest.mark.parametrize("content", [None, b"", b"not a database at all, but some text" * 100])
def test_what_holds_no_audit_log_is_refused_and_left_alone(tmp_path: Path, content: bytes | None):
    file = tmp_path / "audit.db"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(AuditError, match=r"audit\.db"):
        AuditLog.open(AuditSettings(database_url=f"sqlite:///{file}", key=KEY), create=False)
    assert file.exists() == (content is not None)


def test_keys_alone_make_no_audit_log(tmp_path: Path):
    settings = AuditSettings(database_url=f"sqlite:///{tmp_path / 'audit.db'}")
    open_database(settings, create=True).close()
    with pytest.raises(AuditError, match="got a database without one"):
        AuditLog.open(settings, create=False)
    assert [path.name for path in tmp_path.iterdir()] == ["audit.db"]


def test_a_file_that_cannot_be_written_fails_the_ping(tmp_path: Path, monkeypatch):
    from slicewise.audit_log import store as module

    settings = AuditSettings(database_url=f"sqlite:///{tmp_path / 'audit.db'}")
    store = AuditStore.open(settings)
    monkeypatch.setattr(module, "_PROOF_S", 0.0)
    with store._audit.database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    store._audit.database.close()  # the next connection finds a full disk
    from sqlalchemy import event

    def fill_the_disk(connection: object, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.execute("PRAGMA query_only = ON")

    event.listen(store._audit.database._engine, "connect", fill_the_disk)
    with pytest.raises(AuditError, match="readonly"):
        store.ping()
    store.close()


def test_a_second_start_does_not_load_alembic(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    AuditStore.open(AuditSettings(database_url=url)).close()
    code = (
        "import sys; from slicewise.audit_log.store import AuditStore; "
        "from slicewise.audit_log.chain import AuditSettings; "
        "AuditStore.open(AuditSettings(database_url=sys.argv[1])).close(); "
        "print('alembic' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False"]
