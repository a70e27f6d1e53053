"""Uploads to answers: `/v1/predict`, `/v1/predict/batch`, `/v1/explain`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from slicewise.explain.colormap import COLORMAPS
from slicewise.explain.overlay import DEFAULT_STYLE, OverlayStyle
from slicewise.service.http.dependencies import (
    AnswerQuery,
    Parts,
    PredictOptions,
    Predictor,
    PredictQuery,
    answers_for,
    body_of_files,
    reply,
)
from slicewise.service.http.problems import documented
from slicewise.service.http.schemas import (
    EnvelopeOut,
    ExplanationsOut,
    PredictionOut,
    envelope_out,
    explanations_out,
    prediction_out,
)
from slicewise.service.prediction.answers import Wish
from slicewise.service.prediction.pictures import Drawing

router = APIRouter(prefix="/v1", tags=["predictions"])
UPLOAD_PROBLEMS = documented(400, 408, 413, 415, 422)


class ExplainQuery(AnswerQuery):
    """How an explanation is wanted."""

    target: str | None = Field(None, description="Class to explain; the answered one by default.")
    colormap: str = Field(
        DEFAULT_STYLE.colormap,
        pattern=f"^({'|'.join(COLORMAPS)})$",
        description="Colours of the heat map.",
    )
    alpha: float = Field(
        DEFAULT_STYLE.alpha, ge=0.05, le=1, description="Opacity where evidence is strongest."
    )

    def wish(self) -> Wish:
        """What the engine is told."""
        style = OverlayStyle(self.colormap, self.alpha)
        return Wish(Drawing(self.target, style, original=True), self.tta, self.threshold)


@router.post(
    "/predict",
    summary="Answer for one file, or for the files of one series",
    openapi_extra=body_of_files(several=True, options=PredictQuery),
    responses=UPLOAD_PROBLEMS,
    response_model=PredictionOut | EnvelopeOut,
)
async def predict(
    request: Request, caller: Predictor, parts: Parts, query: PredictOptions
) -> Response:
    """One slice is answered with a prediction, several, a zip or a series with an envelope."""
    answered = await answers_for(request, caller, query)
    if len(answered.given) == 1 and not (answered.studies or answered.failures):
        return await reply(parts, lambda: prediction_out(answered.given[0]))
    return await reply(parts, lambda: envelope_out(answered))


@router.post(
    "/predict/batch",
    summary="Answer for several files",
    openapi_extra=body_of_files(several=True, options=PredictQuery),
    responses=UPLOAD_PROBLEMS,
    response_model=EnvelopeOut,
)
async def predict_batch(
    request: Request, caller: Predictor, parts: Parts, query: PredictOptions
) -> Response:
    """A file that cannot be read is an entry in `errors` and costs the others nothing."""
    answered = await answers_for(request, caller, query)
    return await reply(parts, lambda: envelope_out(answered))


@router.post(
    "/explain",
    summary="Answer with slice and heat map",
    openapi_extra=body_of_files(several=True, options=ExplainQuery),
    responses=UPLOAD_PROBLEMS,
    response_model=ExplanationsOut,
)
async def explain(
    request: Request, caller: Predictor, parts: Parts, query: Annotated[ExplainQuery, Query()]
) -> Response:
    """Like `/v1/predict/batch`, with pictures; of a series, those of its key slices."""
    answered = await answers_for(request, caller, query)
    return await reply(parts, lambda: explanations_out(answered))
