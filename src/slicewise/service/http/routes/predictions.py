"""Uploads to answers: `/v1/predict`, `/v1/predict/batch`, `/v1/explain`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from slicewise.explain.overlay import COLORMAPS, DEFAULT_STYLE, OverlayStyle
from slicewise.service.http.dependencies import (
    OptionsQuery,
    PredictOptions,
    PredictQuery,
    Upload,
    described_upload,
)
from slicewise.service.http.schemas import (
    ExplanationsOut,
    PredictionOut,
    PredictionsOut,
    explanations_out,
    prediction_out,
    predictions_out,
)
from slicewise.service.prediction.pictures import Drawing

router = APIRouter(prefix="/v1", tags=["predictions"])


class ExplainQuery(OptionsQuery):
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

    def drawing(self) -> Drawing:
        """Slice and heat map."""
        return Drawing(self.target, OverlayStyle(self.colormap, self.alpha), original=True)


@router.post(
    "/predict",
    summary="Answer for one file, or for the files of one series",
    response_model=PredictionOut | PredictionsOut,
    **described_upload(PredictQuery, several=True),
)
async def predict(upload: Upload, query: PredictOptions) -> Response:
    """One slice is answered with one prediction; several, a zip or a series with a list."""
    results = await upload.results(query)
    if len(results.predictions) == 1 and not (results.studies or results.failures):
        return await upload.reply(lambda: prediction_out(results.predictions[0]))
    return await upload.reply(lambda: predictions_out(results))


@router.post(
    "/predict/batch",
    summary="Answer for several files",
    response_model=PredictionsOut,
    **described_upload(PredictQuery, several=True),
)
async def predict_batch(upload: Upload, query: PredictOptions) -> Response:
    """A file that cannot be read is an entry in `errors` and costs the others nothing."""
    results = await upload.results(query)
    return await upload.reply(lambda: predictions_out(results))


@router.post(
    "/explain",
    summary="Answer with slice and heat map",
    response_model=ExplanationsOut,
    **described_upload(ExplainQuery, several=True),
)
async def explain(upload: Upload, query: Annotated[ExplainQuery, Query()]) -> Response:
    """Like `/v1/predict/batch`, with pictures; of a series, those of its key slices."""
    results = await upload.results(query)
    return await upload.reply(lambda: explanations_out(results))
