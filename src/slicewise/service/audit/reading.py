"""Rows of a chain in order, a page at a time, so that memory stays small however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Table, func, select

from slicewise.service.audit.clock import stamp
from slicewise.service.audit.database import Database

PAGE = 2000

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


def rows_in(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    """All rows by number, within one transaction.

    Args:
        connection: Stays open until the last row.
        table: A chain.
    """
    page = _page(connection, table, EVERYTHING, _BEFORE_ALL)
    while page:
        yield from page
        page = _page(connection, table, EVERYTHING, page[-1]["seq"])


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
