"""The tables of the audit database, as the newest migration leaves them, and how they are read.

Times are ISO 8601 text in UTC with six decimals: it sorts as time does and reads back to the same
bytes on every database, which a chain over the rows needs. Lists and mappings are JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    select,
    type_coerce,
)

from slicewise.audit_log.database import Database
from slicewise.errors import AuditError

PAGE = 2000
"""Rows that are read at once, so that memory stays small however many there are."""

REVISION = "0002"
"""The newest migration: what `alembic_version` must hold."""

METADATA = MetaData()

_TRUTH = {0: False, 1: True}
_BEFORE_ALL = -(2**62)
"""Less than the number of any row, one that was put in by hand included."""

_SEQ = BigInteger().with_variant(Integer, "sqlite")


def _link() -> tuple[Column[int], Column[str]]:
    """What makes a row a link of a chain: its place and its code."""
    return (
        Column("seq", _SEQ, primary_key=True, autoincrement=False),
        Column("mac", Text, nullable=False),
    )


PREDICTIONS = Table(
    "predictions",
    METADATA,
    *_link(),
    Column("id", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("input_sha256", Text, nullable=False),
    Column("slice_index", Integer),
    Column("arm", Text, nullable=False),
    Column("bundle_name", Text, nullable=False),
    Column("bundle_version", Text, nullable=False),
    Column("bundle_sha256", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("probabilities", Text, nullable=False),
    Column("tumor_probability", Double),
    Column("tumor_flag", Boolean),
    Column("threshold", Double),
    Column("prediction_set", Text),
    Column("decision", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("summary", Text, nullable=False),
    Column("distance", Double),
    Column("shadow_of", Text),
    Index("ix_predictions_id", "id", unique=True),
    Index("ix_predictions_created", "created"),
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    *_link(),
    Column("id", Text, nullable=False),
    Column("prediction_id", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("agree", Boolean, nullable=False),
    Column("label", Text),
    Column("note", Text),
    Index("ix_feedback_id", "id", unique=True),
    Index("ix_feedback_prediction_id", "prediction_id"),
    Index("ix_feedback_created", "created"),
)

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    *_link(),
    Column("created", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Column("through_seq", BigInteger, nullable=False),
    Column("through_mac", Text, nullable=False),
    Column("pruned", BigInteger, nullable=False),
    Column("oldest", Text, nullable=False),
    Column("newest", Text, nullable=False),
)

HEADS = Table(
    "heads",
    METADATA,
    Column("chain", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("mac", Text, nullable=False),
    Column("seal", Text, nullable=False),
    Column("key_id", Text, nullable=False),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("public_id", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("revoked", Text),
    Index("ix_api_keys_public_id", "public_id", unique=True),
)

CHAINED = {table.name: table for table in (PREDICTIONS, FEEDBACK, CHECKPOINTS)}
"""The tables that are chains, in the order in which their heads are locked."""


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A time as 27 characters, such as `2026-03-01T09:30:00.000000Z`.

    Raises:
        AuditError: If the time does not say its zone.
    """
    if moment.tzinfo is None:
        raise AuditError(f"expected a time with its zone; got {moment.isoformat()}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def moment(stamped: str) -> datetime:
    """The time that a text stands for, aware, in UTC.

    Raises:
        AuditError: If the text is no time.
    """
    try:
        return datetime.strptime(stamped, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise AuditError(
            f"expected a time such as 2026-03-01T09:30:00.000000Z; got {stamped!r}"
        ) from None


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows are wanted.

    Args:
        since: From this time on; None from the first.
        until: Before this time; None to the last.
        arm: Of predictions, only those of this arm; None for all.
    """

    since: datetime | None = None
    until: datetime | None = None
    arm: str | None = None

    def conditions(self, table: FromClause) -> list[ColumnElement[bool]]:
        """As conditions on a table.

        Raises:
            AuditError: If a time does not say its zone.
        """
        wanted: list[ColumnElement[bool]] = []
        if self.since is not None:
            wanted.append(table.c.created >= stamp(self.since))
        if self.until is not None:
            wanted.append(table.c.created < stamp(self.until))
        if self.arm is not None and "arm" in table.c:
            wanted.append(table.c.arm == self.arm)
        return wanted


EVERYTHING = Span()


def rows_in(
    connection: Connection, table: Table, page_size: int | None = None
) -> Iterator[dict[str, Any]]:
    """All rows of a chain by number, as they stand, within one transaction.

    SQLite keeps truth as 0 and 1, and would keep 7: other values than these come as they are, so
    that they cannot pass for true.

    Args:
        connection: Stays open until the last row.
        table: A chain.
        page_size: Rows that are read at once; `PAGE` by default.
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

    Raises:
        AuditError: If the database fails.
    """
    query = select(table).where(*span.conditions(table)).order_by(table.c.seq).limit(PAGE)
    after = _BEFORE_ALL
    while True:
        with database.reading() as connection:
            page = connection.execute(query.where(table.c.seq > after)).mappings().all()
        if not page:
            return
        yield from map(dict, page)
        after = page[-1]["seq"]


def count_of(database: Database, table: Table, span: Span) -> int:
    """How many rows there are.

    Raises:
        AuditError: If the database fails.
    """
    query = select(func.count()).select_from(table).where(*span.conditions(table))
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())
