"""Predictions as the audit database keeps them, made of nothing."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from slicewise.audit_log.records import PredictionRecord, prediction_of
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.tables import PREDICTIONS, Span, rows_of

KEY = "a key of at least thirty-two characters"
START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def record(number: int = 0, **changed: object) -> PredictionRecord:
    """One prediction; the number sets its time, input and request apart from others."""
    made = PredictionRecord(
        id=uuid4().hex,
        created=START + timedelta(seconds=number),
        caller="open",
        route="/v1/predict",
        request_id=f"request-{number}",
        input_sha256=f"{number:064x}",
        slice_index=None,
        arm="main",
        shadow_of=None,
        bundle=("four_class", "1.0.0", "b" * 64),
        label="glioma",
        confidence=0.9,
        probabilities={"glioma": 0.9, "no_tumor": 0.1},
        tumor_probability=0.9,
        tumor_flag=True,
        threshold=0.5,
        prediction_set=["glioma"],
        decision="accept",
        reasons=[],
        latency_ms=12.5,
        summary={"mean": 0.3, "p99": 1.0},
        ood_score=1.5,
    )
    return dataclasses.replace(made, **changed)


def records(count: int, **changed: object) -> list[PredictionRecord]:
    """Several predictions, a second apart."""
    return [record(number, **changed) for number in range(count)]


def kept_in(store: AuditStore, **span: object) -> list[PredictionRecord]:
    """Predictions of a store in the order in which they were written."""
    found = rows_of(store._audit.database, PREDICTIONS, Span(**span))
    return [prediction_of(row) for row in found]
