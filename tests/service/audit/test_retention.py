"""What is pruned is gone, and the chain says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from builders_records import KEY, START, record, records
from postgres import on_both
from slicewise.service.audit.anchor import anchors_now
from slicewise.service.audit.clock import now
from slicewise.service.audit.ledger import Ledger
from slicewise.service.audit.retention import Pruned, prune
from slicewise.service.audit.store import AuditStore
from slicewise.service.audit.tables import CHECKPOINTS
from slicewise.service.audit.verify import verify
from slicewise.service.settings import Settings


def after(seconds: int):
    return START + timedelta(seconds=seconds)


def test_old_rows_go_and_the_chain_holds(store: AuditStore, ledger: Ledger):
    kept = records(10)
    store.submit(kept).result(10)
    assert prune(ledger, after(4)) == Pruned(4, 0)
    assert list(store.records()) == kept[4:]
    state = verify(ledger)
    assert state.intact
    predictions = state.chains[1]
    assert (predictions.pruned_through, predictions.rows, predictions.last) == (4, 6, 10)
    store.submit([record(10)]).result(10)
    assert verify(ledger).intact


def test_a_checkpoint_says_what_went(store: AuditStore, ledger: Ledger):
    store.submit(records(10)).result(10)
    prune(ledger, after(4))
    with ledger.database.reading() as connection:
        row = dict(connection.execute(select(CHECKPOINTS)).mappings().one())
    assert (row["chain"], row["through_seq"], row["pruned"]) == ("predictions", 4, 4)
    assert (row["oldest"], row["newest"]) == (
        "2026-03-01T09:30:00.000000Z",
        "2026-03-01T09:30:03.000000Z",
    )


@on_both
def test_many_go_in_batches(store: AuditStore, ledger: Ledger, monkeypatch):
    monkeypatch.setattr("slicewise.service.audit.retention.BATCH", 3)
    store.submit(records(10)).result(10)
    assert prune(ledger, after(8)) == Pruned(8, 0)
    state = verify(ledger)
    assert state.intact
    assert [chain.rows for chain in state.chains] == [3, 2, 0]


@on_both
def test_all_may_go_and_writing_goes_on(store: AuditStore, ledger: Ledger):
    store.submit(records(5)).result(10)
    assert prune(ledger, now()) == Pruned(5, 0)
    assert prune(ledger, now()) == Pruned(0, 0)
    state = verify(ledger, anchors_now(ledger))
    assert state.intact
    assert (state.chains[1].rows, state.chains[1].last) == (0, 5)
    store.submit([record()]).result(10)
    assert verify(ledger).chains[1].last == 6


def test_only_the_front_goes(store: AuditStore, ledger: Ledger):
    out_of_order = [record(n) for n in (0, 1, 9, 2, 3)]  # handed in late by another worker
    store.submit(out_of_order).result(10)
    assert prune(ledger, after(5)) == Pruned(2, 0)
    assert list(store.records()) == out_of_order[2:]


def test_feedback_goes_by_its_own_time(store: AuditStore, ledger: Ledger):
    made = record()
    store.submit([made]).result(10)
    store.add_feedback(made.id, "open", agree=True, label=None, note="today")
    assert prune(ledger, now() - timedelta(days=1)) == Pruned(1, 0)
    assert prune(ledger, now() + timedelta(days=1)) == Pruned(0, 1)
    state = verify(ledger)
    assert state.intact
    assert {chain.chain: chain.pruned_through for chain in state.chains}["feedback"] == 1


def test_anchors_hold_across_pruning(store: AuditStore, ledger: Ledger):
    store.submit(records(3)).result(10)
    early = anchors_now(ledger)
    store.submit([record(n) for n in range(3, 6)]).result(10)
    middle = anchors_now(ledger)
    store.submit([record(n) for n in range(6, 9)]).result(10)
    prune(ledger, after(6))
    assert verify(ledger, [*early, *middle]).intact


def faults(ledger: Ledger) -> list[tuple[str, str, int | None]]:
    return [
        (state.chain, finding.fault.value, finding.seq)
        for state in verify(ledger).chains
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
def test_pruning_cannot_be_faked(store, ledger, execute, statement, expected):
    store.submit(records(10)).result(10)
    prune(ledger, after(4))
    execute(statement)
    assert expected in faults(ledger)


def test_rows_that_come_back_show(store: AuditStore, ledger: Ledger, execute):
    store.submit(records(10)).result(10)
    prune(ledger, after(4))
    execute("UPDATE predictions SET seq = 2 WHERE seq = 10")
    assert ("predictions", "added", 2) in faults(ledger)


@on_both
def test_rows_taken_before_the_pruning_show(store: AuditStore, ledger: Ledger, execute):
    store.submit(records(10)).result(10)
    execute("DELETE FROM predictions WHERE seq = 2")
    assert prune(ledger, after(4)) == Pruned(3, 0)
    assert faults(ledger) == [("checkpoints", "checkpoint", 1)]


def test_nothing_of_a_pruned_row_stays_in_the_file_of_sqlite(tmp_path: Path):
    file = tmp_path / "audit.db"
    settings = Settings(database_url=f"sqlite:///{file}", audit_key=SecretStr(KEY))
    store = AuditStore.open(settings)
    store.submit([record(n, request_id=f"marked-request-{n}") for n in range(50)]).result(10)
    ledger = Ledger.open(settings, create=False)
    prune(ledger, now())
    ledger.close()
    store.close()  # the last to close folds the write-ahead log into the file
    assert b"marked-request" not in file.read_bytes()
    assert not (tmp_path / "audit.db-wal").exists()
