"""What a route that takes files asks of a request: who calls, which files, how to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from slicewise.audit_log.keys import Role
from slicewise.imaging.slice import Failure
from slicewise.service.access.auth import Caller, caller_dependency
from slicewise.service.http.problems import AnswerlessError
from slicewise.service.http.uploads import read_form
from slicewise.service.monitoring.logs import request_id_of, route_of
from slicewise.service.prediction.admission import Door
from slicewise.service.prediction.answers import Answered, Wish
from slicewise.service.prediction.pictures import Drawing
from slicewise.service.prediction.recording import Origin
from slicewise.service.services import Services

Predictor = Annotated[Caller, Depends(caller_dependency(Role.PREDICT))]
Reviewer = Annotated[Caller, Depends(caller_dependency(Role.REVIEW))]

Model = TypeVar("Model", bound=BaseModel)

PART = 256 * 1024
"""Bytes of an answer that are handed over at a time."""


def services_of(request: Request) -> Services:
    """The parts of this process."""
    services: Services = request.app.state.services
    return services


async def _parts(request: Request) -> Services:  # FastAPI gives a plain function a thread
    return services_of(request)


Parts = Annotated[Services, Depends(_parts)]


class AnswerQuery(BaseModel):
    """How an answer is wanted; each may come as a query parameter or as a form field."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tta: bool = Field(False, description="Average over six views; six times the work.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="Tumor threshold instead of the model's."
    )

    def wish(self) -> Wish:
        """What the engine is told."""
        return Wish(None, self.tta, self.threshold)


class PredictQuery(AnswerQuery):
    """How a prediction is wanted."""

    explain: bool = Field(False, description="Send the heat map as a base64 PNG too.")

    def wish(self) -> Wish:
        """What the engine is told."""
        return Wish(Drawing() if self.explain else None, self.tta, self.threshold)


PredictOptions = Annotated[PredictQuery, Query()]


def body_of_files(several: bool, options: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of a multipart body with files.

    Args:
        several: Whether there may be more than one.
        options: What else may come as form fields.
    """
    file: dict[str, Any] = {
        "type": "string",
        "format": "binary",
        "description": "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI, or a zip of them.",
    }
    files = {"type": "array", "items": file, "minItems": 1} if several else file
    fields = options.model_json_schema()["properties"]
    schema = {
        "type": "object",
        "properties": {"file": files, **fields},
        "required": ["file"],
        "additionalProperties": False,
    }
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def body_of_json(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of a JSON body that `json_of` reads."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def json_of(request: Request, model: type[Model]) -> Model:
    """Read a JSON body; called by a route, so that its caller is known before.

    Args:
        request: Whose body nobody has read yet.
        model: What it must be.

    Raises:
        HTTPException: 415 where it is no JSON by its type, 400 by its content; 413 or 408 where it
            is too large or too slow.
        RequestValidationError: It is not what it must be.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "expected a body of application/json")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            raise HTTPException(400, "expected a body of JSON, got broken JSON") from None
        raise RequestValidationError(_in_body(found)) from None


async def answers_for(
    request: Request, caller: Caller, query: AnswerQuery, *, most: int | None = None
) -> Answered:
    """Read the files of a request and answer for them.

    Args:
        request: Its body is read here.
        caller: Who sent it.
        query: Options from the query; form fields of the same names come first.
        most: Files it may hold; None for the setting.

    Raises:
        AnswerlessError: None of its files could be answered.
        HTTPException: The body is not as it must be.
        SliceWiseError: As `Engine.answer` raises.
    """
    services = services_of(request)
    origin = Origin(caller.name, route_of(request.scope), request_id_of(request.scope))
    engine = services.engine
    with engine.door.enter(sending=True) as ticket:
        texts = type(query).model_fields
        form = await read_form(
            request, ticket, most=most or services.settings.max_files, texts=tuple(texts)
        )
        ticket.arrive()
        wish = with_fields(query, form.texts).wish()
        answered = await engine.answer(form.uploads, ticket, origin, wish)
    if not answered.given:
        raise AnswerlessError([_pair(failure) for failure in answered.failures])
    return answered


async def reply(parts: Services, make: Callable[[], BaseModel]) -> Response:
    """A response whose JSON is written in a thread: with many pictures it takes a while.

    Args:
        parts: Of the service.
        make: Makes what is said.
    """
    content = await parts.engine.work(lambda: make().model_dump_json(by_alias=True).encode())
    return CountedResponse(content, parts.engine.door)


class CountedResponse(Response):
    """JSON that counts at the door until its client has taken it."""

    media_type = "application/json"

    def __init__(self, content: bytes, door: Door) -> None:
        """Count nothing yet."""
        super().__init__(content)
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it in parts, each once the client has taken the one before.

        Raises:
            OverloadError: Too much waits for others to take it.
        """
        with self._door.answering(len(self.body)):
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            for first in range(0, len(self.body), PART):
                part = self.body[first : first + PART]
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})  # waits for the last part


def with_fields(query: AnswerQuery, texts: Mapping[str, str]) -> AnswerQuery:
    """Options with those of form fields in place of those of the query.

    Raises:
        RequestValidationError: A value is not as expected.
    """
    if not texts:
        return query
    given = query.model_dump(exclude_unset=True)
    try:
        return type(query).model_validate({**given, **texts})
    except ValidationError as error:
        raise RequestValidationError(_in_body(error.errors())) from None


def _in_body(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "loc": ("body", *one["loc"])} for one in found]


def _pair(failure: Failure) -> tuple[str, str]:
    return failure.source, failure.error
