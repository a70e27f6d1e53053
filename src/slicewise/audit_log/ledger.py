"""A database and its key together: chains that can be appended to.

The end of each chain stands in one row of `heads`. Who appends locks that row first, so however
many processes write, the rows of a chain follow each other without a gap or a fork.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from slicewise.audit_log.chain import ChainKey, Place, Values
from slicewise.audit_log.database import Database
from slicewise.audit_log.schema import bring_up_to_date, revision_of
from slicewise.audit_log.settings import AuditSettings, chain_key
from slicewise.audit_log.tables import CHAINED, HEADS
from slicewise.errors import AuditError


@dataclass(frozen=True, slots=True)
class Ledger:
    """Chains in a database.

    Args:
        database: Where they are.
        key: What their codes are made with.
    """

    database: Database
    key: ChainKey

    @classmethod
    def open(cls, settings: AuditSettings, *, create: bool) -> Ledger:
        """Open the chains of a database.

        Args:
            settings: Names the database and, if given, the key.
            create: Make what is missing: file, tables, key, empty chains.

        Raises:
            AuditError: If the database fails, holds no audit log, or its key is missing.
            ConfigError: If URL or key are not as expected.
            MissingExtraError: If the driver of PostgreSQL is not installed.
        """
        database = open_database(settings, create=create)
        try:
            return _with_key(settings, database, create=create)
        except BaseException:
            database.close()
            raise

    def end(self, connection: Connection, chain: str, *, lock: bool = False) -> Place:
        """Where a chain ends, by its head row.

        Args:
            connection: Within a transaction.
            chain: Name of the table.
            lock: Keep others from moving it until the transaction ends.

        Raises:
            AuditError: If the head is missing, was changed, or was sealed with another key.
        """
        query = select(HEADS).where(HEADS.c.chain == chain)
        head = connection.execute(query.with_for_update() if lock else query).mappings().first()
        fault = head_fault(self.key, chain, head)
        if head is None or fault is not None:
            raise AuditError(f"{self.database.name}: {fault}")
        return Place(head["seq"], head["mac"])

    def append(self, connection: Connection, table: Table, rows: Iterable[Values]) -> Place:
        """Add rows to a chain, within a transaction that writes.

        Raises:
            AuditError: If the head of the chain is not as it was written.
        """
        linked = list(self.key.link(table.name, self.end(connection, table.name, lock=True), rows))
        connection.execute(insert(table), linked)
        end = Place(linked[-1]["seq"], linked[-1]["mac"])
        moved = {"seq": end.seq, "mac": end.mac, "seal": self.key.seal(table.name, end)}
        connection.execute(update(HEADS).where(HEADS.c.chain == table.name).values(moved))
        return end

    def check_heads(self) -> None:
        """Check that every chain can be appended to with this key.

        Raises:
            AuditError: If not.
        """
        with self.database.reading() as connection:
            for chain in CHAINED:
                self.end(connection, chain)

    def close(self) -> None:
        """Give the connections back."""
        self.database.close()


def open_database(settings: AuditSettings, *, create: bool) -> Database:
    """The database of the service with its newest tables.

    Args:
        settings: Names it.
        create: Make file and tables if missing.

    Raises:
        AuditError: If it fails, or it is not to be made and holds no tables.
        ConfigError: If the URL is not as expected.
        MissingExtraError: If the driver of PostgreSQL is not installed.
    """
    database = Database(settings.database_url, create=create)
    try:
        if not create:
            _require_tables(database)
        bring_up_to_date(database)
    except BaseException:
        database.close()
        raise
    return database


def head_fault(key: ChainKey, chain: str, head: Any) -> str | None:
    """What is wrong with a head row, in words; None if nothing.

    Args:
        key: What it should be sealed with.
        chain: Name of the table.
        head: The row as a mapping; None where there is none.
    """
    if head is None:
        return f"the head of {chain} is missing"
    if head["key_id"] != key.id:
        return f"{chain} was written with the key {head['key_id']!r}; the key given is {key.id!r}"
    if not key.sealed(chain, Place(head["seq"], head["mac"]), head["seal"]):
        return f"the head of {chain} was changed"
    return None


def _require_tables(database: Database) -> None:
    with database.reading() as connection:
        if revision_of(connection) is None:
            raise AuditError(f"{database.name}: expected an audit database; got one without tables")


def _with_key(settings: AuditSettings, database: Database, *, create: bool) -> Ledger:
    with database.reading() as connection:
        fresh = connection.execute(select(HEADS.c.chain).limit(1)).first() is None
    if fresh and not create:
        raise AuditError(f"{database.name}: expected an audit log; got a database without one")
    ledger = Ledger(database, chain_key(settings, database.file, may_make=fresh))
    if fresh:
        _begin_chains(ledger)
    return ledger


def _begin_chains(ledger: Ledger) -> None:
    """Write all heads at once: a single one that is missing later was removed."""
    with ledger.database.setting_up() as connection:
        if connection.execute(select(HEADS.c.chain).limit(1)).first() is not None:
            return
        for chain in CHAINED:
            end = ledger.key.beginning(chain)
            row = {"chain": chain, "seq": end.seq, "mac": end.mac}
            row |= {"seal": ledger.key.seal(chain, end), "key_id": ledger.key.id}
            connection.execute(insert(HEADS).values(row))
