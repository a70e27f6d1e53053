"""The fitted numbers by which a model decides, as `bundle.json` carries them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator


class OperatingPoint(BaseModel):
    """A threshold on the tumor probability with what was measured at it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(ge=0, le=1)
    rule: str = Field(description="How the threshold was chosen, such as youden_j.")
    sensitivity: float = Field(ge=0, le=1)
    specificity: float = Field(ge=0, le=1)
    n: int = Field(ge=1, description="Validation slices it was fitted on.")
    groups: int = Field(ge=1, description="Groups those slices come from.")
    sensitivity_ci: tuple[float, float] | None = Field(None, description="95 %, by groups.")
    specificity_ci: tuple[float, float] | None = Field(None, description="95 %, by groups.")


class Conformal(BaseModel):
    """Which classes stay possible, so that the true one is among them as often as promised.

    Split conformal prediction, one quantile a class (Vovk 2012; Sadinle et al. 2019).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    coverage: float = Field(gt=0, lt=1, description="Promised share of sets with the true class.")
    smallest: dict[str, float] = Field(
        description="By class: the smallest probability with which it stays in the set."
    )
    n: int = Field(ge=1, description="Held-out slices it was fitted on.")
    groups: int = Field(ge=1, description="Groups those slices come from.")


class Acceptance(BaseModel):
    """From where on answers stand by themselves: a least trust score, or a least confidence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    confidence: float | None = Field(
        None, ge=0, le=1, description="Least confidence of an accepted answer."
    )
    trust: float | None = Field(
        None, ge=0, description="Least trust score of an accepted answer; needs `neighbours.npz`."
    )
    target: float = Field(gt=0, lt=1, description="Wanted share of right answers among accepted.")
    accuracy: float = Field(ge=0, le=1, description="Reached where it was fitted.")
    coverage: float = Field(ge=0, le=1, description="Share of slices accepted there.")
    unknown: float | None = Field(
        None, ge=0, le=1, description="The same share with the class of each slice taken away."
    )
    n: int = Field(ge=1, description="Held-out slices it was fitted on.")
    groups: int = Field(ge=1, description="Groups those slices come from.")

    @model_validator(mode="after")
    def _one_score(self) -> Acceptance:
        if (self.confidence is None) == (self.trust is None):
            raise ValueError("expected either a least confidence or a least trust")
        return self


class OutOfDistribution(BaseModel):
    """Limits on how unlike the measured slices a picture may be; statistics in `outliers.npz`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = Field(description="How the score is made, in words.")
    review_above: float = Field(description="Score from which on an answer is not accepted.")
    reject_above: float = Field(description="Score from which on there is no answer.")
    reviewed: float = Field(ge=0, le=1, description="Share of held-out slices above the first.")
    rejected: float = Field(ge=0, le=1, description="Share of held-out slices above the second.")
    fitted_on_kinds: tuple[str, ...] = Field(description="Kinds of strange pictures used.")
    n: int = Field(ge=1, description="Held-out slices it was fitted on.")
    groups: int = Field(ge=1, description="Groups those slices come from.")

    @model_validator(mode="after")
    def _review_before_reject(self) -> OutOfDistribution:
        if self.reject_above < self.review_above:
            raise ValueError("reject_above: expected at least review_above")
        return self


class DecisionRule(BaseModel):
    """What turns the logits of one model into answers; fitted on validation groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(None, gt=0, description="Logits are divided by it.")
    class_bias: dict[str, float] | None = Field(
        None, description="Added to logits / temperature, by class."
    )
    class_balance: float = Field(
        0.0, ge=0, le=1, description="A class counted as its frequency to the power 1 minus this."
    )
    operating_point: OperatingPoint | None = None
    fitted_on: str | None = Field(None, description="Which answers it was fitted on, in words.")
    conformal: Conformal | None = None
    acceptance: Acceptance | None = None
    out_of_distribution: OutOfDistribution | None = None

    @property
    def goes_by_trust(self) -> bool:
        """Whether acceptance needs the training slices that a bundle remembers."""
        return self.acceptance is not None and self.acceptance.trust is not None

    def bias_of(self, classes: Sequence[str]) -> NDArray[np.float64] | None:
        """(K,) biases in the order of `classes`; None where none were fitted."""
        if self.class_bias is None:
            return None
        return np.array([self.class_bias[name] for name in classes])
