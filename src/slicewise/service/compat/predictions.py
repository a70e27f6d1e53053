"""Older routes that answer for a file, and of a series for its first key slice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from slicewise.errors import ConfigError
from slicewise.inference.decision import (
    BundleReference,
    Prediction,
    Reason,
    Verdict,
    reasons_text,
)
from slicewise.inference.results import DISCLAIMER
from slicewise.inference.words import finding_text
from slicewise.service.http.dependencies import (
    CurrentServices,
    Options,
    PredictQuery,
    RequestOrigin,
    Upload,
    UploadRequest,
    answered,
    described_upload,
)
from slicewise.service.http.examples import ResponseModel
from slicewise.service.http.problems import InputProblem, documented
from slicewise.service.http.routes.sample import SampleOptions, SampleQuery, drawn
from slicewise.service.prediction.engine import Engine
from slicewise.service.prediction.pictures import Drawing
from slicewise.service.prediction.results import (
    Origin,
    PredictionRequest,
    PredictionResults,
    RecordedPrediction,
)
from slicewise.service.prediction.uploads import Upload as UploadedFile

router = APIRouter(tags=["older routes"])
OLD_NAMES = {"no_tumor": "notumor"}  # class names as the older clients know them

NO_TUMOR, TUMOR = "No Tumor", "Tumor"
_DECISIONS = {
    Verdict.ACCEPT: "accepted",
    Verdict.REVIEW: "for a person to review",
    Verdict.REJECT: "rejected: the class named is no answer",
}


class SaveCamQuery(PredictQuery):
    """Options of `/predict`."""

    explain: bool = Field(False, description="Same as save_cam.")
    save_cam: bool = Field(False, description="Send the overlay as base64 PNG; nothing is saved.")

    def drawing(self) -> Drawing | None:
        return Drawing() if self.save_cam or self.explain else None


class _Common(ResponseModel):
    notes: str = Field(description="What should happen with the answer, and why.")
    decision: Verdict
    reasons: list[Reason]
    id: str
    source: str = Field(description="Name of the file as it was sent, then the part of it.")
    bundle: BundleReference = Field(description="The model that answered.")
    disclaimer: str = DISCLAIMER


class PredictOut(_Common):
    """What `/predict` answers."""

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


class ApiPredictOut(_Common):
    """What `/api/predict` answers."""

    predictions: list[ClassOut] = Field(description="The most probable first.")
    gradcam: str = Field(description="Overlay as base64 PNG.")
    original: str = Field(description="The slice as base64 PNG.")


class RandomTestOut(ApiPredictOut):
    """The answer for a synthetic slice."""

    true_label: str = Field(description="What was drawn.")
    seed: int
    synthetic: bool = True


class BinaryOut(_Common):
    """Tumor or no tumor."""

    predicted_class: int = Field(ge=0, le=1, description="1 is a tumor.")
    predicted_label: str = Field(description="`Tumor` or `No Tumor`.")
    confidence: float = Field(description="Probability of the label.")
    probabilities: dict[str, float] = Field(description="By label.")
    threshold: float | None = Field(description="Tumor probability from which it is a tumor.")


class BinaryWithOverlay(BinaryOut):
    """Tumor or no tumor, with the heat map."""

    gradcam_overlay: str = Field(description="Overlay as base64 PNG.")


class BinaryBatch(ResponseModel):
    """Tumor or no tumor, for several files."""

    predictions: list[BinaryOut]
    count: int
    errors: list[InputProblem]
    disclaimer: str = DISCLAIMER


@router.post("/classify_slice", summary="Tumor or not, one file", **described_upload())
async def classify_slice(upload: Upload, query: Options) -> BinaryOut:
    """Of a series, its first key slice."""
    _require_negative_class(upload)
    results = await upload.results(query, most=1)
    return BinaryOut(**_binary(results.key_prediction(), results))


@router.post(
    "/classify_batch",
    summary="Tumor or not, several files",
    response_model=BinaryBatch,
    **described_upload(several=True),
)
async def classify_batch(upload: Upload, query: Options) -> Response:
    """A file that cannot be read is an entry in `errors`."""
    _require_negative_class(upload)
    results = await upload.results(query)
    return await upload.reply(
        lambda: BinaryBatch(
            predictions=[BinaryOut(**_binary(one)) for one in results.predictions],
            count=len(results.predictions),
            errors=InputProblem.of(results.failures),
        )
    )


@router.post(
    "/classify_with_gradcam",
    summary="Tumor or not, with heat map",
    **described_upload(),
)
async def classify_with_gradcam(upload: Upload, query: Options) -> BinaryWithOverlay:
    """Of a series, its first key slice."""
    _require_negative_class(upload)
    results = await upload.results(query, most=1, drawing=Drawing())
    key = results.key_prediction()
    overlay = "" if key.pictures is None else key.pictures.heatmap
    return BinaryWithOverlay(**_binary(key, results), gradcam_overlay=overlay)


@router.post("/predict", summary="Older name of /v1/predict", **described_upload())
async def predict(upload: Upload, query: Annotated[SaveCamQuery, Query()]) -> PredictOut:
    """One file; of a series, its first key slice."""
    results = await upload.results(query, most=1)
    key = results.key_prediction()
    prediction, name = key.prediction, old_name(key.prediction.label)
    return PredictOut(
        predicted_class=name,
        confidence=prediction.confidence,
        all_probabilities={old_name(k): p for k, p in prediction.probabilities.items()},
        model_type=_architecture(upload, prediction.bundle),
        classification=name,
        has_tumor=prediction.tumor_flag,
        tumor_probability=prediction.tumor_probability,
        cam=None if key.pictures is None else key.pictures.heatmap,
        **_common(key, results),
    )


@router.post("/api/predict", summary="Older name of /v1/explain", **described_upload())
async def api_predict(upload: Upload, query: Options) -> ApiPredictOut:
    """One file; of a series, its first key slice."""
    results = await upload.results(query, most=1, drawing=Drawing(original=True))
    return ApiPredictOut(**ranked(results))


@router.get(
    "/api/random-test",
    summary="A synthetic slice and the answer for it (older name)",
    responses=documented(422),
)
async def random_test(
    origin: RequestOrigin, services: CurrentServices, query: SampleOptions
) -> RandomTestOut:
    """The answer is recorded like any other."""
    engine = services.engine
    async with synthetic(engine, origin, query, Drawing(original=True)) as (request, what):
        return RandomTestOut(**ranked(await answered(engine, request)), **what)


@asynccontextmanager
async def synthetic(
    engine: Engine, origin: Origin, query: SampleQuery, drawing: Drawing
) -> AsyncIterator[tuple[PredictionRequest, dict[str, Any]]]:
    """A request with a synthetic slice, which has a place until the context ends; what it is."""
    with engine.admission.admit() as admission:
        content, seed, label = await engine.work(drawn, query.seed, query.label)
        file = UploadedFile.of("synthetic.png", content)
        request = PredictionRequest([file], admission, origin, drawing)
        yield request, {"true_label": old_name(label), "seed": seed}


def old_name(label: str) -> str:
    return OLD_NAMES.get(label, label)


def _common(recorded: RecordedPrediction, results: PredictionResults | None) -> dict[str, Any]:
    """The fields of `_Common`; `results` are all of the request, where this one stands for all."""
    prediction = recorded.prediction
    same = {name: getattr(prediction, name) for name in ("decision", "reasons", "source", "bundle")}
    why = reasons_text(prediction.reasons)
    decision = _DECISIONS[prediction.decision] + (f" ({why})" if why else "")
    slices, unread = (len(results.predictions), len(results.failures)) if results else (1, 0)
    one = f"One of {slices} slices; /v1/predict answers for all. " if slices > 1 else ""
    bad = f"Not all could be read ({unread}); /v1/predict says why. " if unread else ""
    said = "" if prediction.decision is Verdict.REJECT else f"{finding_text(prediction)} "
    return {"notes": f"{decision}. {said}{one}{bad}{DISCLAIMER}", "id": recorded.id, **same}


def _binary(
    recorded: RecordedPrediction, results: PredictionResults | None = None
) -> dict[str, Any]:
    """Tumor where the threshold is reached, also of a rejected picture, which has no flag."""
    prediction = recorded.prediction
    tumor = prediction.tumor_probability or 0.0
    probabilities = {NO_TUMOR: 1.0 - tumor, TUMOR: tumor}
    threshold = 0.5 if prediction.threshold is None else prediction.threshold
    label = TUMOR if tumor >= threshold else NO_TUMOR
    return {
        "predicted_class": int(label == TUMOR),
        "predicted_label": label,
        "confidence": probabilities[label],
        "probabilities": probabilities,
        "threshold": prediction.threshold,
        **_common(recorded, results),
    }


def ranked(results: PredictionResults) -> dict[str, Any]:
    """The fields of `ApiPredictOut`."""
    key = results.key_prediction()
    return {
        "predictions": ranking(key.prediction),
        "gradcam": "" if key.pictures is None else key.pictures.heatmap,
        "original": "" if key.pictures is None else key.pictures.original or "",
        **_common(key, results),
    }


def ranking(prediction: Prediction) -> list[ClassOut]:
    pairs = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    return [ClassOut(class_=old_name(name), probability=p) for name, p in pairs]


def _require_negative_class(upload: UploadRequest) -> None:
    if upload.services.engine.main.bundle.negative_class is None:
        raise ConfigError("this model has no class without a tumor; ask /v1/predict")


def _architecture(upload: UploadRequest, answered: BundleReference) -> str:
    bundles = (classifier.bundle for classifier in upload.services.engine.classifiers.values())
    return next(b.info.origin.architecture for b in bundles if b.reference == answered)
