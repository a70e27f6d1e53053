"""What routes ask of a request: who calls, which options and files, how to answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from slicewise.audit_log.keys import Role
from slicewise.audit_log.records import Arm
from slicewise.service.access.auth import Caller, caller_dependency
from slicewise.service.http.body import kind_of, read_form
from slicewise.service.http.problems import AnswerlessError, documented
from slicewise.service.monitoring.logs import request_id_of, route_of
from slicewise.service.prediction.admission import Admission, AdmissionControl
from slicewise.service.prediction.engine import Engine
from slicewise.service.prediction.pictures import Drawing
from slicewise.service.prediction.results import Origin, PredictionRequest, PredictionResults
from slicewise.service.prediction.uploads import PreparedUploads
from slicewise.service.prediction.uploads import Upload as Sent
from slicewise.service.services import Services

Predictor = Annotated[Caller, Depends(caller_dependency(Role.PREDICT))]
Reviewer = Annotated[Caller, Depends(caller_dependency(Role.REVIEW))]

Model = TypeVar("Model", bound=BaseModel)

PART = 256 * 1024  # bytes of an answer that are handed over at a time


async def _services(request: Request) -> Services:  # FastAPI gives a plain function a thread
    services: Services = request.app.state.services
    return services


CurrentServices = Annotated[Services, Depends(_services)]


async def _origin(request: Request, caller: Predictor) -> Origin:
    return Origin(caller.name, route_of(request.scope), request_id_of(request.scope))


RequestOrigin = Annotated[Origin, Depends(_origin)]


class OptionsQuery(BaseModel):
    """How predictions are wanted; each option may come in the query or as a form field."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tta: bool = Field(False, description="Average over six views; six times the work.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="Tumor threshold instead of the model's."
    )

    def drawing(self) -> Drawing | None:
        """What is drawn of a prediction."""
        return None

    def named_arm(self) -> Arm | None:
        """The bundle that has to answer; None for the one whose turn it is."""
        return None


class PredictQuery(OptionsQuery):
    """How predictions are wanted, where a picture may come with them."""

    explain: bool | Literal["map"] = Field(
        False, description="Send the heat map too: true as a base64 PNG, map as numbers."
    )

    def drawing(self) -> Drawing | None:
        return Drawing(numbers=self.explain == "map") if self.explain else None


class ArmQuery(OptionsQuery):
    """How predictions are wanted, where a bundle may be named."""

    arm: Literal["main", "challenger"] | None = Field(
        None,
        description="Which loaded bundle answers, for the role review; the traffic split decides "
        "by default.",
    )

    def named_arm(self) -> Arm | None:
        return None if self.arm is None else Arm(self.arm)


Options = Annotated[OptionsQuery, Query()]


async def answered(engine: Engine, request: PredictionRequest) -> PredictionResults:
    """Results with at least one prediction; AnswerlessError without any, or as `Engine.answer`."""
    results = await engine.answer(request)
    if not results.predictions:
        raise AnswerlessError(results.failures)
    return results


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """A request with files, of a caller who may predict; nobody has read its body yet."""

    request: Request
    caller: Caller
    origin: Origin
    services: Services

    async def results(
        self, query: OptionsQuery, *, most: int | None = None, drawing: Drawing | None = None
    ) -> PredictionResults:
        """Read the files and answer for them; form fields come before options of the query.

        Args:
            most: Files it may hold; None for the setting.
            drawing: What is always drawn; None for what the options ask for.

        Raises:
            HTTPException: The body is not as it must be.
            AccessError: A bundle is named by a caller who may not.
            SliceWiseError: As `answered` raises.
        """
        async with self.admitted(query, most) as (uploads, asked, admission):
            if (arm := asked.named_arm()) is not None:
                self.caller.require(Role.REVIEW, "arm: ")
            how = drawing or asked.drawing(), asked.tta, asked.threshold, arm
            wanted = PredictionRequest(uploads, admission, self.origin, *how)
            return await answered(self.services.engine, wanted)

    async def slices(
        self, query: Model, most: int | None = None
    ) -> tuple[list[Sent], Model, PreparedUploads]:
        """The files, the options, and the slices of the files, which nobody answers for or keeps.

        Raises:
            HTTPException: The body is not as it must be.
            SliceWiseError: As `Engine.read` raises; AnswerlessError where there is no slice.
        """
        async with self.admitted(query, most) as (uploads, asked, admission):
            wanted = PredictionRequest(uploads, admission, self.origin)
            prepared = await self.services.engine.read(wanted)
        if not prepared.series:
            raise AnswerlessError(prepared.failures)
        return uploads, asked, prepared

    @asynccontextmanager
    async def admitted(
        self, query: Model, most: int | None = None
    ) -> AsyncIterator[tuple[list[Sent], Model, Admission]]:
        """The files and options of the request, which has a place until the context ends."""
        engine, settings = self.services.engine, self.services.settings
        names = tuple(type(query).model_fields)
        with engine.admission.admit(sending=True) as admission:
            uploads, texts = await read_form(
                self.request, admission, most=most or settings.max_files, texts=names
            )
            admission.take_place()
            yield uploads, _with_fields(query, texts), admission

    async def reply(self, make: Callable[[], BaseModel]) -> Response:
        """A response whose JSON is written in a thread: with many pictures it takes a while."""
        return await self.reply_with(
            lambda: make().model_dump_json(by_alias=True).encode(), "application/json"
        )

    async def reply_with(self, make: Callable[[], bytes], media_type: str) -> Response:
        """A response whose content is made in a thread."""
        engine = self.services.engine
        return CountedResponse(await engine.work(make), engine.admission, media_type)


