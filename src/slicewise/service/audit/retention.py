"""Forgetting: old rows go, and a checkpoint says which, so that the chain still holds.

Only the oldest rows of a chain can go. Each batch is one transaction: its rows are deleted and a
row of the chain `checkpoints` is added that names the last of them, its code, and how many went.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from slicewise.service.audit.clock import now, stamp
from slicewise.service.audit.ledger import Ledger
from slicewise.service.audit.tables import CHECKPOINTS, FEEDBACK, PREDICTIONS

BATCH = 2000
"""Rows of one transaction: others wait for milliseconds, not for minutes."""


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
        AuditError: If the database fails, or a chain is not as it was written.
    """
    return Pruned(
        sum(_batches(ledger, PREDICTIONS, stamp(before))),
        sum(_batches(ledger, FEEDBACK, stamp(before))),
    )


def _batches(ledger: Ledger, table: Table, before: str) -> Iterator[int]:
    while True:
        with ledger.database.writing() as connection:
            pruned = _prune_batch(ledger, connection, table, before)
        yield pruned
        if pruned < BATCH:
            return


def _prune_batch(ledger: Ledger, connection: Connection, table: Table, before: str) -> int:
    ledger.end(connection, table.name, lock=True)
    rows = _leading_old_rows(connection, table, before)
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
    ledger.append(connection, CHECKPOINTS, [checkpoint])
    return len(rows)


def _leading_old_rows(connection: Connection, table: Table, before: str) -> list[dict[str, Any]]:
    """The first rows of a chain, at most a batch, up to the first that is young enough to stay."""
    columns = select(table.c.seq, table.c.mac, table.c.created).order_by(table.c.seq)
    first = [dict(row) for row in connection.execute(columns.limit(BATCH)).mappings()]
    return list(takewhile(lambda row: row["created"] < before, first))
