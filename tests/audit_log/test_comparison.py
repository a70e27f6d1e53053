"""What main, challenger and shadow answered, counted by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest

from builders_records import START, record
from postgres import on_both
from slicewise.audit_log.comparison import compare_models
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.records import PredictionRecord
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import Span
from slicewise.errors import AuditError
from slicewise.stats.intervals import Share, difference

NEW = ("four_class", "2.0.0", "c" * 64)
TUMOR = {"label": "glioma", "tumor_flag": True, "probabilities": {"glioma": 0.9, "no_tumor": 0.1}}
CLEAR = {
    "label": "no_tumor",
    "tumor_flag": False,
    "probabilities": {"glioma": 0.2, "no_tumor": 0.8},
}


def shadow_of(main: PredictionRecord, **changed: object) -> PredictionRecord:
    """What a challenger in shadow said to the slice of an answer."""
    marks = {"id": uuid4().hex, "arm": "shadow", "shadow_of": main.id, "bundle": NEW}
    return dataclasses.replace(main, **{**marks, **changed})


def test_nothing_gives_an_empty_report(log: AuditLog):
    report = compare_models(log, Span())
    assert (report["arms"], report["differences"], report["shadows"]) == ([], [], [])


@on_both
def test_main_and_challenger_on_different_inputs(store: AuditStore, log: AuditLog):
    main = [
        record(n, decision="accept" if n < 6 else "review", latency_ms=10 + n) for n in range(8)
    ]
    others = [
        record(n, arm="challenger", bundle=NEW, **(CLEAR if n % 2 else TUMOR), latency_ms=5)
        for n in range(10, 14)
    ]
    store.submit([*others, *main]).result(10)
    store.add_feedback(main[0].id, "a", agree=False, label="no_tumor", note=None)
    store.add_feedback(main[0].id, "a", agree=True, label=None, note="no, it is right")
    store.add_feedback(main[1].id, "a", agree=False, label=None, note=None)
    report = compare_models(log, Span())
    first, second = report["arms"]
    assert (first["arm"], first["version"], first["predictions"], first["inputs"]) == (
        "main",
        "1.0.0",
        8,
        8,
    )
    assert (second["arm"], second["sha256"], second["predictions"]) == ("challenger", "c" * 64, 4)
    values = {name: share["value"] for name, share in first["shares"].items() if share}
    assert values == {
        "decision accept": 0.75,
        "decision review": 0.25,
        "decision reject": 0.0,
        "label glioma": 1.0,
        "label no_tumor": 0.0,
        "tumor flag": 1.0,
        "agreed in feedback": 0.5,
    }
    assert first["with_feedback"] == 2  # the last word on a prediction counts
    assert second["shares"]["agreed in feedback"] is None
    assert second["shares"]["label no_tumor"]["value"] == 0.5
    assert first["latency_ms"] == pytest.approx(
        {
            "p50": 13.5,
            "p95": np.quantile(range(10, 18), 0.95),
            "p99": np.quantile(range(10, 18), 0.99),
        }
    )
    (gap,) = report["differences"]
    assert (gap["main"]["version"], gap["challenger"]["version"]) == ("1.0.0", "2.0.0")
    assert gap["shares"]["label no_tumor"]["value"] == 0.5
    assert gap["shares"]["tumor flag"]["ci_low"] < -0.5 < gap["shares"]["tumor flag"]["ci_high"]
    assert gap["shares"]["agreed in feedback"] is None
    assert report["shadows"] == []


def test_slices_of_one_upload_are_one_input(store: AuditStore, log: AuditLog):
    volume = [record(1, slice_index=n) for n in range(30)]
    store.submit([*volume, record(2, decision="review")]).result(10)
    (arm,) = compare_models(log, Span())["arms"]
    assert (arm["predictions"], arm["inputs"]) == (31, 2)
    share = arm["shares"]["decision accept"]
    assert share["value"] == pytest.approx(30 / 31)
    assert share["ci_low"] < 0.5  # two inputs say little


@on_both
def test_shadow_beside_main(store: AuditStore, log: AuditLog):
    answers = [
        (TUMOR, TUMOR),
        (TUMOR, CLEAR),
        (CLEAR, CLEAR),
        (CLEAR, {**CLEAR, "decision": "review"}),
    ]
    kept = []
    for number, (ours, theirs) in enumerate(answers):
        kept.append(record(number, **ours))
        kept.append(shadow_of(kept[-1], **theirs))
    alone = shadow_of(record(50))  # main's answer is gone
    store.submit([*kept, alone]).result(10)
    store.add_feedback(kept[0].id, "a", agree=True, label=None, note=None)  # both right
    store.add_feedback(kept[2].id, "a", agree=False, label="no_tumor", note=None)  # shadow only
    store.add_feedback(kept[4].id, "a", agree=False, label="glioma", note=None)  # neither
    store.add_feedback(kept[6].id, "a", agree=False, label=None, note=None)  # nobody knows
    (shadow,) = compare_models(log, Span())["shadows"]
    assert (shadow["pairs"], shadow["inputs"]) == (4, 4)
    assert (shadow["main"]["version"], shadow["shadow"]["version"]) == ("1.0.0", "2.0.0")
    same = {name: share["value"] for name, share in shadow["same"].items()}
    assert same == {"label": 0.75, "decision": 0.75, "tumor_flag": 0.75}
    assert shadow["exchanged"] == [{"main": "glioma", "shadow": "no_tumor", "count": 1}]
    assert shadow["probability_gap"] == pytest.approx({"mean": 0.7 / 4, "max": 0.7})
    assert shadow["right"] == {"both": 1, "main_only": 0, "shadow_only": 1, "neither": 1}


def test_slices_are_paired_with_their_own(store: AuditStore, log: AuditLog):
    """Even where a request held the same file twice."""
    labels = [TUMOR, CLEAR, TUMOR]
    main = [record(1, **labels[n]) for n in range(3)]
    shadow = [shadow_of(main[n], **labels[n]) for n in range(3)]
    store.submit([*main, *reversed(shadow)]).result(10)
    (pairs,) = compare_models(log, Span())["shadows"]
    assert (pairs["pairs"], pairs["inputs"]) == (3, 1)
    assert pairs["same"]["label"] == {"value": 1.0, "ci_low": None, "ci_high": None}


def test_answers_without_a_negative_class_have_no_flags(store: AuditStore, log: AuditLog):
    nothing = {"tumor_flag": None, "tumor_probability": None, "threshold": None}
    main = [record(n, **nothing) for n in range(3)]
    store.submit([*main, *(shadow_of(one, bundle=one.bundle) for one in main)]).result(10)
    report = compare_models(log, Span())
    assert report["arms"][0]["shares"]["tumor flag"] is None
    assert report["shadows"][0]["same"]["tumor_flag"] is None


def test_only_what_was_asked_for(store: AuditStore, log: AuditLog):
    store.submit([record(n) for n in range(10)]).result(10)
    span = Span(since=START + timedelta(seconds=2), until=START + timedelta(seconds=5))
    report = compare_models(log, span)
    assert report["arms"][0]["predictions"] == 3
    assert report["since"] == "2026-03-01T09:30:02.000000Z"


def test_differences_are_those_of_the_shares(store: AuditStore, log: AuditLog):
    accept = {"decision": "accept"}
    store.submit(
        [record(n, **(accept if n % 3 else {"decision": "review"})) for n in range(30)]
        + [record(n, arm="challenger", bundle=NEW, **accept) for n in range(30, 50)]
    ).result(10)
    report = compare_models(log, Span())
    shares = [Share(**arm["shares"]["decision accept"]) for arm in report["arms"]]
    assert report["differences"][0]["shares"]["decision accept"] == difference(*shares).as_json()
    assert report["differences"][0]["shares"]["decision accept"]["ci_low"] > 0


@pytest.mark.parametrize(
    "change", ["UPDATE predictions SET arm = 'x'", "UPDATE predictions SET probabilities = '7'"]
)
def test_changed_rows_are_refused_with_what_to_do(
    store: AuditStore, log: AuditLog, execute: Callable[[str], None], change: str
):
    main = record(1)
    store.submit([main, shadow_of(main)]).result(10)
    execute(change)
    with pytest.raises(AuditError, match="audit verify"):
        compare_models(log, Span())
