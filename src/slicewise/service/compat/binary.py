"""Older routes that answer tumor or no tumor, collapsed from all classes: `/classify_...`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from slicewise.errors import ConfigError
from slicewise.inference.results import DISCLAIMER
from slicewise.service.compat.answer import Accounted, account_of
from slicewise.service.http.dependencies import (
    AnswerQuery,
    Parts,
    Predictor,
    answers_for,
    body_of_files,
    reply,
)
from slicewise.service.http.problems import InputProblem
from slicewise.service.http.routes.predictions import UPLOAD_PROBLEMS
from slicewise.service.http.schemas import input_problem
from slicewise.service.prediction.answers import Given, Wish
from slicewise.service.prediction.pictures import Drawing
from slicewise.service.services import Services

router = APIRouter(tags=["older routes"])
Options = Annotated[AnswerQuery, Query()]
NO_TUMOR, TUMOR = "No Tumor", "Tumor"


class BinaryOut(Accounted):
    """Tumor or no tumor."""

    predicted_class: int = Field(ge=0, le=1, description="1 is a tumor.")
    predicted_label: str = Field(description="`Tumor` or `No Tumor`.")
    confidence: float = Field(description="Probability of the label.")
    probabilities: dict[str, float] = Field(description="By label.")
    threshold: float | None = Field(description="Tumor probability from which it is a tumor.")


class BinaryWithOverlay(BinaryOut):
    """Tumor or no tumor, with the heat map."""

    gradcam_overlay: str = Field(description="Overlay as base64 PNG.")


class GradcamQuery(AnswerQuery):
    """What `/classify_with_gradcam` may be asked with: the heat map always comes."""

    def wish(self) -> Wish:
        """What the engine is told."""
        return Wish(Drawing(), self.tta, self.threshold)


class BinaryBatch(BaseModel):
    """Tumor or no tumor, for several files."""

    predictions: list[BinaryOut]
    count: int
    errors: list[InputProblem]
    disclaimer: str = DISCLAIMER


@router.post(
    "/classify_slice",
    summary="Tumor or not, one file",
    openapi_extra=body_of_files(several=False, options=AnswerQuery),
    responses=UPLOAD_PROBLEMS,
)
async def classify_slice(
    request: Request, caller: Predictor, parts: Parts, query: Options
) -> BinaryOut:
    """Of a series, its first key slice."""
    _require_negative_class(parts)
    answered = await answers_for(request, caller, query, most=1)
    return BinaryOut(**_binary(answered.key(), *answered.counts))


@router.post(
    "/classify_batch",
    summary="Tumor or not, several files",
    openapi_extra=body_of_files(several=True, options=AnswerQuery),
    responses=UPLOAD_PROBLEMS,
    response_model=BinaryBatch,
)
async def classify_batch(
    request: Request, caller: Predictor, parts: Parts, query: Options
) -> Response:
    """A file that cannot be read is an entry in `errors`."""
    _require_negative_class(parts)
    answered = await answers_for(request, caller, query)
    return await reply(
        parts,
        lambda: BinaryBatch(
            predictions=[BinaryOut(**_binary(given)) for given in answered.given],
            count=len(answered.given),
            errors=[input_problem(failure) for failure in answered.failures],
        ),
    )


@router.post(
    "/classify_with_gradcam",
    summary="Tumor or not, with heat map",
    openapi_extra=body_of_files(several=False, options=GradcamQuery),
    responses=UPLOAD_PROBLEMS,
)
async def classify_with_gradcam(
    request: Request,
    caller: Predictor,
    parts: Parts,
    query: Annotated[GradcamQuery, Query()],
) -> BinaryWithOverlay:
    """Of a series, its first key slice."""
    _require_negative_class(parts)
    answered = await answers_for(request, caller, query, most=1)
    given = answered.key()
    overlay = "" if given.pictures is None else given.pictures.heatmap
    return BinaryWithOverlay(**_binary(given, *answered.counts), gradcam_overlay=overlay)


def _require_negative_class(parts: Services) -> None:
    if parts.engine.main.bundle.negative_class is None:
        raise ConfigError("this model has no class without a tumor; ask /v1/predict")


def _binary(given: Given, slices: int = 1, unread: int = 0) -> dict[str, Any]:
    """Tumor where the threshold is reached, also of a rejected picture, which has no flag."""
    said = given.prediction
    tumor = said.tumor_probability or 0.0
    probabilities = {NO_TUMOR: 1.0 - tumor, TUMOR: tumor}
    threshold = 0.5 if said.threshold is None else said.threshold
    label = TUMOR if tumor >= threshold else NO_TUMOR
    return {
        "predicted_class": int(label == TUMOR),
        "predicted_label": label,
        "confidence": probabilities[label],
        "probabilities": probabilities,
        "threshold": said.threshold,
        **account_of(given, slices, unread),
    }
