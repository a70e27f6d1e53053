"""Is every chain still as it was written, also against where it ended earlier?

A chain shows by itself what was changed or removed, but not that the whole database was put back
to an older state. A head that was noted before, and kept elsewhere, shows that too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from slicewise.audit_log.chain import ChainKey, Place, same
from slicewise.audit_log.log import AuditLog, head_fault
from slicewise.audit_log.tables import CHAINED, CHECKPOINTS, HEADS, moment, now, rows_in, stamp
from slicewise.errors import AuditError
from slicewise.progress import Progress, ProgressCount
from slicewise.text import counted

SHOWN = 50  # findings of one chain that are kept in words; all are counted


class Fault(StrEnum):
    """What a finding is about."""

    KEY = "key"
    HEAD = "head"
    CHANGED = "changed"
    MISSING = "missing"
    CUT_OFF = "cut_off"
    ADDED = "added"
    CHECKPOINT = "checkpoint"
    EARLIER_HEAD = "anchor"  # the name that programs know from the JSON of 0.1.0

    @property
    def shown(self) -> str:
        """What people read; what is wrong with an earlier head is told by the finding's text."""
        return Fault.HEAD if self is Fault.EARLIER_HEAD else self


@dataclass(frozen=True, slots=True)
class Head:
    """Where one chain ended at some time, and which key its codes are made with."""

    created: datetime
    chain: str
    end: Place
    key_id: str

    def line(self) -> str:
        """As one line of text: time, chain, number, code, key."""
        return f"{stamp(self.created)} {self.chain} {self.end.seq} {self.end.mac} {self.key_id}"


def heads_now(log: AuditLog) -> list[Head]:
    """Where all chains end at this moment.

    Raises:
        AuditError: If a head was changed or does not name the last row of its chain.
    """
    created = now()
    with log.database.reading(snapshot=True) as connection:
        ends = {chain: log.end(connection, chain) for chain in CHAINED}
        for chain, table in CHAINED.items():
            last = select(table.c.seq, table.c.mac).order_by(table.c.seq.desc()).limit(1)
            row = connection.execute(last).first()
            if row is not None and Place(row[0], row[1]) != ends[chain]:
                raise AuditError(
                    f"the head of {chain} does not name its last row: run audit verify"
                )
    return [Head(created, chain, end, log.key.id) for chain, end in ends.items()]


