"""Older `/api/train`: there is no training over the network; it says how it is done."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from slicewise.service.http.dependencies import Predictor
from slicewise.service.http.problems import documented

router = APIRouter(tags=["older routes"])
_INSTEAD = (
    "expected training on the command line, not over the network: `slicewise train CONFIG`, then "
    "`slicewise serve --bundle runs/NAME/bundle`"
)


@router.post(
    "/api/train",
    status_code=501,
    summary="Says how a model is trained",
    responses=documented(501),
)
async def api_train(caller: Predictor) -> None:
    """Always 501."""
    raise HTTPException(501, _INSTEAD)
