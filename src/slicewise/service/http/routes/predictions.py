"""`/v1/predict`, `/v1/predict/batch` and `/v1/explain`; names as in `predict --json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from slicewise.explain.overlay import DEFAULT_STYLE, OverlayStyle
from slicewise.inference.decision import (
    BundleReference,
    Prediction,
    Reason,
    StudyAnswer,
    StudyPrediction,
    Verdict,
)
from slicewise.inference.results import DISCLAIMER
from slicewise.inference.words import finding_text, headline, study_text, unsure
from slicewise.service.http.dependencies import ArmQuery, PredictQuery, Upload, described_upload
from slicewise.service.http.examples import ResponseModel
from slicewise.service.http.problems import InputProblem
from slicewise.service.prediction.pictures import Drawing, Maps
from slicewise.service.prediction.results import PredictionResults, RecordedPrediction

router = APIRouter(prefix="/v1", tags=["predictions"])


class ExplainQuery(ArmQuery):
    """How an explanation is wanted."""

    target: str | None = Field(None, description="Class to explain; the answered one by default.")
    colormap: Literal["ember", "lagoon", "grey"] = Field(
        "ember", description="Colours of the heat map."
    )
    alpha: float = Field(
        DEFAULT_STYLE.alpha, ge=0.05, le=1, description="Opacity where evidence is strongest."
    )

    def drawing(self) -> Drawing:
        return Drawing(self.target, OverlayStyle(self.colormap, self.alpha), original=True)


class NamedPredictQuery(ArmQuery, PredictQuery):
    """How predictions are wanted, of any bundle."""


PredictOptions = Annotated[NamedPredictQuery, Query()]


class MapsOut(BaseModel):
    """Heat maps as numbers: raw Grad-CAM on the square that the model read."""

    values: dict[str, list[list[float]]] = Field(description="(h, w) of each class, at least 0.")
    top: int = Field(description="Row of the slice at the upper edge of the square.")
    left: int = Field(description="Column of the slice at its left edge.")
    side: int = Field(description="Pixels of the slice.")
    rows: int = Field(description="Of the slice.")
    columns: int = Field(description="Of the slice.")


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
    headline: str = Field(
        description="The answer in a word or two: its class, or that it is unsure."
    )
    unsure: bool = Field(description="Whether label and numbers say different things of a tumor.")
    summary: str = Field(description="The answer, or why there is none, in a sentence.")
    maps: MapsOut | None = Field(None, description="With `explain=map`.")
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
    headline: str = Field(
        description="The answer in a word or two: its class, or that it is unsure."
    )
    unsure: bool = Field(description="Whether label and numbers say different things of a tumor.")
    summary: str = Field(description="The answer, or why there is none, in a sentence or two.")
    slices: list[str] = Field(description="Sources of its predictions, in order along the normal.")
    threshold: float | None
    decision: Verdict
    reasons: list[Reason]
    bundle: BundleReference
    notes: list[str] = Field(
        description="What is unusual of its slices: what they were split by, order, distances."
    )


class PredictionsOut(ResponseModel):
    """The answers for several slices, or for a series."""

    predictions: Sequence[PredictionOut]
    studies: list[StudyPredictionOut]
    errors: list[InputProblem] = Field(
        description="Inputs that could not be answered, and how many answers have no picture."
    )
    disclaimer: str = DISCLAIMER


class ExplanationsOut(PredictionsOut):
    """The answers for several slices, or for a series, with their pictures."""

    predictions: Sequence[ExplanationOut]


@router.post(
    "/predict",
    summary="Answer for one file, or for the files of one series",
    response_model=PredictionOut | PredictionsOut,
    **described_upload(several=True),
)
async def predict(upload: Upload, query: PredictOptions) -> Response:
    """One slice is answered with one prediction; several, a zip or a series with a list."""
    results = await upload.results(query)
    if len(results.predictions) == 1 and not (results.studies or results.failures):
        return await upload.reply(lambda: _prediction(results.predictions[0], PredictionOut))
    return await upload.reply(lambda: _results(results, PredictionsOut, PredictionOut))


@router.post(
    "/predict/batch",
    summary="Answer for several files",
    response_model=PredictionsOut,
    **described_upload(several=True),
)
async def predict_batch(upload: Upload, query: PredictOptions) -> Response:
    """A file that cannot be read is an entry in `errors` and costs the others nothing."""
    results = await upload.results(query)
    return await upload.reply(lambda: _results(results, PredictionsOut, PredictionOut))


@router.post(
    "/explain",
    summary="Answer with slice and heat map",
    response_model=ExplanationsOut,
    **described_upload(several=True),
)
async def explain(upload: Upload, query: Annotated[ExplainQuery, Query()]) -> Response:
    """Like `/v1/predict/batch`, with pictures; of a series, those of its key slices."""
    results = await upload.results(query)
    return await upload.reply(lambda: _results(results, ExplanationsOut, ExplanationOut))


def _prediction(recorded: RecordedPrediction, kind: type[PredictionOut]) -> PredictionOut:
    drawn = recorded.drawn
    pictures: dict[str, Any] = {} if drawn is None else asdict(drawn)
    if isinstance(drawn, Maps):
        pictures = {"maps": pictures}
    answer = recorded.prediction
    known = {**asdict(answer), **pictures, "id": recorded.id}
    return kind(**known, **_headline(answer), summary=finding_text(answer))


def _headline(answer: Prediction | StudyPrediction) -> dict[str, Any]:
    withheld = answer.decision is Verdict.REJECT
    said = "Answer withheld" if withheld else headline(answer)
    return {"headline": said, "unsure": unsure(answer)}


def _results(
    results: PredictionResults, kind: type[PredictionsOut], one: type[PredictionOut]
) -> PredictionsOut:
    found = {recorded.prediction.source: recorded.prediction for recorded in results.predictions}
    studies = []
    for study, slices in zip(results.studies, results.slices, strict=True):
        summary = study_text(study, [found[source] for source in slices])
        words = {**_headline(study), "summary": summary}
        studies.append(StudyPredictionOut(**asdict(study), slices=slices, **words))
    return kind(
        predictions=[_prediction(recorded, one) for recorded in results.predictions],
        studies=studies,
        errors=InputProblem.of(results.failures),
    )
