"""Predictions to records of the audit log."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from itertools import repeat

from slicewise.audit_log.records import Arm, PredictionRecord
from slicewise.audit_log.store import AuditStore
from slicewise.inference.classifier import Answer
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.prediction.uploads import PreparedSeries, PreparedSlice

MANY = 64
"""Slices of one request that are put together in a thread: meanwhile the loop serves others."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from.

    Args:
        caller: Name of its API key, or `open`.
        started: When it began, on the clock of `time.perf_counter`.
    """

    caller: str
    route: str
    request_id: str
    started: float = field(default_factory=time.perf_counter)


class Recorder:
    """Writes records and counts them."""

    def __init__(self, store: AuditStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    async def write(self, records: Sequence[PredictionRecord]) -> None:
        """Write records; they are on disk when this returns.

        Raises:
            AuditError: They could not be written.
        """
        if not records:
            return
        with self._metrics.stage("record"):
            submit = self._store.submit
            few = len(records) <= MANY
            written = submit(records) if few else await asyncio.to_thread(submit, records)
            await asyncio.wrap_future(written)
        for row in records:
            self._metrics.decision(row.label, row.decision, row.reasons, row.arm)


def records_of(
    series: PreparedSeries,
    answers: Sequence[Answer],
    arm: Arm,
    origin: Origin,
    shadow_of: Iterable[str | None] = repeat(None),
) -> list[PredictionRecord]:
    """The records of a series, each with a new id.

    Args:
        shadow_of: Ids of the records that the caller got, where these are of a shadow.
    """
    slices = zip(series.slices, answers, strict=True)
    return [
        _record_of(slice_, answer, arm, origin, of)
        for (slice_, answer), of in zip(slices, shadow_of, strict=False)
    ]


def _record_of(
    slice_: PreparedSlice, answer: Answer, arm: Arm, origin: Origin, shadow_of: str | None
) -> PredictionRecord:
    prediction = answer.prediction
    name, version, sha256 = astuple(prediction.bundle)
    return PredictionRecord(
        id=uuid.uuid4().hex,
        created=datetime.now(UTC),
        caller=origin.caller,
        route=origin.route,
        request_id=origin.request_id,
        input_sha256=slice_.sha256,
        slice_index=slice_.index,
        arm=arm.value,
        shadow_of=shadow_of,
        bundle=(name, version, sha256),
        label=prediction.label,
        confidence=prediction.confidence,
        probabilities=prediction.probabilities,
        tumor_probability=prediction.tumor_probability,
        tumor_flag=prediction.tumor_flag,
        threshold=prediction.threshold,
        prediction_set=prediction.prediction_set,
        decision=prediction.decision.value,
        reasons=[reason.value for reason in prediction.reasons],
        latency_ms=round((time.perf_counter() - origin.started) * 1000, 3),
        summary=slice_.summary,
        ood_score=answer.ood_score,
    )
