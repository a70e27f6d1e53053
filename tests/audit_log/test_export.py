"""Tables for other programs hold what the database holds."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import pytest
from pyarrow import parquet

from builders_records import START, kept_in, record, records
from postgres import on_both
from slicewise.audit_log.export import export
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import FEEDBACK, PREDICTIONS, Span
from slicewise.errors import AuditError, ManifestError


@on_both
def test_csv(store: AuditStore, log: AuditLog, tmp_path: Path):
    kept = [record(), record(1, tumor_flag=None, prediction_set=None, caller='Ä, "x"\n')]
    store.submit(kept).result(10)
    assert export(log, PREDICTIONS, tmp_path / "out.csv", Span()) == 2
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [one.id for one in kept]
    assert json.loads(rows[0]["probabilities"]) == kept[0].probabilities
    assert float(rows[0]["distance"]) == kept[0].ood_score
    assert (rows[0]["tumor_flag"], rows[1]["tumor_flag"]) == ("True", "")
    assert rows[1]["caller"] == kept[1].caller
    assert rows[0]["created"] == "2026-03-01T09:30:00.000000Z"
    assert len(rows[0]["mac"]) == 64
    assert {path.name for path in tmp_path.glob("*out*")} == {"out.csv"}


@on_both
def test_parquet(store: AuditStore, log: AuditLog, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.export.GROUP", 3)
    kept = [*records(7), record(7, tumor_flag=None, prediction_set=None, summary={})]
    store.submit(kept).result(10)
    assert export(log, PREDICTIONS, tmp_path / "out.parquet", Span()) == 8
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["id"] for row in rows] == [one.id for one in kept]
    assert [row["created"] for row in rows] == [one.created for one in kept]
    assert dict(rows[0]["probabilities"]) == kept[0].probabilities
    assert rows[0]["prediction_set"] == ["glioma"]
    assert (rows[0]["tumor_flag"], rows[7]["tumor_flag"]) == (True, None)
    assert (rows[7]["prediction_set"], rows[7]["summary"]) == (None, [])
    assert [row["seq"] for row in rows] == list(range(1, 9))


def test_only_what_was_asked_for(store: AuditStore, log: AuditLog, tmp_path: Path):
    kept = [record(n, arm="shadow" if n % 2 else "main") for n in range(6)]
    store.submit(kept).result(10)
    span = Span(START + timedelta(seconds=1), START + timedelta(seconds=5), "shadow")
    told = []
    out = tmp_path / "out.csv"
    assert export(log, PREDICTIONS, out, span, lambda *what: told.append(what)) == 2
    assert told[-1] == ("predictions", 2, 2)


def test_feedback_that_a_spreadsheet_would_run(store: AuditStore, log: AuditLog, tmp_path: Path):
    made = record()
    store.submit([made]).result(10)
    for note in ("=cmd()", "plain", "@x"):
        store.add_feedback(made.id, "open", agree=True, label=None, note=note)
    assert export(log, FEEDBACK, tmp_path / "f.csv", Span(arm="main")) == 3
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as file:
        assert [row["note"] for row in csv.DictReader(file)] == ["'=cmd()", "plain", "'@x"]


def test_nothing_gives_an_empty_table(log: AuditLog, tmp_path: Path):
    assert export(log, PREDICTIONS, tmp_path / "out.parquet", Span()) == 0
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == 0


def test_a_row_that_cannot_be_read_leaves_no_file(store, log, execute, tmp_path: Path):
    store.submit(records(2)).result(10)
    execute("UPDATE predictions SET reasons = 'no json' WHERE seq = 2")
    with pytest.raises(AuditError, match="row 2 is not as it was written"):
        export(log, PREDICTIONS, tmp_path / "out.parquet", Span())
    assert not list(tmp_path.glob("*out*"))
    with pytest.raises(AuditError, match="prediction 2 is not as it was written"):
        kept_in(store)


def test_another_suffix(log: AuditLog, tmp_path: Path):
    with pytest.raises(ManifestError, match=r"\.csv or \.parquet"):
        export(log, PREDICTIONS, tmp_path / "out.xlsx", Span())
