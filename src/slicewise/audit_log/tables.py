"""The tables of the audit database, as the newest migration leaves them, and how they are read.

Times are ISO 8601 text in UTC with six decimals: it sorts as time does and reads back to the same
bytes on every database, which a chain over the rows needs. Lists and mappings are JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from slicewise.audit_log.database import Database
from slicewise.errors import AuditError

PAGE = 2000  # rows that are read at once, so that memory stays small however many there are
REVISION = "0002"  # the newest migration: what `alembic_version` must hold
METADATA = sa.MetaData()

_TRUTH = {0: False, 1: True}
_BEFORE_ALL = -(2**62)  # less than the number of any row, one that was put in by hand included
_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _chain(name: str, *content: sa.Column[Any] | sa.Index) -> sa.Table:
    """A table whose rows are links of a chain, by their place and code."""
    seq = sa.Column("seq", _SEQ, primary_key=True, autoincrement=False)
    return sa.Table(name, METADATA, seq, *_texts("mac"), *content)


PREDICTIONS = _chain(
    "predictions",
    *_texts("id", "created", "caller", "route", "request_id", "input_sha256"),
    sa.Column("slice_index", sa.Integer),
    *_texts("arm", "bundle_name", "bundle_version", "bundle_sha256", "label"),
    sa.Column("confidence", sa.Double, nullable=False),
    *_texts("probabilities"),
    sa.Column("tumor_probability", sa.Double),
    sa.Column("tumor_flag", sa.Boolean),
    sa.Column("threshold", sa.Double),
    sa.Column("prediction_set", sa.Text),
    *_texts("decision", "reasons"),
    sa.Column("latency_ms", sa.Double, nullable=False),
    *_texts("summary"),
    sa.Column("distance", sa.Double),
    sa.Column("shadow_of", sa.Text),
    sa.Index("ix_predictions_id", "id", unique=True),
    sa.Index("ix_predictions_created", "created"),
)

FEEDBACK = _chain(
    "feedback",
    *_texts("id", "prediction_id", "created", "caller"),
    sa.Column("agree", sa.Boolean, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("note", sa.Text),
    sa.Index("ix_feedback_id", "id", unique=True),
    sa.Index("ix_feedback_prediction_id", "prediction_id"),
    sa.Index("ix_feedback_created", "created"),
)

CHECKPOINTS = _chain(
    "checkpoints",
    *_texts("created", "chain"),
    sa.Column("through_seq", sa.BigInteger, nullable=False),
    *_texts("through_mac"),
    sa.Column("pruned", sa.BigInteger, nullable=False),
    *_texts("oldest", "newest"),
)

HEADS = sa.Table(
    "heads",
    METADATA,
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    *_texts("mac", "seal", "key_id"),
)

API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    *_texts("public_id", "secret_sha256", "role", "created"),
    sa.Column("revoked", sa.Text),
    sa.Index("ix_api_keys_public_id", "public_id", unique=True),
)

CHAINED = {table.name: table for table in (PREDICTIONS, FEEDBACK, CHECKPOINTS)}
"""The tables that are chains, in the order in which their heads are locked."""


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A time as 27 characters, such as `2026-03-01T09:30:00.000000Z`; it must say its zone."""
    if moment.tzinfo is None:
        raise AuditError(f"expected a time with its zone; got {moment.isoformat()}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def moment(stamped: str) -> datetime:
    """The time that such a text stands for, aware, in UTC; AuditError if it is none."""
    try:
        return datetime.strptime(stamped, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise AuditError(
            f"expected a time such as 2026-03-01T09:30:00.000000Z; got {stamped!r}"
        ) from None


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows are wanted; None for no limit."""

    since: datetime | None = None  # from this time on
    until: datetime | None = None  # before this time
    arm: str | None = None  # of predictions, only those of this arm

    def conditions(self, table: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """As conditions on a table."""
        wanted: list[sa.ColumnElement[bool]] = []
        if self.since is not None:
            wanted.append(table.c.created >= stamp(self.since))
        if self.until is not None:
            wanted.append(table.c.created < stamp(self.until))
        if self.arm is not None and "arm" in table.c:
            wanted.append(table.c.arm == self.arm)
        return wanted


def rows_in(
    connection: sa.Connection, table: sa.Table, page_size: int | None = None
) -> Iterator[dict[str, Any]]:
    """All rows of a chain by number, as they stand, within one transaction.

    SQLite keeps truth as 0 and 1, and would keep 7: other values than these come as they are, so
    that they cannot pass for true.
    """
    truths = [column.name for column in table.c if isinstance(column.type, sa.Boolean)]
    query = sa.select(
        *(sa.type_coerce(c, sa.Integer).label(c.name) if c.name in truths else c for c in table.c)
    )
    query = query.order_by(table.c.seq).limit(page_size or PAGE)
    after = _BEFORE_ALL
    while page := connection.execute(query.where(table.c.seq > after)).mappings().all():
        for row in page:
            yield {**row, **{name: _TRUTH.get(row[name], row[name]) for name in truths}}
        after = page[-1]["seq"]


def rows_of(database: Database, table: sa.Table, span: Span) -> Iterator[dict[str, Any]]:
    """Rows by number, each page in a transaction of its own, so that no long one stays open."""
    query = sa.select(table).where(*span.conditions(table)).order_by(table.c.seq).limit(PAGE)
    page: Sequence[Any] = [{"seq": _BEFORE_ALL}]
    while page:
        with database.reading() as connection:
            following = query.where(table.c.seq > page[-1]["seq"])
            page = connection.execute(following).mappings().all()
        yield from map(dict, page)


def count_of(database: Database, table: sa.Table, span: Span) -> int:
    """How many rows there are."""
    query = sa.select(sa.func.count()).select_from(table).where(*span.conditions(table))
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())
