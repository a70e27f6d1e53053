"""Records to rows and back, so that a row reads back to the bytes that were chained."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from slicewise.audit_log.clock import moment, stamp
from slicewise.audit_log.feedback import Feedback
from slicewise.audit_log.record import Arm, PredictionRecord
from slicewise.audit_log.texts import can_be_kept
from slicewise.errors import AuditError
from slicewise.inference.decision import Reason


def prediction_row(record: PredictionRecord) -> dict[str, Any]:
    """The columns of a prediction.

    Raises:
        AuditError: If a value cannot be kept as it is: not finite, or text that no database takes.
    """
    name, version, sha256 = record.bundle
    return {
        "id": text(record.id),
        "created": stamp(record.created),
        "caller": text(record.caller),
        "route": text(record.route),
        "request_id": text(record.request_id),
        "input_sha256": text(record.input_sha256),
        "slice_index": None if record.slice_index is None else int(record.slice_index),
        "arm": _arm(record.arm),
        "shadow_of": None if record.shadow_of is None else text(record.shadow_of),
        "bundle_name": text(name),
        "bundle_version": text(version),
        "bundle_sha256": text(sha256),
        "label": text(record.label),
        "confidence": _number(record.confidence),
        "probabilities": _numbers(record.probabilities),
        "tumor_probability": _maybe(record.tumor_probability),
        "tumor_flag": None if record.tumor_flag is None else bool(record.tumor_flag),
        "threshold": _maybe(record.threshold),
        "prediction_set": None if record.prediction_set is None else _texts(record.prediction_set),
        "decision": text(record.decision),
        "reasons": _texts(record.reasons),
        "latency_ms": _number(record.latency_ms),
        "summary": _numbers(record.summary),
        "distance": _maybe(record.ood_score),
    }


def prediction_of(row: Mapping[str, Any]) -> PredictionRecord:
    """The record that a row of predictions holds.

    Raises:
        AuditError: If the row was changed so that it holds none.
    """
    try:
        return _prediction_of(row)
    except (ValueError, TypeError):
        raise AuditError(f"prediction {row['seq']} is not as it was written") from None


def _prediction_of(row: Mapping[str, Any]) -> PredictionRecord:
    chosen = row["prediction_set"]
    return PredictionRecord(
        id=row["id"],
        created=moment(row["created"]),
        caller=row["caller"],
        route=row["route"],
        request_id=row["request_id"],
        input_sha256=row["input_sha256"],
        slice_index=row["slice_index"],
        arm=row["arm"],
        shadow_of=row["shadow_of"],
        bundle=(row["bundle_name"], row["bundle_version"], row["bundle_sha256"]),
        label=row["label"],
        confidence=row["confidence"],
        probabilities=json.loads(row["probabilities"]),
        tumor_probability=row["tumor_probability"],
        tumor_flag=row["tumor_flag"],
        threshold=row["threshold"],
        prediction_set=None if chosen is None else json.loads(chosen),
        decision=row["decision"],
        reasons=[_current(name) for name in json.loads(row["reasons"])],
        latency_ms=row["latency_ms"],
        summary=json.loads(row["summary"]),
        ood_score=row["distance"],
    )


def _current(reason: str) -> str:
    """The name that a reason has today, where an older version wrote another one."""
    try:
        return Reason(reason).value
    except ValueError:
        return reason


def feedback_row(feedback: Feedback) -> dict[str, Any]:
    """The columns of a word on a prediction.

    Raises:
        AuditError: If a text holds what no database takes.
    """
    return {
        "id": text(feedback.id),
        "prediction_id": text(feedback.prediction_id),
        "created": stamp(feedback.created),
        "caller": text(feedback.caller),
        "agree": bool(feedback.agree),
        "label": None if feedback.label is None else text(feedback.label),
        "note": None if feedback.note is None else text(feedback.note),
    }


def feedback_of_row(row: Mapping[str, Any]) -> Feedback:
    """The word on a prediction that a row holds."""
    return Feedback(
        id=row["id"],
        prediction_id=row["prediction_id"],
        created=moment(row["created"]),
        caller=row["caller"],
        agree=row["agree"],
        label=row["label"],
        note=row["note"],
    )


def _arm(value: str) -> str:
    try:
        return Arm(value).value
    except ValueError:
        raise AuditError(f"arm: expected one of {', '.join(Arm)}; got another one") from None


def text(value: str) -> str:
    """Text that every database keeps: no NUL, no lone surrogate.

    Raises:
        AuditError: If it holds one.
    """
    if not can_be_kept(value):
        raise AuditError("expected text without NUL and lone surrogates; got text that has one")
    return str(value)


def _number(value: float) -> float:
    """A finite number; minus zero, which SQLite does not keep, becomes zero."""
    if not math.isfinite(value):
        raise AuditError(f"expected finite numbers; got {value}")
    return float(value) + 0.0


def _maybe(value: float | None) -> float | None:
    return None if value is None else _number(value)


def _numbers(values: Mapping[str, float]) -> str:
    return _json({text(name): _number(value) for name, value in values.items()})


def _texts(values: list[str]) -> str:
    return _json([text(value) for value in values])


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
