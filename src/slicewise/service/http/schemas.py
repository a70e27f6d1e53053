"""What the API answers with, as pydantic models; names as in `predict --json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from slicewise.imaging.slice import Failure
from slicewise.inference.decision import (
    BundleReference,
    Reason,
    StudyAnswer,
    StudyPrediction,
    Verdict,
)
from slicewise.inference.results import DISCLAIMER
from slicewise.service.http.problems import InputProblem
from slicewise.service.prediction.answers import Answered, Given

ID_EXAMPLE = "5f0c8f2a6d4c4a0e9f4be1f0a7d3c291"
EXAMPLE: dict[str, Any] = {
    "id": ID_EXAMPLE,
    "source": "slice.png",
    "label": "glioma",
    "probabilities": {
        "glioma": 0.971,
        "meningioma": 0.015,
        "no_tumor": 0.009,
        "pituitary": 0.005,
    },
    "confidence": 0.971,
    "tumor_probability": 0.991,
    "tumor_flag": True,
    "threshold": 0.41,
    "prediction_set": ["glioma"],
    "decision": "accept",
    "reasons": [],
    "bundle": {"name": "four-class", "version": "0.1.0", "sha256": "0" * 64},
    "timing_ms": 41.2,
    "heatmap": None,
    "disclaimer": DISCLAIMER,
}
"""A made-up answer, to show its shape."""


class PredictionOut(BaseModel):
    """The answer for one slice."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str = Field(description="Under which the audit database keeps it; feedback names it.")
    source: str = Field(description="Name of the file, then `!member` of a zip, then `#index`.")
    label: str = Field(description="Most probable class.")
    probabilities: dict[str, float] = Field(description="Calibrated, by class.")
    confidence: float = Field(description="Probability of the label.")
    tumor_probability: float | None = Field(description="Null without a class without a tumor.")
    tumor_flag: bool | None = Field(description="Whether it reaches the threshold.")
    threshold: float | None = Field(description="The one in force.")
    prediction_set: list[str] | None = Field(description="Classes that cannot be ruled out.")
    decision: Verdict = Field(description="What should happen with the answer.")
    reasons: list[Reason] = Field(description="Why it is not simply accepted.")
    bundle: BundleReference
    timing_ms: float = Field(description="Preprocessing and share of the forward pass.")
    heatmap: str | None = Field(
        None,
        description="Overlay as base64 PNG; in a series, of its key slices; of 64 answers at most.",
    )
    disclaimer: str = DISCLAIMER


class ExplanationOut(PredictionOut):
    """The answer for one slice with its pictures."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**EXAMPLE, "heatmap": "iVBORw0…", "original": "iVBORw0…"}
                | {"target": "glioma", "peak": [201, 174]}
            ]
        }
    )

    original: str | None = Field(None, description="The slice as base64 PNG.")
    target: str | None = Field(None, description="Class whose heat map it is.")
    peak: tuple[int, int] | None = Field(
        None, description="Row and column of the strongest evidence; null where there is none."
    )


class StudyPredictionOut(BaseModel):
    """The answer for a series."""

    source: str
    plane: str | None = Field(description="axial, coronal, sagittal or oblique, where known.")
    study: StudyAnswer
    threshold: float | None
    decision: Verdict
    reasons: list[Reason]
    bundle: BundleReference


class EnvelopeOut(BaseModel):
    """The answers for several slices, or for a series."""

    predictions: list[PredictionOut]
    studies: list[StudyPredictionOut]
    errors: list[InputProblem] = Field(
        description="Inputs that could not be answered, and how many answers have no picture."
    )
    disclaimer: str = DISCLAIMER


class ExplanationsOut(BaseModel):
    """The answers for several slices, or for a series, with their pictures."""

    predictions: list[ExplanationOut]
    studies: list[StudyPredictionOut]
    errors: list[InputProblem] = Field(
        description="Inputs that could not be answered, and how many answers have no picture."
    )
    disclaimer: str = DISCLAIMER


def prediction_out(given: Given) -> PredictionOut:
    """One answer for the wire."""
    return PredictionOut(**_fields(given))


def explanation_out(given: Given) -> ExplanationOut:
    """One answer with its pictures for the wire."""
    pictures = given.pictures
    return ExplanationOut(
        **_fields(given),
        original=None if pictures is None else pictures.original,
        target=None if pictures is None else pictures.target,
        peak=None if pictures is None else pictures.peak,
    )


def envelope_out(answered: Answered) -> EnvelopeOut:
    """All answers to a request for the wire."""
    return EnvelopeOut(
        predictions=[prediction_out(given) for given in answered.given],
        studies=[_study(study) for study in answered.studies],
        errors=[input_problem(failure) for failure in answered.failures],
    )


def explanations_out(answered: Answered) -> ExplanationsOut:
    """All answers to a request for the wire, with their pictures."""
    return ExplanationsOut(
        predictions=[explanation_out(given) for given in answered.given],
        studies=[_study(study) for study in answered.studies],
        errors=[input_problem(failure) for failure in answered.failures],
    )


def input_problem(failure: Failure) -> InputProblem:
    """An input without an answer for the wire."""
    return InputProblem(source=failure.source, error=failure.error)


def _study(study: StudyPrediction) -> StudyPredictionOut:
    return StudyPredictionOut(**asdict(study))


def _fields(given: Given) -> dict[str, Any]:
    heatmap = None if given.pictures is None else given.pictures.heatmap
    return {**asdict(given.prediction), "id": given.id, "heatmap": heatmap}
