"""Older `/api/upload`: what a file holds. Nothing of it is answered or kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from slicewise.imaging.formats.content import HEAD_BYTES, content_of
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.dependencies import Upload, described_upload
from slicewise.service.http.examples import ResponseModel
from slicewise.service.http.problems import InputProblem

router = APIRouter(tags=["older routes"])


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
