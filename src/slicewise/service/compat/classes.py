"""Older routes that answer with several classes: `/predict` and `/api/predict`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from slicewise.inference.decision import BundleReference
from slicewise.service.compat.answer import Accounted, account_of
from slicewise.service.http.dependencies import (
    AnswerQuery,
    Parts,
    Predictor,
    PredictQuery,
    answers_for,
    body_of_files,
)
from slicewise.service.http.routes.predictions import UPLOAD_PROBLEMS
from slicewise.service.prediction.answers import Given, Wish
from slicewise.service.prediction.pictures import Drawing
from slicewise.service.services import Services

router = APIRouter(tags=["older routes"])
OLD_NAMES = {"no_tumor": "notumor"}
"""Class names as the older clients know them."""


class SaveCamQuery(PredictQuery):
    """What `/predict` was asked with."""

    explain: bool = Field(False, description="Same as save_cam.")
    save_cam: bool = Field(False, description="Send the overlay as base64 PNG; nothing is saved.")

    def wish(self) -> Wish:
        """What the engine is told."""
        drawing = Drawing() if self.save_cam or self.explain else None
        return Wish(drawing, self.tta, self.threshold)


class PredictOut(Accounted):
    """What `/predict` answers."""

    model_config = ConfigDict(protected_namespaces=())

    success: bool = True
    predicted_class: str = Field(description="`notumor` for no tumor.")
    confidence: float
    all_probabilities: dict[str, float]
    model_type: str = Field(description="Architecture of the model that answered.")
    classification: str = Field(description="Same as predicted_class.")
    has_tumor: bool | None = Field(description="Whether the tumor probability is high enough.")
    tumor_probability: float | None
    segmentation_available: bool = False
    tumor_volume_ml: float | None = None
    cam: str | None = Field(None, description="Overlay as base64 PNG, with save_cam=true.")


class ClassOut(BaseModel):
    """One class of `/api/predict`."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    class_: str = Field(alias="class")
    probability: float


class ApiPredictOut(Accounted):
    """What `/api/predict` answers."""

    predictions: list[ClassOut] = Field(description="The most probable first.")
    gradcam: str = Field(description="Overlay as base64 PNG.")
    original: str = Field(description="The slice as base64 PNG.")


class ApiQuery(AnswerQuery):
    """What `/api/predict` may be asked with: pictures always come."""

    def wish(self) -> Wish:
        """What the engine is told."""
        return Wish(Drawing(original=True), self.tta, self.threshold)


@router.post(
    "/predict",
    summary="Older name of /v1/predict",
    openapi_extra=body_of_files(several=False, options=SaveCamQuery),
    responses=UPLOAD_PROBLEMS,
)
async def predict(
    request: Request, caller: Predictor, parts: Parts, query: Annotated[SaveCamQuery, Query()]
) -> PredictOut:
    """One file; of a series, its first key slice."""
    answered = await answers_for(request, caller, query, most=1)
    given = answered.key()
    said = given.prediction
    name = old_name(said.label)
    return PredictOut(
        predicted_class=name,
        confidence=said.confidence,
        all_probabilities={old_name(label): p for label, p in said.probabilities.items()},
        model_type=_architecture(parts, said.bundle),
        classification=name,
        has_tumor=said.tumor_flag,
        tumor_probability=said.tumor_probability,
        cam=None if given.pictures is None else given.pictures.heatmap,
        **account_of(given, *answered.counts),
    )


@router.post(
    "/api/predict",
    summary="Older name of /v1/explain",
    openapi_extra=body_of_files(several=False, options=ApiQuery),
    responses=UPLOAD_PROBLEMS,
)
async def api_predict(
    request: Request, caller: Predictor, query: Annotated[ApiQuery, Query()]
) -> ApiPredictOut:
    """One file; of a series, its first key slice."""
    answered = await answers_for(request, caller, query, most=1)
    return api_predict_out(answered.key(), *answered.counts)


def api_predict_out(given: Given, slices: int = 1, unread: int = 0) -> ApiPredictOut:
    """One answer in the fields of `/api/predict`.

    Args:
        given: The answer.
        slices: How many slices were answered for.
        unread: How many inputs were not.
    """
    said, pictures = given.prediction, given.pictures
    ranked = sorted(said.probabilities.items(), key=lambda pair: -pair[1])
    return ApiPredictOut(
        predictions=[ClassOut(class_=old_name(name), probability=p) for name, p in ranked],
        gradcam="" if pictures is None else pictures.heatmap,
        original="" if pictures is None else pictures.original or "",
        **account_of(given, slices, unread),
    )


def _architecture(parts: Services, answered: BundleReference) -> str:
    """Of the bundle that answered, main or challenger."""
    bundles = (classifier.bundle for classifier in parts.engine.classifiers.values())
    return next(b.info.origin.architecture for b in bundles if b.reference == answered)


def old_name(label: str) -> str:
    """A class name as the older clients know it."""
    return OLD_NAMES.get(label, label)
