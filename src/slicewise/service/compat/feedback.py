"""Older `/api/feedback`: the feedback of `/v1/predictions/{id}/feedback` under older names."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from slicewise.audit_log.records import LONGEST_NOTE
from slicewise.service.compat.predictions import OLD_NAMES
from slicewise.service.http.dependencies import CurrentServices, Predictor, described_json, json_of
from slicewise.service.http.examples import ID
from slicewise.service.http.routes.feedback import ID_PATTERN, FeedbackIn, FeedbackTaken, keep

router = APIRouter(tags=["older routes"])
_NEW_NAMES = {old: new for new, old in OLD_NAMES.items()}


class OldFeedbackIn(BaseModel):
    """What somebody thinks of a prediction, in the fields of older clients."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"prediction_id": ID, "correct": False, "correct_label": "notumor"}]
        },
    )

    prediction_id: str = Field(
        pattern=ID_PATTERN,
        validation_alias=AliasChoices("prediction_id", "id"),
        description="`id` of the answer. Or as `id`.",
    )
    correct: bool = Field(
        strict=True,
        validation_alias=AliasChoices("correct", "agree"),
        description="Whether the label is right. Or as `agree`.",
    )
    correct_label: str | None = Field(
        None,
        max_length=200,
        validation_alias=AliasChoices("correct_label", "label"),
        description="What is right instead. Or as `label`.",
    )
    comment: str | None = Field(
        None,
        max_length=LONGEST_NOTE,
        validation_alias=AliasChoices("comment", "note"),
        description="Free text. Nothing that tells who a patient is. Or as `note`.",
    )

    def feedback(self) -> FeedbackIn:
        label = self.correct_label
        named = None if label is None else _NEW_NAMES.get(label, label)
        return FeedbackIn(agree=self.correct, label=named, note=self.comment)


class OldFeedbackTaken(FeedbackTaken):
    """Under which id it is kept."""

    success: bool = True


@router.post(
    "/api/feedback",
    status_code=201,
    summary="Older name of /v1/predictions/{id}/feedback",
    **described_json(OldFeedbackIn, 404),
)
async def api_feedback(
    request: Request, caller: Predictor, services: CurrentServices
) -> OldFeedbackTaken:
    """Kept in the audit log beside the answer."""
    given = await json_of(request, OldFeedbackIn)
    taken = await keep(given.feedback(), given.prediction_id, caller, services)
    return OldFeedbackTaken(**taken.model_dump())
