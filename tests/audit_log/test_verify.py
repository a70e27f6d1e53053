"""A changed, missing, added or cut-off row shows, and so does another key."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from builders_records import KEY, kept_in, records
from postgres import on_both
from slicewise.audit_log.chain import AuditSettings, ChainKey, Place, chain_key
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import CHECKPOINTS, HEADS, PREDICTIONS
from slicewise.audit_log.verify import Head, Verification, heads_now, read_heads, verify
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


def test_what_was_not_touched_is_intact(log: AuditLog):
    found = verify(log, heads_now(log))
    assert found.intact
    assert {state.chain: (state.rows, state.last) for state in found.chains} == {
        "checkpoints": (0, 0),
        "predictions": (N, N),
        "feedback": (2, 2),
    }
    assert found.heads == 3


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
def test_a_changed_row_shows(log: AuditLog, execute: Callable[[str], None], change: str):
    execute(f"UPDATE predictions SET {change} WHERE seq = 4")
    found = faults(verify(log))
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
def test_values_that_no_service_writes_show_by_row(log, execute, table: str, change: str):
    execute(f"UPDATE {table} SET {change} WHERE seq = 1")
    found = faults(verify(log))
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
def test_heads_that_no_service_writes_show(log, store, execute, monkeypatch, change: str):
    monkeypatch.setattr("slicewise.audit_log.store.RETRY_S", 0.0)
    heads = heads_now(log)
    execute(f"UPDATE heads SET {change} WHERE chain = 'predictions'")
    assert ("predictions", "head", None) in faults(verify(log, heads))
    with pytest.raises(AuditError, match=r"head of predictions was changed|UTF-8"):
        store.submit(records(1)).result(10)


@pytest.mark.parametrize("key_id", ["x'00'", "CAST(x'ff' AS TEXT)", "5"])
def test_names_of_keys_that_no_service_writes_show(log: AuditLog, execute, key_id: str):
    execute(f"UPDATE heads SET key_id = {key_id} WHERE chain = 'feedback'")
    found = verify(log)
    assert faults(found) == [("feedback", "key", None)]
    found.chains[2].findings[0].text.encode()  # can be printed


def test_odd_checkpoints_show(log: AuditLog, execute, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.verify.SHOWN", 1)
    rows = [{"created": "-", "chain": "feedback", "oldest": "-", "newest": "-"} for _ in range(4)]
    with log.database.writing() as connection:
        values = {"through_seq": 1, "through_mac": "-", "pruned": 1}
        log.append(connection, CHECKPOINTS, [{**row, **values} for row in rows])
    execute("UPDATE checkpoints SET through_seq = 'abc', chain = CAST(x'ff' AS TEXT)")
    execute("DELETE FROM checkpoints WHERE seq = 2")  # so that 3 cannot be checked
    assert verify(log).chains[0].faults == 3


@on_both
def test_every_column_is_covered(log: AuditLog, execute: Callable[[str], None]):
    with log.database.reading() as connection:
        first, second = connection.execute(select(PREDICTIONS).limit(2)).mappings()
    row, end = dict(second), Place(2, first["mac"])
    assert log.key.row_mac("predictions", end, row) == second["mac"]
    for name in set(row) - {"seq", "mac"}:
        changed = {**row, name: "changed"}
        assert log.key.row_mac("predictions", end, changed) != second["mac"], name


@on_both
def test_changed_feedback_shows(log: AuditLog, execute: Callable[[str], None]):
    execute("UPDATE feedback SET note = 'fine' WHERE seq = 2")
    assert faults(verify(log)) == [("feedback", "changed", 2)]


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("seq = 4", [("predictions", "missing", 4)]),
        ("seq BETWEEN 3 AND 5", [("predictions", "missing", 3)]),
        ("seq = 1", [("predictions", "missing", 1)]),
        ("seq IN (2, 6)", [("predictions", "missing", 2), ("predictions", "missing", 6)]),
    ],
)
def test_a_missing_row_shows(log: AuditLog, execute, gone: str, expected):
    execute(f"DELETE FROM predictions WHERE {gone}")
    assert faults(verify(log)) == expected


@on_both
def test_rows_closed_up_after_one_was_taken_show(log: AuditLog, execute):
    execute("DELETE FROM predictions WHERE seq = 4")
    for seq in range(5, N + 1):
        execute(f"UPDATE predictions SET seq = {seq - 1} WHERE seq = {seq}")
    assert ("predictions", "changed", 4) in faults(verify(log))


def test_two_rows_exchanged_show(log: AuditLog, execute):
    for old, new in ((3, 100), (4, 3), (100, 4)):
        execute(f"UPDATE predictions SET seq = {new} WHERE seq = {old}")
    assert ("predictions", "changed", 3) in faults(verify(log))


@on_both
def test_a_cut_off_tail_shows(log: AuditLog, execute):
    execute(f"DELETE FROM predictions WHERE seq > {N - 3}")
    found = verify(log)
    assert faults(found) == [("predictions", "cut_off", N - 2)]
    assert found.chains[1].findings[0].text == f"rows {N - 2} to {N} are missing at the end"


def test_a_cut_off_tail_with_its_head_moved_shows(log: AuditLog, execute):
    with log.database.writing() as connection:
        mac = connection.execute(
            select(PREDICTIONS.c.mac).where(PREDICTIONS.c.seq == 5)
        ).scalar_one()
        connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.seq > 5))
        moved = update(HEADS).where(HEADS.c.chain == "predictions")
        connection.execute(moved.values(seq=5, mac=mac))
    assert faults(verify(log)) == [("predictions", "head", None)]
    with pytest.raises(AuditError, match="the head of predictions was changed"):
        heads_now(log)


def put_back(log: AuditLog, seq: int) -> None:
    """The state the database had after a row, valid codes and all: an old backup restored."""
    with log.database.writing() as connection:
        row = select(PREDICTIONS.c.mac).where(PREDICTIONS.c.seq == seq)
        end = Place(seq, connection.execute(row).scalar_one())
        connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.seq > seq))
        values = {"seq": seq, "mac": end.mac, "seal": log.key.seal("predictions", end)}
        connection.execute(update(HEADS).where(HEADS.c.chain == "predictions").values(values))


@on_both
def test_a_database_put_back_shows_against_an_earlier_head(log: AuditLog, store: AuditStore):
    heads = heads_now(log)
    put_back(log, 5)
    assert verify(log).intact  # by itself it cannot know better
    found = verify(log, heads)
    assert faults(found) == [("predictions", "anchor", N)]
    store.submit(records(10)).result(10)  # grown past the head again, with other rows
    assert faults(verify(log, heads)) == [("predictions", "anchor", N)]


def test_an_earlier_head_of_an_empty_chain_holds(log: AuditLog):
    empty = dataclasses.replace(heads_now(log)[2], chain="checkpoints")
    assert empty.end == log.key.beginning("checkpoints")
    assert verify(log, [empty]).intact
    other = dataclasses.replace(empty, end=Place(0, "0" * 64))
    assert faults(verify(log, [other])) == [("checkpoints", "anchor", 0)]


def test_an_added_row_shows(log: AuditLog):
    with log.database.writing() as connection:
        row = dict(connection.execute(select(PREDICTIONS).limit(1)).mappings().one())
        connection.execute(insert(PREDICTIONS).values({**row, "seq": N + 1, "id": "x" * 32}))
        connection.execute(insert(PREDICTIONS).values({**row, "seq": -4, "id": "y" * 32}))
    assert faults(verify(log)) == [("predictions", "added", -4), ("predictions", "added", N + 1)]


def test_a_missing_head_shows(log: AuditLog, store: AuditStore, execute):
    execute("DELETE FROM heads WHERE chain = 'feedback'")
    assert ("feedback", "head", None) in faults(verify(log))
    with pytest.raises(AuditError, match="the head of feedback is missing"):
        store.add_feedback(kept_in(store)[0].id, "open", agree=True, label=None, note=None)


@on_both
def test_a_wrong_key_shows(log: AuditLog, url: str):
    other = AuditLog(log.database, ChainKey(b"another key of thirty-two letters"))
    assert faults(verify(other)) == [
        (chain, "key", None) for chain in ("checkpoints", "predictions", "feedback")
    ]
    *lines, last = verify(other).text().splitlines()
    assert last.startswith("NOT CHECKED: with this key nothing matches, so the key may be wrong;")
    assert "predictions: not checked" in lines
    assert not any("0 rows" in line for line in lines)
    # ... even where the note of which key it was is forged
    with log.database.writing() as connection:
        connection.execute(update(HEADS).values(key_id=other.key.id))
    found = faults(verify(other))
    assert ("predictions", "head", None) in found
    assert ("predictions", "changed", 1) in found
    assert KEY not in repr(found)


def test_a_row_made_with_another_key_shows(log: AuditLog):
    forger = ChainKey(b"another key of thirty-two letters")
    with log.database.writing() as connection:
        rows = connection.execute(select(PREDICTIONS).order_by(PREDICTIONS.c.seq)).mappings().all()
        forged = {**dict(rows[3]), "decision": "reject"}
        mac = forger.row_mac("predictions", Place(4, rows[2]["mac"]), forged)
        this = update(PREDICTIONS).where(PREDICTIONS.c.seq == 4)
        connection.execute(this.values(decision="reject", mac=mac))
    assert ("predictions", "changed", 4) in faults(verify(log))


def test_many_findings_are_counted_and_few_are_kept(log: AuditLog, execute, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.verify.SHOWN", 3)
    execute("UPDATE predictions SET decision = 'reject'")
    state = verify(log).chains[1]
    assert (state.faults, len(state.findings)) == (N, 3)


def test_verify_goes_on_over_pages_and_tells_how_far_it_is(log: AuditLog, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.tables.PAGE", 3)
    told = []
    assert verify(log, progress=lambda *what: told.append(what)).intact
    assert told[-3:] == [("predictions", N, N), ("feedback", 1, 2), ("feedback", 2, 2)]


@on_both
def test_verify_sees_one_state_while_others_write(log: AuditLog, store: AuditStore, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.tables.PAGE", 2)

    def write(*_: object) -> None:
        store.submit(records(1)).result(10)

    found = verify(log, progress=write)
    assert found.intact
    assert found.chains[1].rows == N
    assert verify(log).chains[1].rows > N


def test_heads_in_a_file(log: AuditLog, tmp_path: Path):
    heads = heads_now(log)
    path = tmp_path / "heads.txt"
    lines = ["# kept elsewhere", "", *(head.line() for head in heads)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    assert read_heads(path) == heads


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got none"),
        ("predictions 3 abc", "line 1: expected time, chain, number, code and key"),
        ("2026-03-01T09:30:00.000000Z pears 3 a b", "line 1"),
        ("2026-03-01 predictions 3 a b", "expected a time"),
        ("ä", "expected lines that audit head printed"),
    ],
)
def test_files_that_hold_no_heads(tmp_path: Path, content: str, message: str):
    path = tmp_path / "heads.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AuditError, match=message):
        read_heads(path)


def test_an_earlier_head_of_another_key_shows(log: AuditLog):
    earlier = dataclasses.replace(heads_now(log)[0], key_id="0" * 16)
    assert faults(verify(log, [earlier])) == [("predictions", "key", N)]


def test_a_file_of_sqlite_put_back_shows_against_an_earlier_head(tmp_path: Path):
    file = tmp_path / "own.db"
    settings = AuditSettings(database_url=f"sqlite:///{file}", key=KEY)
    with_rows = AuditStore.open(settings)
    with_rows.submit(records(3)).result(10)
    with_rows.close()
    shutil.copy(file, tmp_path / "backup.db")
    again = AuditStore.open(settings)
    again.submit(records(3)).result(10)
    again.close()
    log = AuditLog.open(settings, create=False)
    heads: list[Head] = heads_now(log)
    log.close()
    shutil.copy(tmp_path / "backup.db", file)
    restored = AuditLog.open(settings, create=False)
    assert verify(restored).intact
    assert faults(verify(restored, heads)) == [("predictions", "anchor", 6)]
    restored.close()
    assert chain_key(settings, file, may_make=False).id == heads[0].key_id
