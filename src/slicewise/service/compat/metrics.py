"""Older `POST /metrics`: accuracy on a folder of the server whose subfolders are labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicewise.data.duplicates.fingerprint import Fingerprints, concatenate, fingerprint
from slicewise.data.public.index import pixels_sha256
from slicewise.data.tasks import Task
from slicewise.errors import AccessError, InputError, InternalError, LimitError, ManifestError
from slicewise.evaluation.seen import find_seen, public_units
from slicewise.imaging.batches import batched
from slicewise.imaging.discovery import walk
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Failure, Slice, is_synthetic
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import BundleReference, Prediction
from slicewise.inference.predict import BATCH
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.dependencies import CurrentServices, Reviewer, described_json, json_of
from slicewise.service.http.evaluation_jobs import DataRoots, Deadline
from slicewise.service.http.examples import ResponseModel
from slicewise.service.prediction.uploads import failure_on
from slicewise.text import counted

router = APIRouter(tags=["older routes"])
MOST_PATHS = 10_000
_CAUTION = "Such slices do not tell how good the model is; /v1/evaluate leaves them out. "
PathText = Annotated[str, Field(min_length=1, max_length=1000)]


class MetricsIn(BaseModel):
    """What to measure; either a root or paths."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"root": "images/test", "return_predictions": True, "max_predictions": 12}]
        },
    )

    root: PathText | None = Field(None, description="Folder below an allowed one.")
    paths: list[PathText] | None = Field(
        None, min_length=1, max_length=MOST_PATHS, description="Files below allowed folders."
    )
    recursive: bool = Field(True, description="Search subfolders of subfolders too.")
    tta: bool = Field(False, description="Average over six views.")
    return_predictions: bool = Field(False, description="List single answers.")
    max_predictions: int = Field(100, ge=0, le=MOST_PATHS, description="Most of them.")

    @model_validator(mode="after")
    def _one_of_both(self) -> MetricsIn:
        if (self.root is None) == (self.paths is None):
            got = "neither" if self.root is None else "both"
            raise ValueError(f"expected either root or paths; got {got}")
        return self


class MeasuredSlice(BaseModel):
    """One answer."""

    path: str
    label: str
    predicted_class: str
    confidence: float
    decision: str


class CountOut(BaseModel):
    """Slices of one class."""

    total: int
    correct: int


class SkippedOut(BaseModel):
    """A file that was not counted."""

    path: str
    error: str


class MetricsOut(ResponseModel):
    """What was measured. `/v1/evaluate` gives intervals, and refuses what `notes` tells of."""

    accuracy: float | None = Field(description="Null where no slice was counted.")
    total: int
    correct: int
    counts: dict[str, CountOut] = Field(description="By true class.")
    skipped: list[SkippedOut]
    predictions: list[MeasuredSlice] | None
    notes: str = Field(description="How many slices the model was trained on, or are synthetic.")
    bundle: BundleReference
    disclaimer: str = DISCLAIMER


@router.post(
    "/metrics",
    summary="Accuracy on a folder of the server (older name)",
    **described_json(MetricsIn, 500),
)
async def metrics(request: Request, caller: Reviewer, services: CurrentServices) -> MetricsOut:
    """The name of the folder that a file lies in is its label."""
    wanted = await json_of(request, MetricsIn)
    return await services.jobs.run(partial(measured, wanted, services.engine.main))