async def _upload_request(
    request: Request, caller: Predictor, origin: RequestOrigin, services: CurrentServices
) -> UploadRequest:
    return UploadRequest(request, caller, origin, services)


Upload = Annotated[UploadRequest, Depends(_upload_request)]


class CountedResponse(Response):
    """Content that admission control counts until its client has taken it."""

    def __init__(self, content: bytes, admission: AdmissionControl, media_type: str) -> None:
        super().__init__(content, media_type=media_type)
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it in parts, each once the client has taken the one before, or OverloadError."""
        with self._admission.answering(len(self.body)):
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            for first in range(0, len(self.body), PART):
                part = self.body[first : first + PART]
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})  # waits for the last part


def described_upload(*, several: bool = False) -> dict[str, Any]:
    """What a route with files says of itself in the OpenAPI description; for its decorator.

    Options stand among its query parameters alone: Swagger UI would send all that the form names.
    """
    file: dict[str, Any] = {
        "type": "string",
        "format": "binary",
        "description": "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI, or a zip of them.",
    }
    files = {"type": "array", "items": file, "minItems": 1} if several else file
    schema = {
        "type": "object",
        "properties": {"file": files},
        "required": ["file"],
        "additionalProperties": {"type": "string", "description": "A query parameter."},
    }
    return _described_body("multipart/form-data", schema, 500)


def described_json(model: type[BaseModel], *statuses: int) -> dict[str, Any]:
    """The same of a route with a JSON body, which `json_of` reads."""
    return _described_body("application/json", model.model_json_schema(), *statuses)


def _described_body(media: str, schema: dict[str, Any], *statuses: int) -> dict[str, Any]:
    body = {"required": True, "content": {media: {"schema": schema}}}
    responses = documented(400, 408, 413, 415, 422, *statuses)
    return {"openapi_extra": {"requestBody": body}, "responses": responses}


async def json_of(request: Request, model: type[Model]) -> Model:
    """Read a JSON body; called by a route, so that its caller is known before.

    Raises:
        HTTPException: 415 where it is no JSON by its type, 400 by its content; 413 or 408 where it
            is too large or too slow.
        RequestValidationError: It is not what it must be.
    """
    if (kind := kind_of(request.headers)) != "application/json":
        raise HTTPException(415, f"expected a body of application/json; got {kind}")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        errors = error.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise HTTPException(400, "expected a body of JSON, got broken JSON") from None
        raise RequestValidationError(_in_body(errors)) from None


def _with_fields(query: Model, texts: Mapping[str, str]) -> Model:
    """Options with those of form fields in place of those of the query."""
    if not texts:
        return query
    given = query.model_dump(exclude_unset=True)
    try:
        return type(query).model_validate({**given, **texts})
    except ValidationError as error:
        raise RequestValidationError(_in_body(error.errors())) from None


def _in_body(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "loc": ("body", *one["loc"])} for one in errors]
