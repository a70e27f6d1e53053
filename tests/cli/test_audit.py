"""`slicewise audit`: what is printed, and how it ends."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from builders_records import record, records
from slicewise.audit_log.store import AuditStore
from slicewise.cli.main import app, main
from slicewise.service.settings import Settings

NEW = ("four_class", "2.0.0", "c" * 64)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with three predictions, their shadows and one word of feedback."""
    made = f"sqlite:///{tmp_path / 'audit.db'}"
    monkeypatch.setenv("SLICEWISE_DATABASE_URL", made)
    monkeypatch.delenv("SLICEWISE_AUDIT_KEY", raising=False)
    store = AuditStore.open(Settings().audit_log)
    kept = records(3)
    beside = {"arm": "shadow", "bundle": NEW, "label": "no_tumor"}
    shadows = [record(n, shadow_of=kept[n].id, **beside) for n in range(3)]
    store.submit([*kept, *shadows]).result(10)
    store.add_feedback(kept[0].id, "open", agree=True, label=None, note=None)
    store.close()
    return made


def run(*arguments: str):
    return CliRunner().invoke(app, ["audit", *arguments], catch_exceptions=False)


def failed(monkeypatch, capsys, *arguments: str, code: int = 1) -> str:
    """What stands on stderr where the installed command ends with an exit code."""
    monkeypatch.setattr(sys, "argv", ["slicewise", "audit", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (code, "")
    assert "Traceback" not in err
    return err


def change(url: str, statement: str) -> None:
    from slicewise.audit_log.database import Database

    database = Database(url, create=False)
    with database.writing() as connection:
        connection.exec_driver_sql(statement)
    database.close()


def test_verify_says_that_all_is_well(url: str):
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "checkpoints: 0 rows, last 0",
        "predictions: 6 rows, last 6",
        "feedback: 1 rows, last 1",
        "intact",
    ]


def test_verify_says_what_is_not(url: str):
    change(url, "UPDATE predictions SET decision = 'reject' WHERE seq = 2")
    change(url, "DELETE FROM feedback")
    result = run("verify")
    assert result.exit_code == 1
    assert "  changed: row 2 was changed" in result.stdout
    assert "  cut_off: row 1 is missing at the end" in result.stdout
    assert result.stdout.endswith("NOT AS WRITTEN: 2 findings\n")
    found = json.loads(run("verify", "--json").stdout)
    assert not found["intact"]
    assert found["chains"][1]["findings"] == [
        {"fault": "changed", "seq": 2, "text": "row 2 was changed"}
    ]


def test_many_findings_are_cut_short(url: str, monkeypatch):
    monkeypatch.setattr("slicewise.audit_log.verify.SHOWN", 2)
    change(url, "UPDATE predictions SET decision = 'reject'")
    assert "  ... and 4 more" in run("verify").stdout


def test_heads_are_kept_for_later(url: str, tmp_path: Path):
    kept = tmp_path / "heads.txt"
    kept.write_text(run("head").stdout, encoding="ascii")
    result = run("verify", "--head", str(kept))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "intact, 3 earlier heads hold")
    words = kept.read_text(encoding="ascii").split()
    words[2] = "99"
    kept.write_text(" ".join(words[:5]), encoding="ascii")
    result = run("verify", "--anchor", str(kept))
    assert result.exit_code == 1
    [finding] = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    assert finding.startswith("  head: the head of ")
    assert finding.endswith("names row 99; the chain ends at 6")
    assert "anchor" not in result.stdout
    chains = json.loads(run("verify", "--head", str(kept), "--json").stdout)["chains"]
    assert [one["fault"] for chain in chains for one in chain["findings"]] == ["anchor"]
    found = json.loads(run("head", "--json").stdout)
    assert found["anchors"] == (heads := found["heads"])
    assert [(head["chain"], head["end"]["seq"]) for head in heads] == [
        ("predictions", 6),
        ("feedback", 1),
        ("checkpoints", 0),
    ]


def test_a_wrong_key_shows(url: str, monkeypatch, capsys):
    monkeypatch.setenv("SLICEWISE_AUDIT_KEY", "x" * 40)
    result = run("verify")
    assert result.exit_code == 1
    assert "  key: predictions was written with the key" in result.stdout
    assert "was written with the key" in failed(monkeypatch, capsys, "head")


def test_export(url: str, tmp_path: Path):
    out = tmp_path / "out.csv"
    result = run("export", str(out), "--arm", "main", "--since", "2026-03-01T09:30:01")
    assert (result.exit_code, result.stdout) == (0, f"{out}: 2 rows of predictions\n")
    with out.open(encoding="utf-8", newline="") as file:
        assert [row["request_id"] for row in csv.DictReader(file)] == ["request-1", "request-2"]
    assert run("export", str(tmp_path / "f.csv"), "--table", "feedback").stdout.endswith(
        "1 row of feedback\n"
    )


def test_report(url: str):
    text = run("report").stdout
    assert "main: four_class 1.0.0 (bbbbbbbbbbbb)" in text
    assert "shadow four_class 2.0.0 (cccccccccccc) beside main four_class 1.0.0" in text
    words = {line.split("  ")[0].strip(): line.split() for line in text.splitlines() if line}
    assert words["answers"] == ["answers", "3", "3"]
    assert words["main glioma, shadow no_tumor"][-1] == "3"
    assert "both 0, main only 1, shadow only 0, neither 0" in text
    assert json.loads(run("report", "--json").stdout)["shadows"][0]["pairs"] == 3


def test_report_of_a_challenger(url: str):
    store = AuditStore.open(Settings().audit_log)
    others = [record(n, arm="challenger", bundle=NEW, decision="review") for n in range(9, 14)]
    store.submit(others).result(10)
    store.close()
    text = run("report").stdout
    assert "challenger four_class 2.0.0 (cccccccccccc) minus main four_class 1.0.0" in text
    words = [line.split() for line in text.splitlines() if line.startswith("decision accept")]
    assert words[1][:3] == ["decision", "accept", "-100.0"]


def test_report_of_nothing(url: str):
    assert run("report", "--since", "2030-01-01").stdout == "no predictions in this time\n"


def test_a_mistyped_year_does_not_delete_everything(url: str, monkeypatch, capsys):
    err = failed(monkeypatch, capsys, "prune", "--before", "2130-01-01", code=2)
    assert "expected a time in the past" in err
    assert "deleted" not in err


def test_prune(url: str):
    result = run("prune", "--before", "2026-03-01T09:30:01")
    assert result.stdout == "deleted: 1 predictions, 0 feedback entries\n"
    assert "predictions: 5 rows, last 6, pruned through 1" in run("verify").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["head"],
        ["report"],
        ["export", "out.csv"],
        ["prune", "--before", "2026-01-01"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_database_that_is_not_there_is_not_made(monkeypatch, capsys, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    err = failed(monkeypatch, capsys, *arguments, "--database", "sqlite:///gone.db")
    assert err == "slicewise: gone.db: expected an audit database; there is none\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["export"],
        ["export", "out.csv", "--arm", "left"],
        ["export", "out.csv", "--since", "yesterday"],
        ["prune"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_wrong_use(arguments):
    assert CliRunner().invoke(app, ["audit", *arguments]).exit_code == 2
