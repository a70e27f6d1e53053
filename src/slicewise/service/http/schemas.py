"""What the API answers with, as pydantic models; names as in `predict --json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Generic, TypeVar

from pydantic import Field

from slicewise.imaging.slice import Failure
from slicewise.inference.decision import BundleReference, Reason, StudyAnswer, Verdict
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.examples import ResponseModel
from slicewise.service.http.problems import InputProblem
from slicewise.service.prediction.results import PredictionResults, RecordedPrediction


class PredictionOut(ResponseModel):
    """The answer for one slice."""

    id: str = Field(description="Under which the audit database keeps it; feedback names it.")
    source: str = Field(description="Name of the file, then `!member` of a zip, then `#index`.")
    label: str = Field(description="Most probable class.")
    probabilities: dict[str, float] = Field(description="Calibrated, by class.")
    confidence: float = Field(description="Probability of the label.")
    tumor_probability: float | None = Field(description="Null without a class without a tumor.")
    tumor_flag: bool | None = Field(description="Whether it reaches the threshold.")
    threshold: float | None = Field(description="The one in force.")
    prediction_set: list[str] | None = Field(description="Classes that cannot be ruled out.")
    decision: Verdict = Field(description="What should happen with the answer.")
    reasons: list[Reason] = Field(description="Why it is not simply accepted.")
    bundle: BundleReference
    timing_ms: float = Field(description="Preprocessing and share of the forward pass.")
    heatmap: str | None = Field(
        None,
        description="Overlay as base64 PNG; in a series, of its key slices; of 64 answers at most.",
    )
    disclaimer: str = DISCLAIMER


class ExplanationOut(PredictionOut):
    """The answer for one slice with its pictures."""

    original: str | None = Field(None, description="The slice as base64 PNG.")
    target: str | None = Field(None, description="Class whose heat map it is.")
    peak: tuple[int, int] | None = Field(
        None, description="Row and column of the strongest evidence; null where there is none."
    )


class StudyPredictionOut(ResponseModel):
    """The answer for a series."""

    source: str
    plane: str | None = Field(description="axial, coronal, sagittal or oblique, where known.")
    study: StudyAnswer
    threshold: float | None
    decision: Verdict
    reasons: list[Reason]
    bundle: BundleReference


Item = TypeVar("Item")


class _Results(ResponseModel, Generic[Item]):
    predictions: list[Item]
    studies: list[StudyPredictionOut]
    errors: list[InputProblem] = Field(
        description="Inputs that could not be answered, and how many answers have no picture."
    )
    disclaimer: str = DISCLAIMER


class PredictionsOut(_Results[PredictionOut]):
    """The answers for several slices, or for a series."""


class ExplanationsOut(_Results[ExplanationOut]):
    """The answers for several slices, or for a series, with their pictures."""


def prediction_out(recorded: RecordedPrediction) -> PredictionOut:
    """One prediction for the wire."""
    return PredictionOut(**_fields(recorded))


def predictions_out(results: PredictionResults) -> PredictionsOut:
    """All results of a request for the wire."""
    predictions = [prediction_out(one) for one in results.predictions]
    return PredictionsOut(predictions=predictions, **_beside(results))


def explanations_out(results: PredictionResults) -> ExplanationsOut:
    """All results of a request for the wire, with their pictures."""
    predictions = [_explanation_out(one) for one in results.predictions]
    return ExplanationsOut(predictions=predictions, **_beside(results))


def input_problem(failure: Failure) -> InputProblem:
    """An input without an answer for the wire."""
    return InputProblem(source=failure.source, error=failure.error)


def _explanation_out(recorded: RecordedPrediction) -> ExplanationOut:
    drawn = recorded.pictures
    beside = {} if drawn is None else {k: getattr(drawn, k) for k in ("original", "target", "peak")}
    return ExplanationOut(**_fields(recorded), **beside)


def _beside(results: PredictionResults) -> dict[str, Any]:
    return {
        "studies": [StudyPredictionOut(**asdict(study)) for study in results.studies],
        "errors": [input_problem(failure) for failure in results.failures],
    }


def _fields(recorded: RecordedPrediction) -> dict[str, Any]:
    heatmap = None if recorded.pictures is None else recorded.pictures.heatmap
    return {**asdict(recorded.prediction), "id": recorded.id, "heatmap": heatmap}
