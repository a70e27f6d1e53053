"""Predictions as they were recorded, and feedback on them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, get_type_hints

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.exceptions import HTTPException

from slicewise.audit_log.keys import Role
from slicewise.audit_log.records import LONGEST_NOTE, Feedback, PredictionRecord
from slicewise.inference.decision import BundleReference
from slicewise.inference.results import DISCLAIMER
from slicewise.service.access.auth import Caller
from slicewise.service.http.dependencies import CurrentServices, Predictor, described_json, json_of
from slicewise.service.http.examples import ID, ResponseModel
from slicewise.service.http.problems import documented
from slicewise.service.services import Services

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])
ID_PATTERN = "^[0-9a-f]{32}$"
PredictionId = Annotated[
    str, Path(pattern=ID_PATTERN, description="`id` of the answer.", examples=[ID])
]


class FeedbackIn(BaseModel):
    """What somebody thinks of a prediction."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"agree": False, "label": "meningioma", "note": "falx"}]},
    )

    agree: bool = Field(strict=True, description="Whether the label is right.")
    label: str | None = Field(None, max_length=200, description="What is right instead.")
    note: str | None = Field(
        None, max_length=LONGEST_NOTE, description="Free text. Nothing that tells who a patient is."
    )


class FeedbackTaken(ResponseModel):
    """Under which id it is kept."""

    id: str
    prediction_id: str


_DESCRIPTIONS = {
    "input_sha256": "Of the uploaded file.",
    "slice_index": "Which slice of it; null where it held one.",
    "shadow_of": "For a shadow, the id of the answer that the caller got.",
    "summary": "Statistics of the input.",
    "ood_score": "Out-of-distribution score of the input.",
}


def _fields(kind: type, **changed: Any) -> Any:
    """The fields of a record as `create_model` takes them."""
    hints = (get_type_hints(kind) | changed).items()
    return {
        name: (hint, Field(description=_DESCRIPTIONS.get(name))) for name, hint in hints if hint
    }


FeedbackOut = create_model(
    "FeedbackOut", __doc__="Feedback on a prediction.", **_fields(Feedback, prediction_id=None)
)
RecordOut = create_model(
    "RecordOut",
    __base__=ResponseModel,
    __doc__="An answer as the audit database keeps it, and the feedback on it.",
    **_fields(PredictionRecord, bundle=dict[str, str]),
    distance=(float | None, Field(description="Older name of `ood_score`.", deprecated=True)),
    feedback=(list[FeedbackOut], ...),
    disclaimer=(str, DISCLAIMER),
)


@router.get(
    "/{prediction_id}",
    summary="An answer as it was recorded",
    response_model=RecordOut,
    responses=documented(404, 422),
)
async def prediction(
    prediction_id: PredictionId, caller: Predictor, services: CurrentServices
) -> dict[str, Any]:
    """Callers see their own answers; the role review sees all."""
    record = await _record_for(prediction_id, caller, services)
    feedback = await asyncio.to_thread(services.store.feedback_of, prediction_id)
    bundle = asdict(BundleReference(*record.bundle))
    return {**asdict(record), "bundle": bundle, "distance": record.ood_score, "feedback": feedback}


@router.post(
    "/{prediction_id}/feedback",
    status_code=201,
    summary="Say whether an answer was right",
    **described_json(FeedbackIn, 404),
)
async def give_feedback(
    request: Request, prediction_id: PredictionId, caller: Predictor, services: CurrentServices
) -> FeedbackTaken:
    """Kept beside the answer, in a chain of its own; no earlier feedback is replaced."""
    feedback = await json_of(request, FeedbackIn)
    return await keep(feedback, prediction_id, caller, services)


async def keep(
    feedback: FeedbackIn, prediction_id: str, caller: Caller, services: Services
) -> FeedbackTaken:
    """Keep feedback on an answer that the caller may see; 404 where there is none."""
    await _record_for(prediction_id, caller, services)
    add = services.store.add_feedback
    id_ = await asyncio.to_thread(add, prediction_id, caller.name, **feedback.model_dump())
    return FeedbackTaken(id=id_, prediction_id=prediction_id)


async def _record_for(prediction_id: str, caller: Caller, services: Services) -> PredictionRecord:
    """An answer that a caller may see: their own, or any with the role review; else 404."""
    record = await asyncio.to_thread(services.store.get, prediction_id)
    mine = record is not None and (record.caller == caller.name or caller.role.allows(Role.REVIEW))
    if record is None or not mine:
        raise HTTPException(404, "expected the id of an answer that is kept; got another one")
    return record
