"""Older `/api/analyze-detailed`: an answer with a box, and what the other loaded bundles answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from slicewise.audit_log.keys import Role
from slicewise.explain.heatmap import LEVEL
from slicewise.inference.decision import BundleReference, Prediction, Reason, Verdict
from slicewise.service.access.auth import Caller
from slicewise.service.compat.predictions import (
    ApiPredictOut,
    ClassOut,
    RandomTestOut,
    old_name,
    ranked,
    ranking,
    synthetic,
)
from slicewise.service.http.dependencies import (
    CurrentServices,
    Options,
    Predictor,
    RequestOrigin,
    Upload,
    answered,
    described_upload,
)
from slicewise.service.http.problems import documented
from slicewise.service.http.routes.sample import SampleOptions
from slicewise.service.prediction.pictures import Drawing
from slicewise.service.prediction.results import PredictionRequest, RecordedPrediction
from slicewise.service.prediction.traffic_split import arm_of
from slicewise.service.services import Services

router = APIRouter(tags=["older routes"])
Level = Literal["unanimous", "majority", "split"]
_DRAWING = Drawing(original=True, box=True)

_ALONE = "only one bundle is loaded"
_NOT_SHOWN = "what other bundles answer is shown to the role review only"
_TOO_FEW = "fewer than two bundles have an answer: a rejected slice has none"


class BoxOut(BaseModel):
    """A rectangle in pixels of the pictures that are sent back."""

    x: int = Field(description="Of the left edge.")
    y: int = Field(description="Of the upper edge.")
    width: int
    height: int
    level: float = Field(description="Share of the map's maximum that its pixels reach.")


class ModelAnswerOut(BaseModel):
    """What one bundle answers."""

    id: str
    bundle: BundleReference
    predicted_class: str = Field(description="`notumor` for no tumor.")
    confidence: float
    predictions: list[ClassOut] = Field(description="The most probable first.")
    decision: Verdict
    reasons: list[Reason]


class AgreementOut(BaseModel):
    """How far bundles agree that have an answer."""

    level: Level = Field(
        description="All, more than half, or no more than half name the same class."
    )
    share: float = Field(description="Of those that name the class most of them name.")
    models: int = Field(description="Bundles that have an answer.")


class AnalysisOut(ApiPredictOut):
    """What `/api/analyze-detailed` answers."""

    bounding_box: BoxOut | None = Field(
        description="Round the peak of the answered class's heat map, of a share of its maximum. "
        "It outlines evidence, not a tumor. Null without evidence, of no tumor, and where rejected."
    )
    models: list[ModelAnswerOut] = Field(description="What each bundle answers; shown as it may.")
    agreement: AgreementOut | None
    agreement_note: str | None = Field(description="Why there is no agreement.")


class RandomAnalysisOut(AnalysisOut, RandomTestOut):
    """The same for a synthetic slice."""


@router.post(
    "/api/analyze-detailed",
    summary="The answer with a box, and those of other bundles",
    **described_upload(),
)
async def analyze_detailed(upload: Upload, query: Options) -> AnalysisOut:
    """One file; of a series, its first key slice. The role review sees every loaded bundle."""
    async with upload.admitted(query, most=1) as (files, asked, admission):
        how = _DRAWING, asked.tta, asked.threshold
        request = PredictionRequest(files, admission, upload.origin, *how)
        return AnalysisOut(**await _analysis(upload.services, upload.caller, request))


@router.get(
    "/api/random-test-detailed",
    summary="The same for a synthetic slice",
    responses=documented(422),
)
async def random_test_detailed(
    caller: Predictor, origin: RequestOrigin, services: CurrentServices, query: SampleOptions
) -> RandomAnalysisOut:
    """The answers are recorded like any other."""
    async with synthetic(services.engine, origin, query, _DRAWING) as (request, what):
        return RandomAnalysisOut(**await _analysis(services, caller, request), **what)


async def _analysis(
    services: Services, caller: Caller, request: PredictionRequest
) -> dict[str, Any]:
    """The fields of `AnalysisOut`, for a request of one file."""
    engine = services.engine
    first = arm_of(request.uploads[0].sha256, services.settings.challenger_share)
    others = [arm for arm in engine.classifiers if arm is not first]
    shown = bool(others) and caller.role.allows(Role.REVIEW)
    results = await answered(engine, replace(request, arm=first) if shown else request)
    key = results.key_prediction()
    answers = [key]
    for arm in others if shown else ():
        found = await engine.answer(replace(request, arm=arm, drawing=None))
        same = (one for one in found.predictions if one.prediction.source == key.prediction.source)
        answers += [*same]
    agreement = agreement_of([one.prediction for one in answers])
    missing = _TOO_FEW if shown else _NOT_SHOWN if others else _ALONE
    return {
        **ranked(results),
        "bounding_box": _box(key, engine.main.bundle.negative_class),
        "models": [_model(one) for one in answers],
        "agreement": agreement,
        "agreement_note": None if agreement else missing,
    }


def _box(recorded: RecordedPrediction, negative: str | None) -> BoxOut | None:
    prediction, pictures = recorded.prediction, recorded.pictures
    without = prediction.decision is Verdict.REJECT or prediction.label == negative
    if without or pictures is None or pictures.box is None:
        return None
    return BoxOut(**asdict(pictures.box), level=LEVEL)


def _model(recorded: RecordedPrediction) -> ModelAnswerOut:
    prediction = recorded.prediction
    return ModelAnswerOut(
        id=recorded.id,
        bundle=prediction.bundle,
        predicted_class=old_name(prediction.label),
        confidence=prediction.confidence,
        predictions=ranking(prediction),
        decision=prediction.decision,
        reasons=prediction.reasons,
    )


def agreement_of(answers: Sequence[Prediction]) -> AgreementOut | None:
    """Of answers to one slice that are not rejected; None of fewer than two."""
    labels = [one.label for one in answers if one.decision is not Verdict.REJECT]
    if len(labels) < 2:
        return None
    ((_, most),) = Counter(labels).most_common(1)
    share = most / len(labels)
    level: Level = "unanimous" if share == 1 else "majority" if share > 0.5 else "split"
    return AgreementOut(level=level, share=share, models=len(labels))