def read_heads(path: Path) -> list[Head]:
    """Earlier heads from a text file, one a line; empty lines and those after `#` are left out.

    Raises:
        AuditError: If the file cannot be read or a line is no head.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"{path}: expected lines that audit head printed; {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            words = line.split()
            if len(words) != 5 or words[1] not in CHAINED or not words[2].isdecimal():
                raise AuditError(
                    f"{path}, line {number}: expected time, chain, number, code and key"
                )
            created, chain, seq, mac, key_id = words
            found.append(Head(moment(created), chain, Place(int(seq), mac), key_id))
    if not found:
        raise AuditError(f"{path}: expected lines that audit head printed; got none")
    return found


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """One thing that is not as it was written."""

    fault: Fault
    seq: int | None  # of the row, or of the first of several
    text: str


@dataclass(slots=True)
class ChainState:
    """What was found in one chain."""

    chain: str
    rows: int = 0
    pruned_through: int = 0  # number of the last row that retention removed
    last: int = 0  # number of the last row; of the last removed one where none is left
    faults: int = 0
    findings: list[ChainFinding] = field(default_factory=list)

    @property
    def of_another_key(self) -> bool:
        """Whether it was written with another key, so that no row of it could be checked."""
        return any(found.fault is Fault.KEY and found.seq is None for found in self.findings)

    def note(self, fault: Fault, seq: int | None, text: str) -> None:
        """Count a finding; keep it while there are few."""
        self.faults += 1
        if len(self.findings) < SHOWN:
            self.findings.append(ChainFinding(fault, seq, text))


@dataclass(frozen=True, slots=True)
class Verification:
    """The state of the chains `checkpoints`, `predictions`, `feedback`, in this order."""

    chains: tuple[ChainState, ...]
    heads: int  # how many earlier heads were compared

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not any(state.faults for state in self.chains)

    def text(self) -> str:
        """All of it, for a terminal."""
        lines, faults = [], sum(state.faults for state in self.chains)
        for state in self.chains:
            pruned = f", pruned through {state.pruned_through}" if state.pruned_through else ""
            seen = f"{state.rows} rows, last {state.last}{pruned}"
            lines.append(f"{state.chain}: {'not checked' if state.of_another_key else seen}")
            lines += [f"  {finding.fault.shown}: {finding.text}" for finding in state.findings]
            if state.faults > len(state.findings):
                lines.append(f"  ... and {state.faults - len(state.findings)} more")
        if all(state.of_another_key for state in self.chains):
            told = "with this key nothing matches, so the key may be wrong"
            lines.append(f"NOT CHECKED: {told}; give the one that the log was written with")
        elif faults:
            lines.append(f"NOT AS WRITTEN: {counted(faults, 'finding')}")
        else:
            compared = f", {self.heads} earlier heads hold" if self.heads else ""
            lines.append(f"intact{compared}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """All of it, for a JSON file; `anchors` is the older name of `heads`."""
        states = [asdict(state) for state in self.chains]
        compared = {"heads": self.heads, "anchors": self.heads}
        return {"intact": self.intact, **compared, "chains": states}


def verify(
    log: AuditLog, heads: Sequence[Head] = (), progress: Progress | None = None
) -> Verification:
    """Check every row of every chain, and the ends noted earlier; others may write meanwhile."""
    order = [CHECKPOINTS.name, *(name for name in CHAINED if name != CHECKPOINTS.name)]
    states = []
    pruned: dict[str, Place] = {}
    with log.database.reading(snapshot=True, as_it_stands=True) as connection:
        for chain in order:
            earlier = [head for head in heads if head.chain == chain]
            check = _ChainCheck(log.key, chain, pruned.get(chain), earlier)
            states.append(check.run(connection, progress))
            if chain == CHECKPOINTS.name:
                pruned = _last_checkpoints(connection, check)
    return Verification(tuple(states), len(heads))


class _ChainCheck:
    """One walk along one chain."""

    def __init__(
        self, key: ChainKey, chain: str, pruned: Place | None, heads: Sequence[Head]
    ) -> None:
        self._key, self._chain, self._pruned = key, chain, pruned
        self._heads = heads
        self._codes: dict[int, str] = {}  # of rows that an earlier head names
        self._named = {head.end.seq for head in heads}
        self.doubtful: set[int] = set()  # numbers of rows that say nothing that counts
        self._last = pruned or key.beginning(chain)
        self.state = ChainState(chain, pruned_through=self._last.seq)

    def run(self, connection: Connection, progress: Progress | None) -> ChainState:
        """Walk; gives what was found."""
        query = select(HEADS).where(HEADS.c.chain == self._chain)
        head = connection.execute(query).mappings().first()
        fault = head_fault(self._key, self._chain, head)
        if fault is not None:
            other_key = head is not None and head["key_id"] != self._key.id
            self.state.note(Fault.KEY if other_key else Fault.HEAD, None, fault)
            if other_key:
                return self.state  # with another key no code can be checked
        end = None  # a head may say what could be no place
        if head is not None and isinstance(head["seq"], int) and isinstance(head["mac"], str):
            end = Place(head["seq"], head["mac"])
        tally = ProgressCount(progress, self._chain, 0 if end is None else end.seq - self._last.seq)
        for row in rows_in(connection, CHAINED[self._chain]):
            self.state.rows += 1
            self._check_row(row, end)
            tally()
        self.state.last = self._last.seq
        if end is not None:
            self._compare_end(end)
        for earlier in self._heads:
            self._compare_earlier(earlier)
        return self.state

    def _check_row(self, row: dict[str, Any], end: Place | None) -> None:
        seq = row["seq"]
        if seq <= self._last.seq or (end is not None and seq > end.seq):
            self.state.note(Fault.ADDED, seq, f"row {seq} was never written or had been pruned")
            self.doubtful.add(seq)
            return
        if seq != self._last.seq + 1:
            text = f"{_rows(self._last.seq + 1, seq - 1)} missing; row {seq} cannot be checked"
            self.state.note(Fault.MISSING, self._last.seq + 1, text)
        elif not self._key.made(self._chain, self._last, row):
            self.state.note(Fault.CHANGED, seq, f"row {seq} was changed")
            self.doubtful.add(seq)
        self._last = Place(seq, row["mac"])
        if seq in self._named:
            self._codes[seq] = row["mac"]

    def _compare_end(self, end: Place) -> None:
        if self._last.seq < end.seq:
            text = f"{_rows(self._last.seq + 1, end.seq)} missing at the end"
            self.state.note(Fault.CUT_OFF, self._last.seq + 1, text)
        elif not same(self._last.mac, end.mac):
            text = f"the head does not name the code of row {end.seq}"
            self.state.note(Fault.HEAD, end.seq, text)

    def _compare_earlier(self, head: Head) -> None:
        seq, noted = head.end.seq, f"the head of {head.created:%Y-%m-%d %H:%M:%S} UTC"
        if head.key_id != self._key.id:
            self.state.note(Fault.KEY, seq, f"{noted} was made with the key {head.key_id}")
        elif seq > self._last.seq:
            text = f"{noted} names row {seq}; the chain ends at {self._last.seq}"
            self.state.note(Fault.EARLIER_HEAD, seq, text)
        elif (code := self._code_at(seq)) is not None and not same(code, head.end.mac):
            self.state.note(Fault.EARLIER_HEAD, seq, f"{noted} names another row {seq}")

    def _code_at(self, seq: int) -> str | None:
        """The code of a row that an earlier head names; None where retention removed it."""
        beginning = self._key.beginning(self._chain)
        if seq == beginning.seq:
            return beginning.mac
        if self._pruned is not None and seq <= self._pruned.seq:
            return self._pruned.mac if seq == self._pruned.seq else None
        return self._codes.get(seq)


def _last_checkpoints(connection: Connection, check: _ChainCheck) -> dict[str, Place]:
    """Up to where retention removed each chain; notes rows that were gone before it came."""
    state, last = check.state, dict[str, Place]()
    for row in rows_in(connection, CHECKPOINTS):
        kinds = {"through_seq": int, "through_mac": str, "pruned": int}
        sound = all(isinstance(row[name], kind) for name, kind in kinds.items())
        if row["seq"] in check.doubtful or row["chain"] not in CHAINED or not sound:
            continue  # one after a gap could not be checked
        before = last[row["chain"]].seq if row["chain"] in last else 0
        if row["through_seq"] - before != row["pruned"]:
            text = (
                f"{row['pruned']} rows of {row['chain']} were pruned, of which there had been "
                f"{row['through_seq'] - before} ({before + 1} to {row['through_seq']})"
            )
            state.note(Fault.CHECKPOINT, row["seq"], text)
        last[row["chain"]] = Place(row["through_seq"], row["through_mac"])
    return last


def _rows(first: int, last: int) -> str:
    return f"row {first} is" if first == last else f"rows {first} to {last} are"
