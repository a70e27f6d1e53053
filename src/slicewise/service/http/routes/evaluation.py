"""Measure the model on data below the allowed folders: `/v1/evaluate`."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from slicewise.inference.classifier import Classifier
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.dependencies import CurrentServices, Reviewer, described_json, json_of
from slicewise.service.http.evaluation_jobs import DataRoots, Deadline
from slicewise.service.http.examples import ResponseModel
from slicewise.service.monitoring.metrics import private_folder

router = APIRouter(prefix="/v1", tags=["evaluation"])
MOST_RESAMPLES = 2000


class EvaluateIn(BaseModel):
    """What to measure."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"manifest": "figshare/manifest.csv", "split": "test"}]},
    )

    manifest: str = Field(
        min_length=1, max_length=1000, description="CSV or Parquet below an allowed folder."
    )
    split: Literal["train", "val", "test", "all"] | None = Field(
        None, description="Default test, or all where the manifest has no splits."
    )
    allow_seen: bool = Field(False, description="Keep slices the model was trained on.")
    resamples: int = Field(200, ge=50, le=MOST_RESAMPLES, description="For intervals.")


class EvaluateOut(ResponseModel):
    """What was measured: the content of `metrics.json`."""

    report: dict[str, Any]
    disclaimer: str = DISCLAIMER


@router.post(
    "/evaluate",
    summary="Measure the main bundle on a manifest of the server",
    **described_json(EvaluateIn, 500, 501),
)
async def evaluate(request: Request, caller: Reviewer, services: CurrentServices) -> EvaluateOut:
    """One at a time; nothing is kept, and evaluated slices are no predictions for anybody."""
    wanted = await json_of(request, EvaluateIn)
    report = await services.jobs.run(partial(measured, wanted, services.engine.main))
    return EvaluateOut(report=services.jobs.roots.hidden_in(json.loads(json.dumps(report))))


def measured(
    wanted: EvaluateIn, classifier: Classifier, roots: DataRoots, deadline: Deadline
) -> dict[str, Any]:
    """Run the evaluation of the command line; its files are thrown away."""
    from slicewise.data.manifest import Manifest
    from slicewise.evaluation.evaluate import default_split
    from slicewise.evaluation.evaluate import evaluate as run
    from slicewise.stats.bootstrap import Bootstrap

    manifest = Manifest.read(roots.find(wanted.manifest))
    roots.require_all(manifest.resolve(row) for row in manifest.rows)
    split = wanted.split or default_split(manifest)
    words = ["slicewise", "evaluate", wanted.manifest, "--split", split]
    words += ["--resamples", str(wanted.resamples), *["--allow-seen"] * wanted.allow_seen]
    with private_folder() as folder:
        return run(
            manifest,
            classifier,
            folder,
            command=shlex.join(words),
            split=split,
            allow_seen=wanted.allow_seen,
            bootstrap=Bootstrap(resamples=wanted.resamples),
            plots=False,
            progress=deadline,
        )
