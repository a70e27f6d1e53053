"""What a request asks for, and what it is answered, before it has a form for the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slicewise.audit_log.records import PredictionRecord
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.decision import Prediction, StudyPrediction
from slicewise.inference.results import SeriesAnswers
from slicewise.service.prediction.pictures import Drawing, Pictures


@dataclass(frozen=True, slots=True)
class Wish:
    """How a request wants its answers.

    Args:
        drawing: What to draw; None for no pictures.
        tta: Average over test-time views.
        threshold: Tumor threshold instead of the model's.
    """

    drawing: Drawing | None = None
    tta: bool = False
    threshold: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """One answer as it is given and recorded."""

    id: str
    slice_: Slice
    prediction: Prediction
    pictures: Pictures | None


@dataclass(slots=True)
class Answered:
    """All answers to one request."""

    given: list[Given] = field(default_factory=list)
    studies: list[StudyPrediction] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int]:
        """How many slices were answered for, and how many inputs were not."""
        return len(self.given), len(self.failures)

    def key(self) -> Given:
        """The one answer that stands for all where a route has room for one: a key slice."""
        wanted = {source for one in self.studies for source in one.study.key_slices}
        return next((one for one in self.given if one.prediction.source in wanted), self.given[0])


def together(
    results: Sequence[SeriesAnswers],
    records: Sequence[PredictionRecord],
    drawn: Sequence[Pictures | None],
    failures: list[Failure],
) -> Answered:
    """All that is answered, from its parts.

    Args:
        results: Answers by series.
        records: As they are written, one a slice in the order of the results.
        drawn: Pictures in the same order; None where none are wanted.
        failures: Inputs without an answer.
    """
    slices = [
        (slice_, answer.prediction)
        for result in results
        for slice_, answer in zip(result.series.slices, result.answers, strict=True)
    ]
    return Answered(
        [
            Given(record.id, *said, pictures)
            for record, said, pictures in zip(records, slices, drawn, strict=True)
        ],
        [result.study for result in results if result.study is not None],
        failures,
    )
