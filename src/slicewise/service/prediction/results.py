"""What a request asks for, what it gets, and what the audit log keeps of that."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

from slicewise.audit_log.records import Arm, PredictionRecord, prediction_row
from slicewise.imaging.slice import Failure
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import Prediction, StudyPrediction
from slicewise.inference.results import SeriesAnswers
from slicewise.service.prediction.admission import Admission
from slicewise.service.prediction.pictures import Drawing, Maps, Pictures
from slicewise.service.prediction.uploads import PreparedSeries, PreparedSlice, Upload

_SAME = (
    *("label", "confidence", "probabilities", "tumor_probability", "tumor_flag", "threshold"),
    "prediction_set",
)  # fields of a prediction that its record has too


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from; `started` is on the clock of `time.perf_counter`."""

    caller: str
    route: str
    request_id: str
    started: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True, eq=False)
class PredictionRequest:
    """The files of one request, what admission control counts for it, and how it is answered.

    `arm` is the bundle that has to answer, with no shadow beside it; None for the traffic split.
    """

    uploads: Sequence[Upload]
    admission: Admission
    origin: Origin
    drawing: Drawing | None = None
    tta: bool = False
    threshold: float | None = None
    arm: Arm | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPrediction:
    """One prediction under the id by which the audit log keeps it."""

    id: str
    prediction: Prediction
    drawn: Pictures | Maps | None

    @property
    def pictures(self) -> Pictures | None:
        """None also where its maps were wanted as numbers."""
        return self.drawn if isinstance(self.drawn, Pictures) else None


@dataclass(frozen=True, slots=True)
class PredictionResults:
    """All that one request gets; `slices` has the sources of each study's slices, in order."""

    predictions: list[RecordedPrediction]
    studies: list[StudyPrediction]
    slices: list[list[str]]
    failures: list[Failure]

    def key_prediction(self) -> RecordedPrediction:
        """The one that stands for all where a route has room for one: that of a key slice."""
        keys = {source for one in self.studies for source in one.study.key_slices}
        found = (one for one in self.predictions if one.prediction.source in keys)
        return next(found, self.predictions[0])

    @classmethod
    def of(
        cls,
        answered: Sequence[SeriesAnswers],
        ids: Iterable[str],
        drawn: Iterable[Pictures | Maps | None],
        failures: list[Failure],
    ) -> PredictionResults:
        """Put results together; ids and pictures one a slice, in the order of the series."""
        predictions = (one.prediction for series in answered for one in series.answers)
        return cls(
            [RecordedPrediction(*one) for one in zip(ids, predictions, drawn, strict=True)],
            [series.study for series in answered if series.study is not None],
            [[s.source for s in one.series.slices] for one in answered if one.study is not None],
            failures,
        )


def records_of(
    series: PreparedSeries,
    answers: Sequence[Answer],
    arm: Arm,
    origin: Origin,
    shadow_of: Iterable[str | None] = repeat(None),
) -> list[PredictionRecord]:
    """The records of a series, each with a new id; of a shadow with those that the caller got.

    Raises:
        AuditError: A value cannot be kept, such as a number that is not finite: a fault of ours,
            told here, for this series alone, and not by the database, for all of a request.
    """
    slices = zip(series.slices, answers, strict=True)
    made = [_record_of(*one, arm, origin, of) for one, of in zip(slices, shadow_of, strict=False)]
    for record in made:
        prediction_row(record)
    return made


def _record_of(
    slice_: PreparedSlice, answer: Answer, arm: Arm, origin: Origin, shadow_of: str | None
) -> PredictionRecord:
    prediction = answer.prediction
    same: dict[str, Any] = {name: getattr(prediction, name) for name in _SAME}
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
        bundle=astuple(prediction.bundle),
        decision=prediction.decision.value,
        reasons=[reason.value for reason in prediction.reasons],
        latency_ms=round((time.perf_counter() - origin.started) * 1000, 3),
        summary=slice_.summary,
        ood_score=answer.ood_score,
        **same,
    )
