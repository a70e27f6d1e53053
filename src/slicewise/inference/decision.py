"""From logits to an answer: calibrated probabilities, label, tumor flag, accept or review.

Plain arithmetic on numbers; nothing here knows of files, sessions or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from slicewise.errors import ConfigError
from slicewise.imaging.slice import Array

DEFAULT_THRESHOLD = 0.5


class Verdict(StrEnum):
    """What should happen with an answer."""

    ACCEPT = "accept"
    REVIEW = "review"
    REJECT = "reject"


class Reason(StrEnum):
    """Why an answer is not simply accepted, or what was unusual in making it."""

    NOT_CALIBRATED = "not_calibrated"
    BLANK_IMAGE = "blank_image"
    THRESHOLD_NOT_FITTED = "threshold_not_fitted"
    THRESHOLD_OVERRIDDEN = "threshold_overridden"
    LABEL_AND_FLAG_DISAGREE = "label_and_flag_disagree"


REASON_TEXTS = {
    Reason.NOT_CALIBRATED: "this model has no fitted limits for accepting an answer by itself",
    Reason.BLANK_IMAGE: "the picture is blank: all its pixels are alike",
    Reason.THRESHOLD_NOT_FITTED: "the model brings no fitted threshold; 0.5 was used",
    Reason.THRESHOLD_OVERRIDDEN: "the threshold was given with the request, not by the model",
    Reason.LABEL_AND_FLAG_DISAGREE: "the most probable class and the tumor threshold disagree",
}
"""Each reason in words, for reports and pages."""


class OperatingPoint(BaseModel):
    """A threshold on the tumor probability with what was measured at it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(ge=0, le=1)
    rule: str = Field(description="How the threshold was chosen, such as youden_j.")
    sensitivity: float = Field(ge=0, le=1)
    specificity: float = Field(ge=0, le=1)
    n: int = Field(ge=1, description="Validation slices it was fitted on.")
    groups: int = Field(ge=1, description="Groups those slices come from.")


class DecisionRule(BaseModel):
    """What turns the logits of one model into answers; fitted on validation groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(None, gt=0, description="Logits are divided by it.")
    operating_point: OperatingPoint | None = None
    fitted_on: str | None = Field(None, description="Which answers both were fitted on, in words.")
    conformal: None = Field(None, description="Conformal quantiles; none are fitted yet.")
    out_of_distribution: None = Field(None, description="Distance limits; none are fitted yet.")


@dataclass(frozen=True, slots=True)
class BundleReference:
    """Which model answered."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one slice, with the same names in Python, JSON and tables."""

    source: str
    label: str
    probabilities: dict[str, float]
    confidence: float
    tumor_probability: float | None
    tumor_flag: bool | None
    threshold: float | None
    prediction_set: list[str] | None
    decision: Verdict
    reasons: list[Reason]
    bundle: BundleReference
    timing_ms: float
    heatmap: str | None = None


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """The answer for the slices of one series together."""

    label: str
    tumor_probability: float | None
    slices_flagged: int | None
    slices_total: int
    key_slices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StudyPrediction:
    """A study answer, which series it is for, and which model gave it."""

    source: str
    plane: str | None
    study: StudyAnswer
    threshold: float | None
    decision: Verdict
    reasons: list[Reason]
    bundle: BundleReference


@dataclass(frozen=True, slots=True)
class Threshold:
    """The tumor threshold in force and where it came from."""

    value: float | None
    reasons: tuple[Reason, ...] = ()


def probabilities_of(logits: Array, temperature: float | None) -> NDArray[np.float64]:
    """Softmax of (..., K) logits divided by the temperature (Guo et al. 2017); 1 where unfitted."""
    scaled = np.asarray(logits, dtype=np.float64) / (temperature or 1.0)
    raised = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def tumor_probability_of(
    probabilities: NDArray[np.float64], classes: tuple[str, ...], negative_class: str | None
) -> float | None:
    """One minus the probability of the negative class; None for a task without one."""
    if negative_class is None:
        return None
    return float(1.0 - probabilities[classes.index(negative_class)])


def threshold_of(
    rule: DecisionRule, negative_class: str | None, override: float | None
) -> Threshold:
    """The override, else the fitted operating point, else 0.5 with the reason saying so.

    Raises:
        ConfigError: A threshold is given for a task without a negative class.
    """
    if negative_class is None:
        if override is not None:
            raise ConfigError("threshold: the model has no class without a tumor")
        return Threshold(None)
    if override is not None:
        return Threshold(override, (Reason.THRESHOLD_OVERRIDDEN,))
    if rule.operating_point is None:
        return Threshold(DEFAULT_THRESHOLD, (Reason.THRESHOLD_NOT_FITTED,))
    return Threshold(rule.operating_point.threshold)


def decide(
    label: str, negative_class: str | None, flag: bool | None, rule: DecisionRule, *, blank: bool
) -> tuple[Verdict, list[Reason]]:
    """Whether an answer may stand by itself.

    Args:
        label: Most probable class.
        negative_class: The class without a tumor, if the task has one.
        flag: Whether the tumor probability reached the threshold.
        rule: What was fitted for this model.
        blank: Whether there was nothing in the picture.
    """
    if blank:
        return Verdict.REJECT, [Reason.BLANK_IMAGE]
    reasons = []
    if rule.conformal is None or rule.out_of_distribution is None:
        reasons.append(Reason.NOT_CALIBRATED)
    if flag is not None and flag != (label != negative_class):
        reasons.append(Reason.LABEL_AND_FLAG_DISAGREE)
    return (Verdict.REVIEW if reasons else Verdict.ACCEPT), reasons
