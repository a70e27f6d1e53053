"""Which bundles answer: `/v1/models` and the older `/model/info`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from slicewise import __version__
from slicewise.audit_log.keys import Role
from slicewise.inference.bundle import CARD_NAME
from slicewise.inference.decision import BundleReference
from slicewise.inference.results import DISCLAIMER
from slicewise.inference.rule import DecisionRule
from slicewise.service.http.dependencies import CurrentServices, Predictor
from slicewise.service.http.examples import ResponseModel
from slicewise.service.http.problems import documented

router = APIRouter(tags=["models"])
_MARKDOWN = "text/markdown; charset=utf-8"


class ModelOut(BaseModel):
    """A bundle that answers."""

    arm: str = Field(description="main or challenger.")
    bundle: BundleReference
    task: str
    classes: tuple[str, ...]
    negative_class: str | None = Field(description="The class without a tumor.")
    architecture: str
    input_size: int = Field(description="Side of the square that the model reads, pixels.")
    decision: DecisionRule
    evaluation: dict[str, Any] = Field(description="Measured metrics with intervals.")
    intended_use: str
    licences: dict[str, str]
    created: str


class ModelsOut(ResponseModel):
    """All bundles that answer."""

    models: list[ModelOut]
    disclaimer: str = DISCLAIMER


class CallerOut(ResponseModel):
    """Who is calling."""

    name: str = Field(description="Of the key; `open` where none is needed.")
    role: Role = Field(description="predict, review or admin.")
    requests_a_minute: int = Field(description="As many may come; 0 is no limit.")


class ModelInfoOut(ResponseModel):
    """What `/model/info` answers."""

    model_name: str
    version: str
    architecture: str
    num_classes: int
    class_names: list[str]
    input_size: list[int] = Field(description="Channels, rows, columns.")
    threshold: float | None
    device: str
    bundle: BundleReference
    slicewise_version: str
    disclaimer: str = DISCLAIMER


@router.get("/v1/models", summary="Bundles that answer", responses=documented())
async def models(caller: Predictor, services: CurrentServices) -> ModelsOut:
    """With their decision rules and what was measured."""
    return ModelsOut(
        models=[
            ModelOut(
                arm=arm.value,
                bundle=classifier.bundle.reference,
                task=info.task.name,
                classes=info.task.classes,
                negative_class=info.task.negative_class,
                architecture=info.origin.architecture,
                input_size=info.preprocessing.size,
                decision=info.decision,
                evaluation=info.evaluation.as_json(),
                intended_use=info.intended_use,
                licences=info.licences,
                created=info.origin.created,
            )
            for arm, classifier in services.engine.classifiers.items()
            for info in (classifier.bundle.info,)
        ]
    )


@router.get(
    "/v1/models/{sha256}/card",
    summary="The model card of a bundle",
    response_class=Response,
    responses={
        200: {"content": {_MARKDOWN: {"schema": {"type": "string"}}}},
        **documented(404, 422),
    },
)
async def card(sha256: str, caller: Predictor, services: CurrentServices) -> Response:
    """What it is for, what was measured, and what limits it; of a bundle that is loaded."""
    bundles = [classifier.bundle for classifier in services.engine.classifiers.values()]
    for bundle in bundles:
        if bundle.identity == sha256:
            return Response(bundle.files[CARD_NAME], media_type=_MARKDOWN)
    known = ", ".join(bundle.identity for bundle in bundles)
    raise HTTPException(404, f"expected the SHA-256 of a bundle that is loaded: {known}")


@router.get("/v1/caller", summary="Who is calling", responses=documented())
async def caller(caller: Predictor, services: CurrentServices) -> CallerOut:
    """The name and the role of a key; a key that is not valid is a 401."""
    limit = services.settings.rate_limit
    return CallerOut(name=caller.name, role=caller.role, requests_a_minute=limit)


@router.get("/model/info", summary="The main bundle (older name)", responses=documented())
async def model_info(caller: Predictor, services: CurrentServices) -> ModelInfoOut:
    """`/v1/models` says more."""
    bundle = services.engine.main.bundle
    info, size = bundle.info, bundle.info.preprocessing.size
    return ModelInfoOut(
        model_name=info.name,
        version=info.version,
        architecture=info.origin.architecture,
        num_classes=len(bundle.classes),
        class_names=list(bundle.classes),
        input_size=[1, size, size],
        threshold=services.engine.main.threshold().value,
        device="cpu",
        bundle=bundle.reference,
        slicewise_version=__version__,
    )
