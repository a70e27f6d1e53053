"""Routes that the pages of older systems asked: upload, feedback, training.

An upload is read and not kept; feedback goes where that of `/v1/predictions/{id}/feedback` goes;
there is no training over the network.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from slicewise.audit_log.records import LONGEST_NOTE
from slicewise.imaging.formats.content import HEAD_BYTES, content_of
from slicewise.inference.results import DISCLAIMER
from slicewise.service.compat.predictions import OLD_NAMES
from slicewise.service.http.dependencies import (
    CurrentServices,
    Predictor,
    Upload,
    described_json,
    described_upload,
    json_of,
)
from slicewise.service.http.examples import ID, ResponseModel
from slicewise.service.http.problems import InputProblem, documented
from slicewise.service.http.routes.feedback import ID_PATTERN, FeedbackIn, FeedbackTaken, keep

router = APIRouter(tags=["older routes"])
_NEW_NAMES = {old: new for new, old in OLD_NAMES.items()}
_INSTEAD = (
    "expected training on the command line, not over the network: `slicewise train CONFIG`, then "
    "`slicewise serve --bundle runs/NAME/bundle`"
)


class UploadQuery(BaseModel):
    """No options."""

    model_config = ConfigDict(extra="forbid")


class UploadOut(ResponseModel):
    """What was read."""

    success: bool = True
    filename: str = Field(description="As it was sent, without folders.")
    format: str | None = Field(description="By its content.")
    width: int = Field(description="Of the first slice, pixels.")
    height: int
    slices: int
    errors: list[InputProblem] = Field(description="What in it could not be read.")
    message: str = "Read, and not kept: send the file again to be answered, to /api/predict."
    disclaimer: str = DISCLAIMER


@router.post("/api/upload", summary="Whether a file can be read", **described_upload())
async def api_upload(upload: Upload, query: Annotated[UploadQuery, Query()]) -> UploadOut:
    """One file, read as it would be to be answered. Nothing is kept."""
    (file,), _, prepared = await upload.slices(query, most=1)
    slices = [one.ready.slice_ for series in prepared.series for one in series.slices]
    height, width = slices[0].shape
    return UploadOut(
        filename=file.name,
        format=content_of(file.content[:HEAD_BYTES]),
        width=width,
        height=height,
        slices=len(slices),
        errors=InputProblem.of(prepared.failures),
    )


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


@router.post(
    "/api/train",
    status_code=501,
    summary="Says how a model is trained",
    responses=documented(501),
)
async def api_train(caller: Predictor) -> None:
    """Always 501."""
    raise HTTPException(501, _INSTEAD)
