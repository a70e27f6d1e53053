"""Answers to the rows of the audit database."""

from __future__ import annotations

import time
import uuid
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime

from slicewise.inference.classifier import Answer
from slicewise.service.audit.record import Arm, PredictionRecord
from slicewise.service.reading import Place


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from.

    Args:
        caller: Name of its API key, or `open`.
        route: Template of its route.
        request_id: As in the log.
        started: When it began, on the clock of `time.perf_counter`.
    """

    caller: str
    route: str
    request_id: str
    started: float = field(default_factory=time.perf_counter)


def record_of(
    answer: Answer,
    place: Place,
    summary: dict[str, float],
    arm: Arm,
    origin: Origin,
    shadow_of: str | None = None,
) -> PredictionRecord:
    """The row of one answer, with a new id.

    Args:
        answer: What was answered, as the caller sees it.
        place: Where the slice lay in the upload.
        summary: Statistics of the slice.
        arm: Who answered.
        origin: Of the request.
        shadow_of: Id of the answer that the caller got, where this one is a shadow.
    """
    said = answer.prediction
    name, version, sha256 = astuple(said.bundle)
    return PredictionRecord(
        id=uuid.uuid4().hex,
        created=datetime.now(UTC),
        caller=origin.caller,
        route=origin.route,
        request_id=origin.request_id,
        input_sha256=place.sha256,
        slice_index=place.index,
        arm=arm.value,
        shadow_of=shadow_of,
        bundle=(name, version, sha256),
        label=said.label,
        confidence=said.confidence,
        probabilities=said.probabilities,
        tumor_probability=said.tumor_probability,
        tumor_flag=said.tumor_flag,
        threshold=said.threshold,
        prediction_set=said.prediction_set,
        decision=said.decision.value,
        reasons=[reason.value for reason in said.reasons],
        latency_ms=round((time.perf_counter() - origin.started) * 1000, 3),
        summary=summary,
        distance=answer.distance,
    )
