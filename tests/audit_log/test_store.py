"""What is acknowledged is on disk, and reads back as it was."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from builders_records import KEY, START, kept_in, record, records
from postgres import Server, on_both
from slicewise.audit_log import database
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.verify import verify
from slicewise.errors import AuditError, ConfigError, FeedbackError

ODD = {
    "caller": "Ärztin 医生 🙂",
    "confidence": -0.0,
    "probabilities": {"glioma": 1e-300, "no_tumor": 0.1 + 0.2, "a \"b\" 'c' é": 1.0},
    "tumor_probability": None,
    "tumor_flag": None,
    "threshold": None,
    "prediction_set": None,
    "slice_index": 7,
    "reasons": ["low_confidence", "not_mr"],
    "latency_ms": 1e15 + 0.3,
    "summary": {},
    "ood_score": 5e-324,
}


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    given_up = time.monotonic() + 10
    while not true():
        assert time.monotonic() < given_up
        time.sleep(0.01)


@on_both
def test_a_record_reads_back_as_it_was(store: AuditStore):
    kept = [record(), record(1, **ODD), record(2, tumor_flag=False, prediction_set=[])]
    store.submit(kept).result(10)
    assert [store.get(one.id) for one in kept] == kept
    assert kept_in(store) == kept
    assert store.get("0" * 32) is None


def test_numpy_numbers_are_kept_as_numbers(store: AuditStore):
    made = record(confidence=np.float32(0.5), slice_index=np.int64(3), tumor_flag=np.True_)
    store.submit([made]).result(10)
    assert store.get(made.id) == record(id=made.id, confidence=0.5, slice_index=3, tumor_flag=True)


@on_both
def test_odd_values_do_not_break_the_chain(store: AuditStore, log: AuditLog):
    store.submit([record(number, **ODD) for number in range(3)]).result(10)
    assert verify(log).intact


def test_times_are_kept_in_utc(store: AuditStore):
    local = datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    made = record(created=local)
    store.submit([made]).result(10)
    found = store.get(made.id)
    assert found.created == local
    assert found.created.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "changed",
    [
        {"confidence": float("nan")},
        {"ood_score": float("inf")},
        {"summary": {"mean": float("nan")}},
        {"label": "a\0b"},
        {"reasons": ["\ud800"]},
        {"created": datetime(2026, 3, 1)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_cannot_be_kept_is_refused_at_once(store: AuditStore, changed):
    with pytest.raises(AuditError, match="expected"):
        store.submit([record(), record(1, **changed)])
    assert kept_in(store) == []


@on_both
def test_records_by_time_and_arm(store: AuditStore):
    kept = [record(number, arm="shadow" if number % 2 else "main") for number in range(6)]
    store.submit(kept).result(10)
    since, until = START + timedelta(seconds=1), START + timedelta(seconds=5)
    assert kept_in(store, since=since, until=until) == kept[1:5]
    assert kept_in(store, since=since, arm="shadow") == kept[1::2]
    with pytest.raises(AuditError, match="zone"):
        kept_in(store, since=datetime(2026, 3, 1))


def test_records_beyond_one_page_come_in_order(store: AuditStore, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.tables.PAGE", 7)
    kept = records(21)
    store.submit(kept).result(10)
    assert kept_in(store) == kept


@on_both
def test_a_record_twice_fails_alone(store: AuditStore, log: AuditLog):
    first = record()
    store.submit([first]).result(10)
    hold = threading.Event()
    with log.database.writing():  # commits wait, so what follows becomes one group
        blocked = store.submit([record(1)])
        good, bad, other = (
            store.submit([record(2)]),
            store.submit([record(3), first]),
            store.submit([record(4)]),
        )
        hold.wait(0.2)
    for done in (blocked, good, other):
        done.result(15)
    with pytest.raises(AuditError) as refused:
        bad.result(15)
    assert KEY not in str(refused.value)
    assert "request-3" not in str(refused.value)
    assert [one.request_id for one in kept_in(store)] == [f"request-{n}" for n in (0, 1, 2, 4)]
    assert verify(log).intact


@on_both
def test_many_threads_share_commits_and_lose_nothing(store: AuditStore, log: AuditLog):
    made = [records(10, caller=f"thread-{number}") for number in range(16)]

    def hand_in(batch):
        for one in batch:
            store.submit([one]).result(30)

    threads = [threading.Thread(target=hand_in, args=(batch,)) for batch in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = kept_in(store)
    assert {one.id for one in kept} == {one.id for batch in made for one in batch}
    for batch in made:  # one caller's records stay in the order in which he sent them
        mine = [one for one in kept if one.caller == batch[0].caller]
        assert mine == batch
    assert verify(log).intact


class Racing:
    """A cursor of SQLite while another process turns the same new file to WAL."""

    def __init__(self, code: int) -> None:
        self.code, self.asked = code, 0

    def execute(self, _: str) -> Racing:
        self.asked += 1
        if self.asked < 3:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error
        return self

    def fetchone(self) -> tuple[str]:
        return ("wal",)


def test_processes_that_make_one_file_at_the_same_time_wait_for_each_other():
    racing = Racing(sqlite3.SQLITE_BUSY_RECOVERY)
    assert database._wal(racing) == "wal"
    assert racing.asked == 3
    with pytest.raises(sqlite3.OperationalError):
        database._wal(Racing(sqlite3.SQLITE_IOERR))


@on_both
def test_two_processes_worth_of_stores_write_one_chain(settings: AuditSettings, store, log):
    other = AuditStore.open(settings)
    futures = [s.submit([record(n)]) for n in range(40) for s in (store, other)]
    for done in futures:
        done.result(30)
    other.close()
    state = verify(log)
    assert state.intact
    assert {chain.chain: chain.rows for chain in state.chains}["predictions"] == 80


def test_a_cancelled_wait_does_not_lose_the_record(store: AuditStore):
    made = record()
    done = store.submit([made])
    assert not done.cancel()
    done.result(10)
    assert store.get(made.id) == made


@on_both
def test_close_writes_what_waits(settings: AuditSettings):
    store = AuditStore.open(settings)
    futures = [store.submit([record(number)]) for number in range(50)]
    store.close()
    assert all(done.done() and done.exception() is None for done in futures)
    with pytest.raises(AuditError, match="closed"):
        store.submit([record()])


def test_too_much_that_waits_is_refused(store: AuditStore, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.store.WAITING", 3)
    with pytest.raises(AuditError, match="behind"):
        store.submit(records(4))


def test_nothing_to_write_is_done_at_once(store: AuditStore):
    assert store.submit([]).done()


@on_both
def test_feedback(store: AuditStore, log: AuditLog):
    made = record()
    store.submit([made]).result(10)
    first = store.add_feedback(made.id, "reader", agree=True, label=None, note="clear")
    second = store.add_feedback(made.id, "open", agree=False, label="no_tumor", note=None)
    said = store.feedback_of(made.id)
    assert [(one.id, one.caller, one.agree, one.label, one.note) for one in said] == [
        (first, "reader", True, None, "clear"),
        (second, "open", False, "no_tumor", None),
    ]
    assert store.feedback_of("0" * 32) == []
    assert verify(log).intact


@pytest.mark.parametrize(
    ("agree", "label", "note", "message"),
    [
        (False, "pear", None, "expected one of glioma, no_tumor"),
        (True, "no_tumor", None, "agrees with glioma cannot name no_tumor"),
        (False, "glioma", None, "disagrees with glioma cannot name glioma"),
        (True, None, "x" * 2001, "at most 2000 characters; got 2001"),
        (True, None, "a\0b", "NUL"),
    ],
)
def test_feedback_that_does_not_fit(store: AuditStore, agree, label, note, message):
    made = record()
    store.submit([made]).result(10)
    with pytest.raises(FeedbackError, match=message):
        store.add_feedback(made.id, "open", agree=agree, label=label, note=note)
    assert store.feedback_of(made.id) == []


def test_feedback_needs_its_prediction(store: AuditStore):
    with pytest.raises(FeedbackError, match="expected the id of a prediction"):
        store.add_feedback("0" * 32, "open", agree=True, label=None, note=None)


@on_both
def test_ping_writes_for_real_and_only_now_and_then(store: AuditStore, execute, monkeypatch):
    store.ping()
    execute("UPDATE heads SET seal = 'x' WHERE chain = 'predictions'")
    store.ping()  # proved a moment ago
    monkeypatch.setattr("slicewise.audit_log.store._PROOF_S", 0.0)
    with pytest.raises(AuditError, match="the head of predictions was changed"):
        store.ping()


def test_a_file_that_was_moved_away_is_noticed(settings: AuditSettings, tmp_path: Path):
    store = AuditStore.open(settings)
    store.submit([record(1)]).result(10)
    (tmp_path / "audit.db").rename(tmp_path / "away.db")
    with pytest.raises(AuditError, match="moved, deleted or replaced"):
        store.submit([record(2)]).result(20)
    with pytest.raises(AuditError):
        store.ping()
    (tmp_path / "away.db").rename(tmp_path / "audit.db")
    store.submit([record(3)]).result(10)
    store.ping()
    store.close()


def test_ping_after_the_end(settings: AuditSettings):
    store = AuditStore.open(settings)
    store.close()
    with pytest.raises(AuditError, match="ended"):
        store.ping()


@on_both
def test_it_opens_again_with_the_same_key_only(settings: AuditSettings, url: str):
    first = AuditStore.open(settings)
    made = record()
    first.submit([made]).result(10)
    first.close()
    again = AuditStore.open(settings)
    assert again.get(made.id) == made
    again.close()
    other = AuditSettings(database_url=url, key="x" * 32)
    with pytest.raises(AuditError, match="was written with the key"):
        AuditStore.open(other)


@on_both
def test_old_predictions_are_pruned_by_the_writer(settings, store: AuditStore, monkeypatch):
    store.submit(records(3)).result(10)  # of a spring long past
    from slicewise.audit_log.tables import now

    young = record(created=now())
    store.submit([young]).result(10)
    monkeypatch.setattr("slicewise.audit_log.store.FIRST_CHORE_S", 0.0)
    pruning = AuditStore.open(replace(settings, retention_days=30))
    until(lambda: kept_in(store) == [young])
    pruning.close()


def test_who_only_opens_and_closes_prunes_nothing(settings: AuditSettings, store: AuditStore):
    kept = records(3)
    store.submit(kept).result(10)
    AuditStore.open(replace(settings, retention_days=30)).close()
    assert kept_in(store) == kept


def test_what_was_changed_is_not_pruned_but_told(settings, store, execute, monkeypatch, caplog):
    store.submit(records(3)).result(10)
    execute("UPDATE predictions SET decision = 'reject' WHERE seq = 2")
    monkeypatch.setattr("slicewise.audit_log.store.FIRST_CHORE_S", 0.0)
    pruning = AuditStore.open(replace(settings, retention_days=30))
    until(lambda: "audit retention: predictions: row 2 is not as it was written" in caplog.text)
    pruning.submit([record(3)]).result(10)  # the writer goes on
    pruning.close()
    assert len(kept_in(store)) == 4


def test_sqlite_is_durable_and_private(tmp_path: Path):
    store = AuditStore.open(AuditSettings(database_url=f"sqlite:///{tmp_path / 'audit.db'}"))
    with store._audit.database.reading() as connection:
        asked = ("journal_mode", "synchronous", "secure_delete")
        found = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in asked]
    store.close()
    assert found == ["wal", 2, 1]
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert files == {"audit.db": 0o600, "audit.db.key": 0o600}


def test_postgres_is_durable(postgres_url: str):
    store = AuditStore.open(AuditSettings(database_url=postgres_url, key=KEY))
    with store._audit.database.reading() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    store.close()


def test_a_restart_of_postgres_loses_nothing(postgres: Server, postgres_url: str):
    settings = AuditSettings(database_url=postgres_url, key=KEY)
    store = AuditStore.open(settings)
    store.submit([record()]).result(10)
    postgres.stop()
    futures = [store.submit([record(number)]) for number in range(1, 4)]
    postgres.start()
    for done in futures:
        done.result(30)
    assert [one.request_id for one in kept_in(store)] == [f"request-{n}" for n in range(4)]
    log = AuditLog.open(settings, create=False)
    assert verify(log).intact
    log.close()
    store.close()


def test_a_commit_that_only_seemed_to_fail_is_not_repeated(store: AuditStore, monkeypatch):
    append, calls = store._append, []

    def lost_answer(rows):
        append(rows)
        calls.append(len(rows))
        raise AuditError("connection lost") from OperationalError("", {}, Exception("lost"))

    monkeypatch.setattr(store, "_append", lost_answer)
    kept = records(2)
    store.submit(kept).result(10)
    assert calls == [2]
    assert kept_in(store) == kept


def lost() -> AuditError:
    """What a connection that breaks during a commit raises."""
    error = AuditError("connection lost")
    error.__cause__ = OperationalError("", {}, Exception("lost"))
    return error


@on_both
def test_a_commit_that_arrives_after_the_look_is_no_conflict(store: AuditStore, monkeypatch):
    append, calls = store._append, []

    def late(rows):
        calls.append(len(rows))
        if len(calls) == 1:
            raise lost()
        if len(calls) == 2:
            append(rows)  # the first commit, which the server finishes only now
        append(rows)

    monkeypatch.setattr(store, "_append", late)
    kept = records(2)
    store.submit(kept).result(10)
    assert calls == [2, 2]
    assert kept_in(store) == kept


@on_both
def test_a_record_twice_is_refused_after_a_lost_connection_too(store: AuditStore, monkeypatch):
    first = record()
    store.submit([first]).result(10)
    append, calls = store._append, []

    def once_lost(rows):
        calls.append(len(rows))
        if len(calls) == 1:
            raise lost()
        append(rows)

    monkeypatch.setattr(store, "_append", once_lost)
    began = time.monotonic()
    with pytest.raises(AuditError, match=r"(?i)unique"):
        store.submit([first, record(1)]).result(10)
    assert time.monotonic() - began < 4
    assert kept_in(store) == [first]


def test_only_the_first_waits_for_a_database_that_stays_away(store: AuditStore, monkeypatch):
    append, calls = store._append, []

    def away(rows):
        calls.append(len(rows))
        raise lost()

    monkeypatch.setattr(store, "_append", away)
    monkeypatch.setattr("slicewise.audit_log.store.RETRY_S", 1.5)
    tries = []
    for number in range(2):
        calls.clear()
        with pytest.raises(AuditError, match="connection lost"):
            store.submit([record(number)]).result(10)
        tries.append(len(calls))
    assert tries[0] > tries[1] == 2
    monkeypatch.setattr(store, "_append", append)
    back = record(2)
    store.submit([back]).result(10)
    assert kept_in(store) == [back]
    monkeypatch.setattr(store, "_append", away)
    calls.clear()
    with pytest.raises(AuditError):
        store.submit([record(3)]).result(10)
    assert len(calls) == tries[0]  # it had come back


def test_why_the_database_failed_is_logged(settings, store, execute, monkeypatch, caplog):
    made = record()
    store.submit([made]).result(10)
    monkeypatch.setattr("slicewise.audit_log.store._PROOF_S", 0.0)
    execute("UPDATE heads SET seal = 'x'")
    asked = [
        lambda: store.submit([record(1)]).result(10),
        lambda: store.add_feedback(made.id, "open", agree=True, label=None, note=None),
        store.ping,
    ]
    for ask in asked:
        caplog.clear()
        with pytest.raises(AuditError):
            ask()
        assert [(one.levelname, one.name.split(".")[0]) for one in caplog.records] == [
            ("ERROR", "slicewise")
        ]
        assert "was changed" in caplog.text
    keys = KeyStore.open(settings)
    secret = keys.create("reader", Role.PREDICT)
    execute("DROP TABLE api_keys")
    caplog.clear()
    with pytest.raises(AuditError):
        keys.find(secret)
    keys.close()
    assert "no such table: api_keys" in caplog.text
    assert secret not in caplog.text
    execute("DROP TABLE predictions")
    caplog.clear()
    with pytest.raises(AuditError):
        store.get(made.id)
    assert "no such table" in caplog.text


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"database_url": "sqlite://"}, ConfigError, "sqlite:///FILE"),
        ({"database_url": "mysql://a:secret@b/c"}, ConfigError, r"mysql://a:\*\*\*@b/c"),
        ({"database_url": "no url"}, ConfigError, "SQLAlchemy URL"),
        ({"key": "short"}, ConfigError, "at least 32 characters; got 5"),
        ({"database_url": "sqlite:////no/such/folder/a.db"}, AuditError, "No such file"),
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, changed, error, message):
    given = {"database_url": f"sqlite:///{tmp_path / 'a.db'}", **changed}
    with pytest.raises(error, match=message):
        AuditStore.open(AuditSettings(**given))


def test_postgres_that_is_not_there_names_no_password():
    gone = AuditSettings(database_url="postgresql://u:hunter2@127.0.0.1:9/x", key="k" * 32)
    with pytest.raises(AuditError) as refused:
        AuditStore.open(gone)
    assert "hunter2" not in str(refused.value)


def test_postgres_needs_a_key(postgres_url: str):
    with pytest.raises(AuditError, match="SLICEWISE_AUDIT_KEY; got none"):
        AuditStore.open(AuditSettings(database_url=postgres_url))


def test_a_lost_key_file_is_not_replaced(tmp_path: Path):
    settings = AuditSettings(database_url=f"sqlite:///{tmp_path / 'audit.db'}")
    AuditStore.open(settings).close()
    (tmp_path / "audit.db.key").unlink()
    with pytest.raises(AuditError, match=r"audit\.db\.key"):
        AuditStore.open(settings)
    assert [path.name for path in tmp_path.iterdir()] == ["audit.db"]
