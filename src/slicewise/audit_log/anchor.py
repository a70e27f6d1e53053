"""Anchors: where the chains ended at some time, kept elsewhere.

A chain shows by itself what was changed or removed, but not that the whole database was put back
to an older state. An anchor that was noted before shows that too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from slicewise.audit_log.chain import Place
from slicewise.audit_log.clock import moment, now, stamp
from slicewise.audit_log.ledger import Ledger
from slicewise.audit_log.tables import CHAINED
from slicewise.errors import AuditError


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where one chain ended.

    Args:
        created: When it was noted, in UTC.
        chain: Name of the table.
        end: Number and code of its last row.
        key_id: Which key its codes are made with; not the key itself.
    """

    created: datetime
    chain: str
    end: Place
    key_id: str

    def line(self) -> str:
        """As one line of text: time, chain, number, code, key."""
        words = (stamp(self.created), self.chain, str(self.end.seq), self.end.mac, self.key_id)
        return " ".join(words)


def anchors_now(ledger: Ledger) -> list[Anchor]:
    """Where all chains end at this moment.

    Raises:
        AuditError: If a head was changed or does not name the last row of its chain.
    """
    created = now()
    with ledger.database.reading(snapshot=True) as connection:
        ends = {chain: ledger.end(connection, chain) for chain in CHAINED}
        for chain, table in CHAINED.items():
            last = select(table.c.seq, table.c.mac).order_by(table.c.seq.desc()).limit(1)
            row = connection.execute(last).first()
            if row is not None and Place(row[0], row[1]) != ends[chain]:
                raise AuditError(
                    f"the head of {chain} does not name its last row: run audit verify"
                )
    return [Anchor(created, chain, end, ledger.key.id) for chain, end in ends.items()]


def read_anchors(path: Path) -> list[Anchor]:
    """Anchors from a text file, one a line; empty lines and those after `#` are passed over.

    Raises:
        AuditError: If the file cannot be read or a line is no anchor.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"{path}: expected a file of anchors; {error}") from error
    found = list(_parsed(path, lines))
    if not found:
        raise AuditError(f"{path}: expected a file of anchors; got none")
    return found


def _parsed(path: Path, lines: list[str]) -> Iterator[Anchor]:
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 5 or words[1] not in CHAINED or not words[2].isdecimal():
            raise AuditError(f"{path}, line {number}: expected time, chain, number, code and key")
        created, chain, seq, mac, key_id = words
        yield Anchor(moment(created), chain, Place(int(seq), mac), key_id)
