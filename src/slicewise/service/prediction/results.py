"""What a request asks for and what it gets, before it has a form for the wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.decision import Prediction, StudyPrediction
from slicewise.inference.results import SeriesAnswers
from slicewise.service.prediction.admission import Admission
from slicewise.service.prediction.pictures import Drawing, Pictures
from slicewise.service.prediction.records import Origin
from slicewise.service.prediction.uploads import Upload


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """How a request wants its predictions.

    Args:
        drawing: What to draw; None for no pictures.
    """

    drawing: Drawing | None = None
    tta: bool = False
    threshold: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PredictionRequest:
    """The files of one request, what admission control counts for it, and how it is answered."""

    uploads: Sequence[Upload]
    admission: Admission
    origin: Origin
    options: PredictionOptions


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPrediction:
    """One prediction under the id by which the audit log keeps it."""

    id: str
    slice_: Slice
    prediction: Prediction
    pictures: Pictures | None


@dataclass(frozen=True, slots=True)
class PredictionResults:
    """All that one request gets."""

    predictions: list[RecordedPrediction] = field(default_factory=list)
    studies: list[StudyPrediction] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

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
        drawn: Iterable[Pictures | None],
        failures: list[Failure],
    ) -> PredictionResults:
        """Put results together.

        Args:
            ids: Of the records, one a slice in the order of the series.
            drawn: Pictures in the same order; None where none are wanted.
            failures: Inputs without a prediction.
        """
        slices = (
            (slice_, answer.prediction)
            for series in answered
            for slice_, answer in zip(series.series.slices, series.answers, strict=True)
        )
        return cls(
            [
                RecordedPrediction(id_, slice_, prediction, pictures)
                for id_, (slice_, prediction), pictures in zip(ids, slices, drawn, strict=True)
            ],
            [series.study for series in answered if series.study is not None],
            failures,
        )
