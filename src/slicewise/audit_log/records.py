"""What the audit log keeps of an answer and of feedback, and how that becomes a row and back.

No pixels, no file name, no patient. A row reads back to the bytes that were chained.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, Integer, Table, Text

from slicewise.audit_log.tables import FEEDBACK, PREDICTIONS, moment, stamp
from slicewise.errors import AuditError, FeedbackError
from slicewise.inference.decision import Reason

LONGEST_NOTE = 2000  # most characters of a note
_JSON = ("probabilities", "prediction_set", "reasons", "summary")


class Arm(StrEnum):
    """Which of two bundles gave an answer, and whether the caller got to see it."""

    MAIN = "main"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """An answer, what it was given for and by which model.

    Args:
        id: 32 hexadecimal digits, made by who answers.
        created: When it was answered, aware; kept in UTC to the microsecond.
        caller: Name of the API key, or `open` where the service asks for none.
        route: Template of the route, such as `/v1/predict`.
        request_id: Shared by all answers to one request.
        input_sha256: Of the uploaded bytes, hexadecimal.
        slice_index: Which slice of the upload; None where it held one.
        shadow_of: Id of the answer that main gave to the same slice; None but for a shadow.
        bundle: Name, version and SHA-256 of the model.
        tumor_probability, tumor_flag, threshold: None without a negative class.
        prediction_set: Classes that cannot be ruled out; None where no sets are fitted.
        latency_ms: From the start of the request, or of the shadow, to the answer that is recorded.
        ood_score: None where the bundle has no out-of-distribution statistics.
    """

    id: str
    created: datetime
    caller: str
    route: str
    request_id: str
    input_sha256: str
    slice_index: int | None
    arm: str
    shadow_of: str | None
    bundle: tuple[str, str, str]
    label: str
    confidence: float
    probabilities: dict[str, float]
    tumor_probability: float | None
    tumor_flag: bool | None
    threshold: float | None
    prediction_set: list[str] | None
    decision: str
    reasons: list[str]
    latency_ms: float
    summary: dict[str, float]
    ood_score: float | None


_FIELDS = [field.name for field in fields(PredictionRecord)]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said about a prediction; a later one does not replace an earlier one."""

    id: str  # 32 hexadecimal digits
    prediction_id: str
    created: datetime
    caller: str
    agree: bool
    label: str | None  # what is right; None if unknown
    note: str | None


def check_feedback(record: PredictionRecord, feedback: Feedback) -> None:
    """Check that feedback fits the answer.

    Raises:
        FeedbackError: If the label is no class of the answer or contradicts `agree`, or the note
            is too long or holds what no database takes.
    """
    label, note = feedback.label, feedback.note
    if label is not None and label not in record.probabilities:
        known = ", ".join(record.probabilities)
        raise FeedbackError(f"label: expected one of {known}; got another one")
    if label is not None and feedback.agree != (label == record.label):
        agrees = "agrees" if feedback.agree else "disagrees"
        raise FeedbackError(f"feedback that {agrees} with {record.label} cannot name {label}")
    if note is not None and len(note) > LONGEST_NOTE:
        raise FeedbackError(f"note: expected at most {LONGEST_NOTE} characters; got {len(note)}")
    if note is not None and not _can_be_kept(note):
        raise FeedbackError("note: expected text without NUL and lone surrogates")


def prediction_row(record: PredictionRecord) -> dict[str, Any]:
    """The columns of a prediction.

    Raises:
        AuditError: If a value cannot be kept as it is: not finite, or text that no database takes.
    """
    if record.arm not in set(Arm):
        raise AuditError(f"arm: expected one of {', '.join(Arm)}; got another one")
    values = {name: getattr(record, name) for name in _FIELDS}
    names = ("bundle_name", "bundle_version", "bundle_sha256")
    values |= dict(zip(names, values.pop("bundle"), strict=True))
    values["distance"] = values.pop("ood_score")  # the column keeps the name it was chained with
    return _row(PREDICTIONS, values)


def prediction_of(row: Mapping[str, Any]) -> PredictionRecord:
    """The record that a row of predictions holds, reasons by the names they have today.

    Raises:
        AuditError: If the row was changed so that it holds none.
    """
    try:
        values = {name: row[name] for name in _FIELDS if name in row}
        values |= {name: json.loads(row[name]) for name in _JSON if row[name] is not None}
        values["reasons"] = [_current(reason) for reason in values["reasons"]]
        values["created"] = moment(row["created"])
    except (ValueError, TypeError):
        raise AuditError(f"prediction {row['seq']} is not as it was written") from None
    bundle = (row["bundle_name"], row["bundle_version"], row["bundle_sha256"])
    return PredictionRecord(**values, bundle=bundle, ood_score=row["distance"])


def feedback_row(feedback: Feedback) -> dict[str, Any]:
    """The columns of feedback; an AuditError where a text holds what no database takes."""
    return _row(FEEDBACK, asdict(feedback))


def feedback_of(row: Mapping[str, Any]) -> Feedback:
    """The feedback that a row holds."""
    values = {field.name: row[field.name] for field in fields(Feedback)}
    return Feedback(**{**values, "created": moment(row["created"])})


def _row(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if value is None else _kept(value, type(table.c[name].type))
        for name, value in values.items()
    }


def _kept(value: Any, kind: type) -> Any:
    """A value as its column keeps it, of Python's own types."""
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, Mapping):
        return _json({_text(name): _number(number) for name, number in value.items()})
    if isinstance(value, list):
        return _json([_text(one) for one in value])
    if kind is Text:
        return _text(value)
    if kind is Boolean:
        return bool(value)
    return int(value) if kind is Integer else _number(value)


def _can_be_kept(text: str) -> bool:
    """Whether a text holds neither NUL nor a lone surrogate, which PostgreSQL refuses."""
    surrogates = ("\ud800" <= character <= "\udfff" for character in text)
    return "\0" not in text and (text.isascii() or not any(surrogates))


def _text(value: str) -> str:
    if not _can_be_kept(value):
        raise AuditError("expected text without NUL and lone surrogates; got text that has one")
    return str(value)


def _number(value: float) -> float:
    """A finite number; minus zero, which SQLite does not keep, becomes zero."""
    if not math.isfinite(value):
        raise AuditError(f"expected finite numbers; got {value}")
    return float(value) + 0.0


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _current(reason: str) -> str:
    """The name that a reason has today, where an older version wrote another one."""
    try:
        return Reason(reason).value
    except ValueError:
        return reason
