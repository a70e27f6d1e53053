"""Forgetting: old rows go, and a checkpoint says which, so that the chain still holds.

Only the oldest rows of a chain can go. Each batch is one transaction: its rows are deleted and a
row of the chain `checkpoints` is added that names the last of them, its code, and how many went.
Before that every row of it is checked against its code: what was changed or is missing must not be
covered up by a valid checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from slicewise.audit_log.chain import Place
from slicewise.audit_log.clock import now, stamp
from slicewise.audit_log.ledger import Ledger
from slicewise.audit_log.reading import rows_in
from slicewise.audit_log.tables import CHECKPOINTS, FEEDBACK, PREDICTIONS
from slicewise.errors import AuditError

BATCH = 500
"""Rows of one transaction: others wait for some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went.

    Args:
        predictions: Of these.
        feedback: Of these.
    """

    predictions: int
    feedback: int


def prune(ledger: Ledger, before: datetime) -> Pruned:
    """Delete what was written before a time, up to the first row that was not.

    Args:
        ledger: Whose chains are shortened.
        before: Aware time; rows of this time and later stay.

    Raises:
        AuditError: If the database fails, or a chain is not as it was written; what is not goes
            neither now nor later.
    """
    return Pruned(
        sum(_batches(ledger, PREDICTIONS, stamp(before))),
        sum(_batches(ledger, FEEDBACK, stamp(before))),
    )


def prune_some(ledger: Ledger, before: datetime) -> bool:
    """Delete one batch of what `prune` deletes; whether there may be more.

    Args:
        ledger: Whose chains are shortened.
        before: Aware time; rows of this time and later stay.

    Raises:
        AuditError: If the database fails, or a chain is not as it was written.
    """
    return any(_prune_batch(ledger, table, stamp(before)) for table in (PREDICTIONS, FEEDBACK))


def _batches(ledger: Ledger, table: Table, before: str) -> Iterator[int]:
    while pruned := _prune_batch(ledger, table, before):
        yield pruned


def _prune_batch(ledger: Ledger, table: Table, before: str) -> int:
    with ledger.database.writing() as connection:
        end = ledger.end(connection, table.name, lock=True)
        rows = list(islice(_leading_old_rows(ledger, connection, table, end, before), BATCH))
        if rows:
            _delete(ledger, connection, table, rows)
    return len(rows)


def _delete(
    ledger: Ledger, connection: Connection, table: Table, rows: list[dict[str, Any]]
) -> None:
    last, times = rows[-1], [row["created"] for row in rows]
    connection.execute(delete(table).where(table.c.seq <= last["seq"]))
    checkpoint = {
        "created": stamp(now()),
        "chain": table.name,
        "through_seq": last["seq"],
        "through_mac": last["mac"],
        "pruned": len(rows),
        "oldest": min(times),
        "newest": max(times),
    }
    ledger.append(connection, CHECKPOINTS, [checkpoint])


def _leading_old_rows(
    ledger: Ledger, connection: Connection, table: Table, end: Place, before: str
) -> Iterator[dict[str, Any]]:
    """The first rows of a chain up to the first that is young enough to stay, each checked."""
    start = _beginning(ledger, connection, table)
    checked = _checked(ledger, table, start, rows_in(connection, table, BATCH))
    for row in takewhile(lambda row: row["created"] < before, checked):
        if row["seq"] > end.seq:
            raise _not_as_written(table, row["seq"])
        yield row


def _beginning(ledger: Ledger, connection: Connection, table: Table) -> Place:
    """The place before the first row: of the last one removed, by a checkpoint that is checked."""
    query = select(CHECKPOINTS).order_by(CHECKPOINTS.c.seq.desc())
    last = query.where(CHECKPOINTS.c.chain == table.name).limit(1)
    row = connection.execute(last).mappings().first()
    if row is None:
        return ledger.key.beginning(table.name)
    earlier = query.where(CHECKPOINTS.c.seq < row["seq"]).limit(1)
    found = connection.execute(earlier).mappings().first()
    start = ledger.key.beginning(CHECKPOINTS.name)
    place = start if found is None else Place(found["seq"], found["mac"])
    _follow(ledger, CHECKPOINTS, place, dict(row))
    return Place(row["through_seq"], row["through_mac"])


def _checked(
    ledger: Ledger, table: Table, place: Place, rows: Iterator[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for row in rows:
        place = _follow(ledger, table, place, row)
        yield row


def _follow(ledger: Ledger, table: Table, before: Place, row: dict[str, Any]) -> Place:
    """The place of a row that follows another one and carries its code."""
    if row["seq"] != before.seq + 1 or not ledger.key.made(table.name, before, row):
        raise _not_as_written(table, row["seq"])
    return Place(row["seq"], row["mac"])


def _not_as_written(table: Table, seq: int) -> AuditError:
    return AuditError(
        f"{table.name}: row {seq} is not as it was written, or the one before it is missing; "
        "neither it nor what follows is deleted: run audit verify"
    )
