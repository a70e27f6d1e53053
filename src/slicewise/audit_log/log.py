"""A database and its key together: the audit log, whose chains can be appended to.

The end of each chain stands in one row of `heads`. Who appends locks that row first, so however
many processes write, the rows of a chain follow each other without a gap or a fork.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, insert, inspect, select, text, update

from slicewise.audit_log.chain import AuditSettings, ChainKey, Place, Values, chain_key
from slicewise.audit_log.database import Database
from slicewise.audit_log.tables import CHAINED, HEADS, METADATA, REVISION
from slicewise.errors import AuditError

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Chains in a database, and the key that their codes are made with."""

    database: Database
    key: ChainKey

    @classmethod
    def open(cls, settings: AuditSettings, *, create: bool) -> AuditLog:
        """Open the audit log that a database holds.

        Raises:
            AuditError: If it holds none, or its key is missing.
            ConfigError: If the key is not as expected.
            SliceWiseError: As `open_database` raises it.
        """
        database = open_database(settings, create=create)
        try:
            with database.reading() as connection:
                fresh = not _is_begun(connection)
            if fresh and not create:
                raise AuditError(
                    f"{database.name}: expected an audit log; got a database without one"
                )
            opened = cls(database, chain_key(settings, database.file, may_make=fresh))
            if fresh:  # all heads at once: a single one that is missing later was removed
                with database.setting_up() as connection:
                    if not _is_begun(connection):
                        heads = [opened._head(c, opened.key.beginning(c)) for c in CHAINED]
                        connection.execute(insert(HEADS), heads)
        except BaseException:
            database.close()
            raise
        return opened

    def end(self, connection: Connection, chain: str, *, lock: bool = False) -> Place:
        """Where a chain ends, by its head row; locked, nobody else moves it meanwhile.

        Raises:
            AuditError: If the head is missing, was changed, or was sealed with another key.
        """
        query = select(HEADS).where(HEADS.c.chain == chain)
        head = connection.execute(query.with_for_update() if lock else query).mappings().first()
        fault = head_fault(self.key, chain, head)
        if head is None or fault is not None:
            raise AuditError(f"{self.database.name}: {fault}")
        return Place(head["seq"], head["mac"])

    def append(self, connection: Connection, table: Table, rows: Iterable[Values]) -> None:
        """Add rows to a chain, within a transaction that writes, if its head is as written."""
        linked = list(self.key.link(table.name, self.end(connection, table.name, lock=True), rows))
        connection.execute(insert(table), linked)
        head = self._head(table.name, Place(linked[-1]["seq"], linked[-1]["mac"]))
        connection.execute(update(HEADS).where(HEADS.c.chain == table.name).values(head))

    def close(self) -> None:
        """Give the connections back."""
        self.database.close()

    def _head(self, chain: str, end: Place) -> dict[str, Any]:
        place = {"chain": chain, "seq": end.seq, "mac": end.mac}
        return {**place, "seal": self.key.seal(chain, end), "key_id": self.key.id}


def open_database(settings: AuditSettings, *, create: bool) -> Database:
    """The database of the settings with its newest tables, made if missing and `create` is set.

    Raises:
        AuditError: If it was written by a newer SliceWise, or holds no tables and may get none.
        SliceWiseError: As `Database` raises it.
    """
    database = Database(settings.database_url, create=create)
    try:
        with database.reading() as connection:
            found = revision_of(connection)
        if found is None and not create:
            raise AuditError(f"{database.name}: expected an audit database; got one without tables")
        if found != REVISION:
            with database.setting_up() as connection:
                _migrate(connection, database.name)
    except BaseException:
        database.close()
        raise
    return database


def revision_of(connection: Connection) -> str | None:
    """The migration that a database stands at; None where there was none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def head_fault(key: ChainKey, chain: str, head: Any) -> str | None:
    """What is wrong with the head row of a chain, in words; None if nothing."""
    if head is None:
        return f"the head of {chain} is missing"
    if head["key_id"] != key.id:
        return f"{chain} was written with the key {head['key_id']!r}; the key given is {key.id!r}"
    if not key.sealed(chain, Place(head["seq"], head["mac"]), head["seal"]):
        return f"the head of {chain} was changed"
    return None


def _is_begun(connection: Connection) -> bool:
    return connection.execute(select(HEADS.c.chain).limit(1)).first() is not None


def _migrate(connection: Connection, name: str) -> None:
    """Create or migrate the tables, once, however many processes start together."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = revision_of(connection)
    if found is not None and found not in known:
        raise AuditError(
            f"{name}: expected tables of revision {REVISION} or before; got {found}, "
            "which a newer SliceWise wrote"
        )
    if found is None:  # alembic.sqlalchemy.org: cookbook, "Building an Up to Date Database"
        METADATA.create_all(connection, checkfirst=False)
        command.stamp(config, "head")
    else:
        command.upgrade(config, "head")