def measured(
    wanted: MetricsIn, classifier: Classifier, roots: DataRoots, deadline: Deadline
) -> MetricsOut:
    """Answer for every file and count.

    Raises:
        AccessError: The folder or a path lies outside the roots.
        InputError: The root is no folder.
        LimitError: The folder holds too many files, or the time is up.
    """
    info = classifier.bundle.info.task
    task = Task(info.name, info.classes, info.negative_class)
    found: list[MeasuredSlice] = []
    skipped: list[Failure] = []
    prints, pixels, synthetic = [], list[str](), 0
    files = _files(wanted, roots, deadline, skipped)
    for done, path in enumerate(files, 1):
        shown = roots.hidden(str(path))
        try:
            roots.require_all([path])
            label = task.label_of(path.parent.name)
            slices = read_slices(path, shown)
        except InternalError as error:
            skipped.append(failure_on(shown, error))
        except (AccessError, InputError, ManifestError) as error:
            skipped.append(Failure(shown, roots.hidden(str(error))))
        else:
            for batch in batched(slices, BATCH):
                answers = _answers(batch, classifier, tta=wanted.tta)
                for slice_, one in zip(batch, answers, strict=True):
                    if isinstance(one, Failure):
                        skipped.append(one)
                        continue
                    found.append(_measured(one, label))
                    prints.append(fingerprint(slice_.pixels))
                    pixels.append(pixels_sha256(slice_))
                    synthetic += is_synthetic(slice_)
                deadline("measuring", done - 1, len(files))
        deadline("measuring", done, len(files))
    total = Counter(one.label for one in found)
    right = Counter(one.label for one in found if one.label == one.predicted_class)
    return MetricsOut(
        accuracy=right.total() / len(found) if found else None,
        total=len(found),
        correct=right.total(),
        counts={name: CountOut(total=total[name], correct=right[name]) for name in sorted(total)},
        skipped=[SkippedOut(path=one.source, error=one.error) for one in skipped],
        predictions=found[: wanted.max_predictions] if wanted.return_predictions else None,
        notes=_notes(classifier.bundle, concatenate(prints), pixels, synthetic),
        bundle=classifier.bundle.reference,
    )


def _measured(one: Prediction, label: str) -> MeasuredSlice:
    return MeasuredSlice(
        path=one.source,
        label=label,
        predicted_class=one.label,
        confidence=one.confidence,
        decision=one.decision.value,
    )


def _notes(bundle: Bundle, prints: Fingerprints, pixels: Sequence[str], synthetic: int) -> str:
    """What `/v1/evaluate` would have left out of a measurement."""
    check = find_seen(bundle, prints, public_units(pixels))
    known, of = int(check.seen.sum()), counted(len(prints), "slice")
    text = f"The model was trained on {known} of {of}, or on copies of them"
    if others := int(check.patients.sum()):
        text += f"; on other slices of the patients of {others} more"
    elif not check.groups_checked:
        text += "; whether on other slices of their patients is not known"
    if not check.checked:
        text = f"Whether the model was trained on any of {of} is {check.described}"
    text += f"; synthetic: {synthetic} of {of}" if synthetic else ""
    wrong = known or others or synthetic or not check.checked
    return f"{text}. {_CAUTION if wrong else ''}{DISCLAIMER}"


def _answers(
    slices: list[Slice], classifier: Classifier, *, tta: bool
) -> Sequence[Prediction | Failure]:
    """Answer in one pass; where it fails, each by itself, so that it fails for one slice."""
    try:
        return classifier.predict(slices, tta=tta)
    except Exception as error:
        if len(slices) == 1:
            return [failure_on(slices[0].source, error)]
    return [_answers([slice_], classifier, tta=tta)[0] for slice_ in slices]


def _files(
    wanted: MetricsIn, roots: DataRoots, deadline: Deadline, skipped: list[Failure]
) -> list[Path]:
    """The files to answer for; what cannot be opened goes to `skipped`."""
    if wanted.paths is not None:
        return [roots.find(path) for path in wanted.paths]
    root = roots.find(wanted.root or "")
    if not root.is_dir():
        raise InputError("root: expected a folder, got a file")
    depth = len(root.parts) + 2  # root/label/file
    chosen: list[Path] = []
    for entry in walk(root, links=False):  # which may lead out of the roots
        deadline("looking for files", len(chosen), MOST_PATHS)
        path = Path(entry.source)
        if not wanted.recursive and len(path.parts) > depth:
            continue
        if isinstance(entry, Failure):
            skipped.append(Failure(roots.hidden(entry.source), roots.hidden(entry.error)))
            continue
        chosen.append(path)
        if len(chosen) > MOST_PATHS:
            raise LimitError(f"root: expected at most {MOST_PATHS:,} files, got more")
    return chosen
