"""Rows of a chain in order, a page at a time, so that memory stays small however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Table,
    func,
    select,
    type_coerce,
)

from slicewise.audit_log.clock import stamp
from slicewise.audit_log.database import Database

PAGE = 2000

_TRUTH = {0: False, 1: True}
_BEFORE_ALL = -(2**62)
"""Less than the number of any row, one that was put in by hand included."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows are wanted.

    Args:
        since: From this time on; None from the first.
        until: Before this time; None to the last.
        arm: Of predictions, only those of this arm.
    """

    since: datetime | None = None
    until: datetime | None = None
    arm: str | None = None

    def conditions(self, table: FromClause) -> list[ColumnElement[bool]]:
        """As conditions on a table.

        Raises:
            AuditError: If a time does not say its zone.
        """
        asked: list[ColumnElement[bool]] = []
        if self.since is not None:
            asked.append(table.c.created >= stamp(self.since))
        if self.until is not None:
            asked.append(table.c.created < stamp(self.until))
        if self.arm is not None and "arm" in table.c:
            asked.append(table.c.arm == self.arm)
        return asked


EVERYTHING = Span()


def rows_in(
    connection: Connection, table: Table, page_size: int | None = None
) -> Iterator[dict[str, Any]]:
    """All rows by number, as they stand, within one transaction.

    SQLite keeps truth as 0 and 1, and would keep 7: other values than these come as they are, so
    that they cannot pass for true.

    Args:
        connection: Stays open until the last row.
        table: A chain.
        page_size: How many rows are read at once; `PAGE` by default.
    """
    truths = [column.name for column in table.c if isinstance(column.type, Boolean)]
    query = select(
        *(type_coerce(c, Integer).label(c.name) if c.name in truths else c for c in table.c)
    )
    query = query.order_by(table.c.seq).limit(page_size or PAGE)
    after = _BEFORE_ALL
    while page := connection.execute(query.where(table.c.seq > after)).mappings().all():
        for row in page:
            yield {**row, **{name: _TRUTH.get(row[name], row[name]) for name in truths}}
        after = page[-1]["seq"]


def rows_of(database: Database, table: Table, span: Span = EVERYTHING) -> Iterator[dict[str, Any]]:
    """Rows by number, each page in a transaction of its own, so that no long one stays open.

    Args:
        database: Where they are.
        table: A chain.
        span: Which rows.

    Raises:
        AuditError: If the database fails.
    """
    after = _BEFORE_ALL
    while True:
        with database.reading() as connection:
            page = _page(connection, table, span, after)
        if not page:
            return
        yield from page
        after = page[-1]["seq"]


def _page(connection: Connection, table: Table, span: Span, after: int) -> list[dict[str, Any]]:
    query = select(table).where(table.c.seq > after, *span.conditions(table))
    found = connection.execute(query.order_by(table.c.seq).limit(PAGE)).mappings()
    return [dict(row) for row in found]


def count_of(database: Database, table: Table, span: Span) -> int:
    """How many rows there are.

    Args:
        database: Where they are.
        table: A chain.
        span: Which rows.

    Raises:
        AuditError: If the database fails.
    """
    query = select(func.count()).select_from(table).where(*span.conditions(table))
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())
