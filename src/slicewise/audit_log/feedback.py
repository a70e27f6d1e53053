"""What people said about an answer; kept in a chain of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from slicewise.audit_log.record import PredictionRecord
from slicewise.audit_log.texts import can_be_kept
from slicewise.errors import FeedbackError

LONGEST_NOTE = 2000
"""Most characters of a note."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One word on one prediction; a later one does not replace an earlier one.

    Args:
        id: 32 hexadecimal digits.
        prediction_id: Which prediction.
        created: When, in UTC.
        caller: Who said so: name of the API key, or `open`.
        agree: Whether the label is right.
        label: What is right instead; None where nobody said.
        note: Free text; None without.
    """

    id: str
    prediction_id: str
    created: datetime
    caller: str
    agree: bool
    label: str | None
    note: str | None


def check_feedback(record: PredictionRecord, feedback: Feedback) -> None:
    """Check that what was said fits the answer.

    Args:
        record: The answer.
        feedback: What was said about it.

    Raises:
        FeedbackError: If the label is no class of the answer or contradicts `agree`, or the note
            is too long or holds what no database takes.
    """
    label, classes = feedback.label, list(record.probabilities)
    if label is not None and label not in classes:
        raise FeedbackError(f"label: expected one of {', '.join(classes)}; got another one")
    if label is not None and feedback.agree != (label == record.label):
        said = "agrees" if feedback.agree else "disagrees"
        raise FeedbackError(f"feedback that {said} with {record.label} cannot name {label}")
    if feedback.note is not None:
        _check_note(feedback.note)


def _check_note(note: str) -> None:
    if len(note) > LONGEST_NOTE:
        raise FeedbackError(f"note: expected at most {LONGEST_NOTE} characters; got {len(note)}")
    if not can_be_kept(note):
        raise FeedbackError("note: expected text without NUL and lone surrogates")
