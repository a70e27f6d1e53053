"""What is pruned is gone, and the chain says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from builders_records import KEY, START, kept_in, record, records
from postgres import on_both
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.retention import Pruned, prune, prune_some
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import CHECKPOINTS, HEADS, PREDICTIONS, now
from slicewise.audit_log.verify import heads_now, verify
from slicewise.errors import AuditError


def after(seconds: int):
    return START + timedelta(seconds=seconds)


def test_old_rows_go_and_the_chain_holds(store: AuditStore, log: AuditLog):
    kept = records(10)
    store.submit(kept).result(10)
    assert prune(log, after(4)) == Pruned(4, 0)
    assert kept_in(store) == kept[4:]
    state = verify(log)
    assert state.intact
    predictions = state.chains[1]
    assert (predictions.pruned_through, predictions.rows, predictions.last) == (4, 6, 10)
    store.submit([record(10)]).result(10)
    assert verify(log).intact


def test_a_checkpoint_says_what_went(store: AuditStore, log: AuditLog):
    store.submit(records(10)).result(10)
    prune(log, after(4))
    with log.database.reading() as connection:
        row = dict(connection.execute(select(CHECKPOINTS)).mappings().one())
    assert (row["chain"], row["through_seq"], row["pruned"]) == ("predictions", 4, 4)
    assert (row["oldest"], row["newest"]) == (
        "2026-03-01T09:30:00.000000Z",
        "2026-03-01T09:30:03.000000Z",
    )


@on_both
def test_many_go_in_batches(store: AuditStore, log: AuditLog, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.retention.BATCH", 3)
    store.submit(records(10)).result(10)
    assert prune(log, after(8)) == Pruned(8, 0)
    state = verify(log)
    assert state.intact
    assert [chain.rows for chain in state.chains] == [3, 2, 0]


@on_both
def test_all_may_go_and_writing_goes_on(store: AuditStore, log: AuditLog):
    store.submit(records(5)).result(10)
    assert prune(log, now()) == Pruned(5, 0)
    assert prune(log, now()) == Pruned(0, 0)
    state = verify(log, heads_now(log))
    assert state.intact
    assert (state.chains[1].rows, state.chains[1].last) == (0, 5)
    store.submit([record()]).result(10)
    assert verify(log).chains[1].last == 6


def test_only_the_front_goes(store: AuditStore, log: AuditLog):
    out_of_order = [record(n) for n in (0, 1, 9, 2, 3)]  # handed in late by another worker
    store.submit(out_of_order).result(10)
    assert prune(log, after(5)) == Pruned(2, 0)
    assert kept_in(store) == out_of_order[2:]


def test_feedback_goes_by_its_own_time(store: AuditStore, log: AuditLog):
    made = record()
    store.submit([made]).result(10)
    store.add_feedback(made.id, "open", agree=True, label=None, note="today")
    assert prune(log, now() - timedelta(days=1)) == Pruned(1, 0)
    assert prune(log, now() + timedelta(days=1)) == Pruned(0, 1)
    state = verify(log)
    assert state.intact
    assert {chain.chain: chain.pruned_through for chain in state.chains}["feedback"] == 1


def test_earlier_heads_hold_across_pruning(store: AuditStore, log: AuditLog):
    store.submit(records(3)).result(10)
    early = heads_now(log)
    store.submit([record(n) for n in range(3, 6)]).result(10)
    middle = heads_now(log)
    store.submit([record(n) for n in range(6, 9)]).result(10)
    prune(log, after(6))
    assert verify(log, [*early, *middle]).intact


def faults(log: AuditLog) -> list[tuple[str, str, int | None]]:
    return [
        (state.chain, finding.fault.value, finding.seq)
        for state in verify(log).chains
        for finding in state.findings
    ]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM checkpoints", ("checkpoints", "cut_off", 1)),
        ("UPDATE checkpoints SET through_seq = 7", ("checkpoints", "changed", 1)),
        ("DELETE FROM predictions WHERE seq <= 6", ("predictions", "missing", 5)),
    ],
)
def test_pruning_cannot_be_faked(store, log, execute, statement, expected):
    store.submit(records(10)).result(10)
    prune(log, after(4))
    execute(statement)
    assert expected in faults(log)


def test_rows_that_come_back_show(store: AuditStore, log: AuditLog, execute):
    store.submit(records(10)).result(10)
    prune(log, after(4))
    execute("UPDATE predictions SET seq = 2 WHERE seq = 10")
    assert ("predictions", "added", 2) in faults(log)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM predictions WHERE seq = 6",
        "UPDATE predictions SET label = 'no_tumor' WHERE seq = 6",
        "UPDATE predictions SET created = '2026-03-01T09:30:00.000000Z' WHERE seq = 8",
        "UPDATE predictions SET created = '2030-03-01T09:30:00.000000Z' WHERE seq = 6",
        "UPDATE predictions SET seq = -3 WHERE seq = 10",
        "UPDATE checkpoints SET through_seq = 3",
        "DELETE FROM checkpoints",
    ],
)
def test_what_was_changed_is_never_covered_up(store, log, execute, statement: str):
    store.submit(records(10)).result(10)
    prune(log, after(4))
    execute(statement)
    before = [record.request_id for record in kept_in(store)], faults(log)
    with pytest.raises(AuditError, match="not as it was written"):
        prune(log, after(9))
    assert ([record.request_id for record in kept_in(store)], faults(log)) == before


@pytest.mark.parametrize(
    "odd", ["tumor_flag = 7", "confidence = 9e999", "label = x'ff00'", "mac = x'00'"]
)
def test_odd_values_are_never_covered_up(store, log, execute, odd: str):
    store.submit(records(5)).result(10)
    execute(f"UPDATE predictions SET {odd} WHERE seq = 2")
    with pytest.raises(AuditError, match="row 2 is not as it was written"):
        prune(log, now())


def test_a_checkpoint_moved_over_missing_rows_is_never_covered_up(store, log, execute):
    store.submit(records(10)).result(10)
    prune(log, after(4))
    code = "(SELECT mac FROM predictions WHERE seq = 6)"
    execute(f"UPDATE checkpoints SET through_seq = 6, through_mac = {code}")
    execute("DELETE FROM predictions WHERE seq <= 6")
    with pytest.raises(AuditError, match="checkpoints: row 1 is not as it was written"):
        prune(log, after(9))


def test_rows_beyond_the_head_are_never_covered_up(store: AuditStore, log: AuditLog):
    """A genuine row, whose code fits, behind a head that was put back."""
    store.submit(records(4)).result(10)
    with log.database.reading() as connection:
        head = dict(connection.execute(select(HEADS)).mappings().first())
    store.submit([record(4)]).result(10)
    with log.database.writing() as connection:
        this = update(HEADS).where(HEADS.c.chain == head["chain"])
        connection.execute(this.values(head))
    with pytest.raises(AuditError, match="row 5 is not as it was written"):
        prune(log, now())


@on_both
def test_a_checkpoint_over_rows_that_were_gone_shows(store: AuditStore, log: AuditLog):
    """What retention wrote before it checked rows."""
    store.submit(records(4)).result(10)
    with log.database.writing() as connection:
        end = log.end(connection, "predictions")
        connection.execute(delete(PREDICTIONS))
        values = {"through_seq": end.seq, "through_mac": end.mac, "pruned": 3}
        row = {"created": "-", "chain": "predictions", "oldest": "-", "newest": "-", **values}
        log.append(connection, CHECKPOINTS, [row])
    assert faults(log) == [("checkpoints", "checkpoint", 1)]


def test_one_batch_of_one_chain_at_a_time(store: AuditStore, log: AuditLog, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.retention.BATCH", 3)
    kept = records(5)
    store.submit(kept).result(10)
    store.add_feedback(kept[0].id, "open", agree=True, label=None, note=None)
    left = []
    while prune_some(log, now()):
        left.append([chain.rows for chain in verify(log).chains])
    assert left == [[1, 2, 1], [2, 0, 1], [3, 0, 0]]


def test_nothing_of_a_pruned_row_stays_in_the_file_of_sqlite(tmp_path: Path):
    file = tmp_path / "audit.db"
    settings = AuditSettings(database_url=f"sqlite:///{file}", key=KEY)
    store = AuditStore.open(settings)
    store.submit([record(n, request_id=f"marked-request-{n}") for n in range(50)]).result(10)
    log = AuditLog.open(settings, create=False)
    prune(log, now())
    log.close()
    store.close()  # the last to close folds the write-ahead log into the file
    assert b"marked-request" not in file.read_bytes()
    assert not (tmp_path / "audit.db-wal").exists()
