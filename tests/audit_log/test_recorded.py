"""A database that 0.1.0 wrote is read, verified and written on by every later version.

`recorded_by_0.1.0.db` holds made-up values: 26 answers of main, six hours apart, of which retention
cut off the first five; eight of a shadow, four of a challenger to one upload, two more of main;
four feedback entries; a key in force and a revoked one. Reasons have the names of that version.
Beside it stand the key of its chains and the lines that `audit head` printed before the last two.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from builders import bundle_info
from builders_records import START, kept_in, record
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.comparison import compare_models
from slicewise.audit_log.export import export
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.retention import Pruned, prune
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import FEEDBACK, PREDICTIONS, Span
from slicewise.audit_log.verify import read_heads, verify
from slicewise.inference.decision import Reason
from slicewise.service.monitoring.report import Question, monitor

NAME = "recorded_by_0.1.0.db"
SECRET = "sw_3cfdfb2260bb_P1K8YfwJ2JEN7AqUKJzJQuKGI-iWR1IaM5kC9kcCzyU"  # noqa: S105 (of a key in this file only)
HERE = Path(__file__).parent


@pytest.fixture
def settings(tmp_path: Path) -> AuditSettings:
    """A copy: the file in the repository is never opened, for opening it writes to it."""
    for name in (NAME, f"{NAME}.key"):
        shutil.copy(HERE / name, tmp_path / name)
    return AuditSettings(f"sqlite:///{tmp_path / NAME}")


@pytest.fixture
def log(settings: AuditSettings) -> Iterator[AuditLog]:
    opened = AuditLog.open(settings, create=False)
    yield opened
    opened.close()


@pytest.fixture
def store(settings: AuditSettings) -> Iterator[AuditStore]:
    opened = AuditStore.open(settings)
    yield opened
    opened.close()


def test_it_is_intact_and_fits_what_was_kept_elsewhere(log: AuditLog):
    found = verify(log, read_heads(HERE / "recorded_by_0.1.0.heads"))
    assert found.intact
    assert found.heads == 3
    states = {state.chain: (state.rows, state.last, state.pruned_through) for state in found.chains}
    assert states == {"checkpoints": (1, 1, 0), "predictions": (35, 40, 5), "feedback": (4, 4, 0)}


def test_one_changed_value_shows(log: AuditLog):
    with log.database.writing() as connection:
        connection.exec_driver_sql("UPDATE predictions SET distance = -4.6 WHERE seq = 6")
    assert not verify(log).intact


def test_it_is_written_on_and_pruned(store: AuditStore, log: AuditLog):
    made = record()
    store.submit([made]).result(10)
    store.add_feedback(f"{20:032x}", "open", agree=False, label=None, note=None)
    assert store.get(made.id) == made
    assert prune(log, START + timedelta(hours=6 * 10)) == Pruned(5, 0)
    assert verify(log).intact


def test_answers_have_the_words_of_today(store: AuditStore):
    kept = kept_in(store, arm="main")
    reasons = Counter(reason for one in kept for reason in one.reasons)
    assert set(reasons) <= set(Reason)
    assert reasons[Reason.POSSIBLY_OUT_OF_DISTRIBUTION] == 4
    assert reasons[Reason.OUT_OF_DISTRIBUTION] == reasons[Reason.LOW_TRUST] == 4
    assert [one.ood_score for one in kept[:5]] == [-4.5, -4.1, -3.2, 0.4, 3.1]
    assert [said.note for said in store.feedback_of(f"{24:032x}")] == ['Ä "falx"', None]


def test_it_is_exported(log: AuditLog, tmp_path: Path):
    assert export(log, PREDICTIONS, tmp_path / "out.csv", Span()) == 35
    assert export(log, FEEDBACK, tmp_path / "said.csv", Span()) == 4
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[3]["reasons"]) == ["unlike_training"]  # as it was written
    assert rows[3]["distance"] == "0.4"


def test_its_models_are_compared(log: AuditLog):
    report = compare_models(log, Span())
    main, challenger, shadow = report["arms"]
    assert [arm["predictions"] for arm in (main, challenger, shadow)] == [23, 4, 8]
    assert main["shares"]["decision reject"]["value"] == pytest.approx(4 / 23)
    assert main["with_feedback"] == 2
    (pairs,) = report["shadows"]
    assert pairs["exchanged"] == [{"main": "glioma", "shadow": "no_tumor", "count": 1}]
    assert pairs["right"] == {"both": 0, "main_only": 1, "shadow_only": 0, "neither": 1}


def test_it_is_monitored(store: AuditStore):
    question = Question(START + timedelta(days=4), START + timedelta(days=20), 1000, 5)
    report = monitor(kept_in(store, arm="main"), bundle_info(), "ab" * 32, question)
    reasons = next(change for change in report.changes if change.name == "reasons")
    assert set(reasons.bins) == {
        "none",
        "low_confidence",
        "several_classes_possible",
        "possibly_out_of_distribution",
        "out_of_distribution",
        "low_trust",
    }


def test_its_keys_open(settings: AuditSettings):
    keys = KeyStore.open(settings, create=False)
    found = keys.find(SECRET)
    assert found is not None
    assert (found.name, found.role) == ("reader", Role.REVIEW)
    assert [(key.name, key.revoked is None) for key in keys.list()] == [
        ("old", False),
        ("reader", True),
    ]
    keys.close()
