"""A changed, missing, added or cut-off row shows, and so does another key."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from builders_records import KEY, records
from postgres import on_both
from slicewise.audit_log.anchor import Anchor, anchors_now, read_anchors
from slicewise.audit_log.chain import ChainKey, Place
from slicewise.audit_log.ledger import Ledger
from slicewise.audit_log.settings import AuditSettings, chain_key
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import CHECKPOINTS, HEADS, PREDICTIONS
from slicewise.audit_log.verify import Verification, verify
from slicewise.errors import AuditError

N = 8


@pytest.fixture(autouse=True)
def _filled(store: AuditStore) -> None:
    kept = records(N)
    store.submit(kept).result(10)
    store.add_feedback(kept[0].id, "open", agree=True, label=None, note=None)
    store.add_feedback(kept[1].id, "open", agree=False, label="no_tumor", note="too bright")


def faults(found: Verification) -> list[tuple[str, str, int | None]]:
    return [
        (state.chain, finding.fault.value, finding.seq)
        for state in found.chains
        for finding in state.findings
    ]


def test_what_was_not_touched_is_intact(ledger: Ledger):
    found = verify(ledger, anchors_now(ledger))
    assert found.intact
    assert {state.chain: (state.rows, state.last) for state in found.chains} == {
        "checkpoints": (0, 0),
        "predictions": (N, N),
        "feedback": (2, 2),
    }
    assert found.anchors == 3


@pytest.mark.parametrize(
    "change",
    [
        "decision = 'reject'",
        "confidence = 0.89999999999999",
        "caller = ''",
        "distance = NULL",
        "slice_index = 0",
        "tumor_flag = NOT tumor_flag",
        "created = '2026-03-01T09:30:03.000001Z'",
        "input_sha256 = '" + "f" * 64 + "'",
        'probabilities = \'{"glioma":0.8,"no_tumor":0.2}\'',
        "mac = '" + "0" * 64 + "'",
    ],
    ids=lambda change: change.split(" ")[0],
)
def test_a_changed_row_shows(ledger: Ledger, execute: Callable[[str], None], change: str):
    execute(f"UPDATE predictions SET {change} WHERE seq = 4")
    found = faults(verify(ledger))
    assert ("predictions", "changed", 4) in found
    # a changed code also breaks the link of the row after it
    assert found[1:] == ([("predictions", "changed", 5)] if change.startswith("mac") else [])


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("predictions", "tumor_flag = 7"),
        ("predictions", "tumor_flag = 'yes'"),
        ("predictions", "confidence = 9e999"),
        ("predictions", "confidence = 'high'"),
        ("predictions", "label = x'ff00'"),
        ("predictions", "label = CAST(x'ff41' AS TEXT)"),
        ("predictions", "mac = x'00'"),
        ("predictions", "mac = CAST(x'ff' AS TEXT)"),
        ("feedback", "agree = 2"),
    ],
)
def test_values_that_no_service_writes_show_by_row(ledger, execute, table: str, change: str):
    execute(f"UPDATE {table} SET {change} WHERE seq = 1")
    found = faults(verify(ledger))
    assert found[0] == (table, "changed", 1)
    assert found[1:] == ([(table, "changed", 2)] if change.startswith("mac") else [])


@pytest.mark.parametrize(
    "change",
    [
        "seq = 'abc'",
        "seq = x'00'",
        "seq = 9e999",
        "seq = 2.5",
        "mac = x'00'",
        "mac = CAST(x'ff' AS TEXT)",
        "seal = x'00'",
        "seal = CAST(x'ff' AS TEXT)",
    ],
)
def test_heads_that_no_service_writes_show(ledger, store, execute, monkeypatch, change: str):
    monkeypatch.setattr("slicewise.audit_log.store.RETRY_S", 0.0)
    anchors = anchors_now(ledger)
    execute(f"UPDATE heads SET {change} WHERE chain = 'predictions'")
    assert ("predictions", "head", None) in faults(verify(ledger, anchors))
    with pytest.raises(AuditError, match=r"head of predictions was changed|UTF-8"):
        store.submit(records(1)).result(10)


@pytest.mark.parametrize("key_id", ["x'00'", "CAST(x'ff' AS TEXT)", "5"])
def test_names_of_keys_that_no_service_writes_show(ledger: Ledger, execute, key_id: str):
    execute(f"UPDATE heads SET key_id = {key_id} WHERE chain = 'feedback'")
    found = verify(ledger)
    assert faults(found) == [("feedback", "key", None)]
    found.chains[2].findings[0].text.encode()  # can be printed


def test_odd_checkpoints_show(ledger: Ledger, execute, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.verify.SHOWN", 1)
    rows = [{"created": "-", "chain": "feedback", "oldest": "-", "newest": "-"} for _ in range(4)]
    with ledger.database.writing() as connection:
        values = {"through_seq": 1, "through_mac": "-", "pruned": 1}
        ledger.append(connection, CHECKPOINTS, [{**row, **values} for row in rows])
    execute("UPDATE checkpoints SET through_seq = 'abc', chain = CAST(x'ff' AS TEXT)")
    execute("DELETE FROM checkpoints WHERE seq = 2")  # so that 3 cannot be checked
    assert verify(ledger).chains[0].faults == 3


@on_both
def test_every_column_is_covered(ledger: Ledger, execute: Callable[[str], None]):
    with ledger.database.reading() as connection:
        first, second = connection.execute(select(PREDICTIONS).limit(2)).mappings()
    row, end = dict(second), Place(2, first["mac"])
    assert ledger.key.row_mac("predictions", end, row) == second["mac"]
    for name in set(row) - {"seq", "mac"}:
        changed = {**row, name: "changed"}
        assert ledger.key.row_mac("predictions", end, changed) != second["mac"], name


@on_both
def test_changed_feedback_shows(ledger: Ledger, execute: Callable[[str], None]):
    execute("UPDATE feedback SET note = 'fine' WHERE seq = 2")
    assert faults(verify(ledger)) == [("feedback", "changed", 2)]


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("seq = 4", [("predictions", "missing", 4)]),
        ("seq BETWEEN 3 AND 5", [("predictions", "missing", 3)]),
        ("seq = 1", [("predictions", "missing", 1)]),
        ("seq IN (2, 6)", [("predictions", "missing", 2), ("predictions", "missing", 6)]),
    ],
)
def test_a_missing_row_shows(ledger: Ledger, execute, gone: str, expected):
    execute(f"DELETE FROM predictions WHERE {gone}")
    assert faults(verify(ledger)) == expected


@on_both
def test_rows_closed_up_after_one_was_taken_show(ledger: Ledger, execute):
    execute("DELETE FROM predictions WHERE seq = 4")
    for seq in range(5, N + 1):
        execute(f"UPDATE predictions SET seq = {seq - 1} WHERE seq = {seq}")
    assert ("predictions", "changed", 4) in faults(verify(ledger))


def test_two_rows_exchanged_show(ledger: Ledger, execute):
    for old, new in ((3, 100), (4, 3), (100, 4)):
        execute(f"UPDATE predictions SET seq = {new} WHERE seq = {old}")
    assert ("predictions", "changed", 3) in faults(verify(ledger))


@on_both
def test_a_cut_off_tail_shows(ledger: Ledger, execute):
    execute(f"DELETE FROM predictions WHERE seq > {N - 3}")
    found = verify(ledger)
    assert faults(found) == [("predictions", "cut_off", N - 2)]
    assert found.chains[1].findings[0].text == f"rows {N - 2} to {N} are missing at the end"


def test_a_cut_off_tail_with_its_head_moved_shows(ledger: Ledger, execute):
    with ledger.database.writing() as connection:
        mac = connection.execute(
            select(PREDICTIONS.c.mac).where(PREDICTIONS.c.seq == 5)
        ).scalar_one()
        connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.seq > 5))
        moved = update(HEADS).where(HEADS.c.chain == "predictions")
        connection.execute(moved.values(seq=5, mac=mac))
    assert faults(verify(ledger)) == [("predictions", "head", None)]
    with pytest.raises(AuditError, match="the head of predictions was changed"):
        anchors_now(ledger)


def put_back(ledger: Ledger, seq: int) -> None:
    """The state the database had after a row, valid codes and all: an old backup restored."""
    with ledger.database.writing() as connection:
        row = select(PREDICTIONS.c.mac).where(PREDICTIONS.c.seq == seq)
        end = Place(seq, connection.execute(row).scalar_one())
        connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.seq > seq))
        values = {"seq": seq, "mac": end.mac, "seal": ledger.key.seal("predictions", end)}
        connection.execute(update(HEADS).where(HEADS.c.chain == "predictions").values(values))


@on_both
def test_a_database_put_back_shows_against_an_anchor(ledger: Ledger, store: AuditStore):
    anchors = anchors_now(ledger)
    put_back(ledger, 5)
    assert verify(ledger).intact  # by itself it cannot know better
    found = verify(ledger, anchors)
    assert faults(found) == [("predictions", "anchor", N)]
    store.submit(records(10)).result(10)  # grown past the anchor again, with other rows
    assert faults(verify(ledger, anchors)) == [("predictions", "anchor", N)]


def test_an_anchor_of_an_empty_chain_holds(ledger: Ledger):
    empty = dataclasses.replace(anchors_now(ledger)[2], chain="checkpoints")
    assert empty.end == ledger.key.beginning("checkpoints")
    assert verify(ledger, [empty]).intact
    other = dataclasses.replace(empty, end=Place(0, "0" * 64))
    assert faults(verify(ledger, [other])) == [("checkpoints", "anchor", 0)]


def test_an_added_row_shows(ledger: Ledger):
    with ledger.database.writing() as connection:
        row = dict(connection.execute(select(PREDICTIONS).limit(1)).mappings().one())
        connection.execute(insert(PREDICTIONS).values({**row, "seq": N + 1, "id": "x" * 32}))
        connection.execute(insert(PREDICTIONS).values({**row, "seq": -4, "id": "y" * 32}))
    assert faults(verify(ledger)) == [("predictions", "added", -4), ("predictions", "added", N + 1)]


def test_a_missing_head_shows(ledger: Ledger, store: AuditStore, execute):
    execute("DELETE FROM heads WHERE chain = 'feedback'")
    assert ("feedback", "head", None) in faults(verify(ledger))
    with pytest.raises(AuditError, match="the head of feedback is missing"):
        store.add_feedback(next(store.records()).id, "open", agree=True, label=None, note=None)


@on_both
def test_a_wrong_key_shows(ledger: Ledger, url: str):
    other = Ledger(ledger.database, ChainKey(b"another key of thirty-two letters"))
    assert faults(verify(other)) == [
        (chain, "key", None) for chain in ("checkpoints", "predictions", "feedback")
    ]
    # ... even where the note of which key it was is forged
    with ledger.database.writing() as connection:
        connection.execute(update(HEADS).values(key_id=other.key.id))
    found = faults(verify(other))
    assert ("predictions", "head", None) in found
    assert ("predictions", "changed", 1) in found
    assert KEY not in repr(found)


def test_a_row_made_with_another_key_shows(ledger: Ledger):
    forger = ChainKey(b"another key of thirty-two letters")
    with ledger.database.writing() as connection:
        rows = connection.execute(select(PREDICTIONS).order_by(PREDICTIONS.c.seq)).mappings().all()
        forged = {**dict(rows[3]), "decision": "reject"}
        mac = forger.row_mac("predictions", Place(4, rows[2]["mac"]), forged)
        this = update(PREDICTIONS).where(PREDICTIONS.c.seq == 4)
        connection.execute(this.values(decision="reject", mac=mac))
    assert ("predictions", "changed", 4) in faults(verify(ledger))


def test_many_findings_are_counted_and_few_are_kept(ledger: Ledger, execute, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.verify.SHOWN", 3)
    execute("UPDATE predictions SET decision = 'reject'")
    state = verify(ledger).chains[1]
    assert (state.faults, len(state.findings)) == (N, 3)


def test_verify_goes_on_over_pages_and_tells_how_far_it_is(ledger: Ledger, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.reading.PAGE", 3)
    told = []
    assert verify(ledger, progress=lambda *what: told.append(what)).intact
    assert told[-3:] == [("predictions", N, N), ("feedback", 1, 2), ("feedback", 2, 2)]


@on_both
def test_verify_sees_one_state_while_others_write(ledger: Ledger, store: AuditStore, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.reading.PAGE", 2)

    def write(*_: object) -> None:
        store.submit(records(1)).result(10)

    found = verify(ledger, progress=write)
    assert found.intact
    assert found.chains[1].rows == N
    assert verify(ledger).chains[1].rows > N


def test_anchors_in_a_file(ledger: Ledger, tmp_path: Path):
    anchors = anchors_now(ledger)
    path = tmp_path / "anchors.txt"
    lines = ["# kept elsewhere", "", *(anchor.line() for anchor in anchors)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    assert read_anchors(path) == anchors


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got none"),
        ("predictions 3 abc", "line 1: expected time, chain, number, code and key"),
        ("2026-03-01T09:30:00.000000Z pears 3 a b", "line 1"),
        ("2026-03-01 predictions 3 a b", "expected a time"),
        ("ä", "expected a file of anchors"),
    ],
)
def test_files_that_hold_no_anchors(tmp_path: Path, content: str, message: str):
    path = tmp_path / "anchors.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AuditError, match=message):
        read_anchors(path)


def test_an_anchor_of_another_key_shows(ledger: Ledger):
    anchor = dataclasses.replace(anchors_now(ledger)[0], key_id="0" * 16)
    assert faults(verify(ledger, [anchor])) == [("predictions", "key", N)]


def test_a_file_of_sqlite_put_back_shows_against_an_anchor(tmp_path: Path):
    file = tmp_path / "own.db"
    settings = AuditSettings(database_url=f"sqlite:///{file}", key=KEY)
    with_rows = AuditStore.open(settings)
    with_rows.submit(records(3)).result(10)
    with_rows.close()
    shutil.copy(file, tmp_path / "backup.db")
    again = AuditStore.open(settings)
    again.submit(records(3)).result(10)
    again.close()
    ledger = Ledger.open(settings, create=False)
    anchors: list[Anchor] = anchors_now(ledger)
    ledger.close()
    shutil.copy(tmp_path / "backup.db", file)
    restored = Ledger.open(settings, create=False)
    assert verify(restored).intact
    assert faults(verify(restored, anchors)) == [("predictions", "anchor", 6)]
    restored.close()
    assert chain_key(settings, file, may_make=False).id == anchors[0].key_id
