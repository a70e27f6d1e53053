"""Retention: old rows go, and a checkpoint says which, so that the chain still holds.

Only the oldest rows of a chain can go. Each batch is one transaction: its rows are deleted and a
row of the chain `checkpoints` is added that names the last of them, its code, and how many went.
Before that every row of it is checked against its code: what was changed or is missing must not be
covered up by a valid checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, select

from slicewise.audit_log.chain import Place
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.tables import CHECKPOINTS, FEEDBACK, PREDICTIONS, now, rows_in, stamp
from slicewise.errors import AuditError

BATCH = 500  # rows of one transaction: others wait for some ten milliseconds


class Pruned(NamedTuple):
    """How many rows of each chain went."""

    predictions: int
    feedback: int


def prune(log: AuditLog, before: datetime) -> Pruned:
    """Delete what was written before a time, up to the first row that was not.

    Raises:
        AuditError: If the database fails, or a chain is not as it was written; what is not goes
            neither now nor later.
    """
    gone = [
        sum(iter(partial(_prune_batch, log, table, stamp(before)), 0))
        for table in (PREDICTIONS, FEEDBACK)
    ]
    return Pruned(*gone)


def prune_some(log: AuditLog, before: datetime) -> bool:
    """Delete one batch of what `prune` deletes; whether there may be more."""
    return any(_prune_batch(log, table, stamp(before)) for table in (PREDICTIONS, FEEDBACK))


def _prune_batch(log: AuditLog, table: Table, before: str) -> int:
    with log.database.writing() as connection:
        end = log.end(connection, table.name, lock=True)
        rows = list(islice(_leading_old_rows(log, connection, table, end, before), BATCH))
        if not rows:
            return 0
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
        log.append(connection, CHECKPOINTS, [checkpoint])
    return len(rows)


def _leading_old_rows(
    log: AuditLog, connection: Connection, table: Table, end: Place, before: str
) -> Iterator[dict[str, Any]]:
    """The first rows of a chain up to the first that is young enough to stay, each checked."""
    place = _beginning(log, connection, table)
    for row in rows_in(connection, table, BATCH):
        place = _follow(log, table, place, row)
        if row["created"] >= before:
            return
        if row["seq"] > end.seq:
            raise _not_as_written(table, row["seq"])
        yield row


def _beginning(log: AuditLog, connection: Connection, table: Table) -> Place:
    """The place before the first row: of the last one removed, by a checkpoint that is checked."""
    query = select(CHECKPOINTS).order_by(CHECKPOINTS.c.seq.desc()).limit(1)
    row = connection.execute(query.where(CHECKPOINTS.c.chain == table.name)).mappings().first()
    if row is None:
        return log.key.beginning(table.name)
    found = connection.execute(query.where(CHECKPOINTS.c.seq < row["seq"])).mappings().first()
    start = log.key.beginning(CHECKPOINTS.name)
    place = start if found is None else Place(found["seq"], found["mac"])
    _follow(log, CHECKPOINTS, place, dict(row))
    return Place(row["through_seq"], row["through_mac"])


def _follow(log: AuditLog, table: Table, before: Place, row: dict[str, Any]) -> Place:
    """The place of a row that follows another one and carries its code."""
    if row["seq"] != before.seq + 1 or not log.key.made(table.name, before, row):
        raise _not_as_written(table, row["seq"])
    return Place(row["seq"], row["mac"])


def _not_as_written(table: Table, seq: int) -> AuditError:
    return AuditError(
        f"{table.name}: row {seq} is not as it was written, or the one before it is missing; "
        "neither it nor what follows is deleted: run audit verify"
    )
