"""The numbers by which a model decides, as `bundle.json` carries them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicewise.arrays import Floats


class Record(BaseModel):
    """One part of `bundle.json`; an unknown key or a number that is not finite is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class _Fitted(Record):
    n: int = Field(ge=1, description="Held-out slices it was fitted on.")
    groups: int = Field(ge=1, description="Groups those slices come from.")


class OperatingPoint(_Fitted):
    """A threshold on the tumor probability with what was measured at it."""

    threshold: float = Field(ge=0, le=1)
    rule: str = Field(description="How the threshold was chosen, such as youden_j.")
    sensitivity: float = Field(ge=0, le=1)
    specificity: float = Field(ge=0, le=1)
    sensitivity_ci: tuple[float, float] | None = Field(None, description="95 %, by groups.")
    specificity_ci: tuple[float, float] | None = Field(None, description="95 %, by groups.")


class Conformal(_Fitted):
    """Split conformal prediction, one quantile a class (Vovk 2012; Sadinle et al. 2019)."""

    coverage: float = Field(gt=0, lt=1, description="Promised share of sets with the true class.")
    smallest: dict[str, float] = Field(description="By class: least probability in the set.")


class Acceptance(_Fitted):
    """The acceptance threshold: a least trust score, or a least confidence."""

    confidence: float | None = Field(None, ge=0, le=1, description="Least one accepted.")
    trust: float | None = Field(None, ge=0, description="Least one accepted; needs `trust.npz`.")
    target: float = Field(gt=0, lt=1, description="Wanted share of right answers among accepted.")
    accuracy: float = Field(ge=0, le=1, description="Reached where it was fitted.")
    coverage: float = Field(ge=0, le=1, description="Share of slices accepted there.")
    unknown: float | None = Field(
        None, ge=0, le=1, description="The same share with the class of each slice taken away."
    )

    @model_validator(mode="after")
    def _one_score(self) -> Acceptance:
        if (self.confidence is None) == (self.trust is None):
            raise ValueError("expected either a least confidence or a least trust")
        return self


class OutOfDistribution(_Fitted):
    """Limits on the out-of-distribution score; its detector is in `ood.npz`."""

    method: str = Field(description="How the score is made, in words.")
    review_above: float = Field(description="Score from which on an answer is not accepted.")
    reject_above: float = Field(description="Score from which on there is no answer.")
    reviewed: float = Field(ge=0, le=1, description="Share of held-out slices above the first.")
    rejected: float = Field(ge=0, le=1, description="Share of held-out slices above the second.")
    fitted_on_kinds: tuple[str, ...] = Field(description="Kinds of out-of-distribution images.")

    @model_validator(mode="after")
    def _review_before_reject(self) -> OutOfDistribution:
        if self.reject_above < self.review_above:
            raise ValueError("reject_above: expected at least review_above")
        return self


class DecisionRule(Record):
    """What turns the logits of one model into answers; fitted on validation groups."""

    temperature: float | None = Field(None, gt=0, description="Logits are divided by it.")
    class_bias: dict[str, float] | None = Field(None, description="Added to that, by class.")
    class_balance: float = Field(
        0.0, ge=0, le=1, description="A class counts as its frequency to the power 1 minus this."
    )
    operating_point: OperatingPoint | None = None
    fitted_on: str | None = Field(None, description="Which answers it was fitted on, in words.")
    conformal: Conformal | None = None
    acceptance: Acceptance | None = None
    out_of_distribution: OutOfDistribution | None = None

    @property
    def goes_by_trust(self) -> bool:
        """Whether acceptance needs the training slices in `trust.npz`."""
        return self.acceptance is not None and self.acceptance.trust is not None

    def bias_of(self, classes: Sequence[str]) -> Floats | None:
        """(K,) biases in the order of `classes`; None where none were fitted."""
        bias = self.class_bias
        return None if bias is None else np.array([bias[name] for name in classes])


class StudyRules(Record):
    """How the answers for a series become one, and which pictures may be MR slices at all."""

    end_share: float = Field(ge=0, lt=0.5, description="Slices at each end that do not count.")
    run_share: float = Field(gt=0, le=1, description="Neighbouring slices averaged together.")
    shortest_run: int = Field(ge=1, description="Slices averaged together at least.")
    key_slices: int = Field(ge=1, description="Slices named to look at first, at most.")
    colour_limit: float = Field(ge=0, le=1, description="Of the colour of a grey slice, at most.")


STUDY_RULES = StudyRules(
    end_share=0.15, run_share=0.25, shortest_run=3, key_slices=3, colour_limit=0.06
)
"""Of new bundles, and of those of schema 1, which do not hold theirs.

The ends of a series show the neck, the crown or the sides of the head, which no model learnt well.
A tumor spans several neighbouring slices, however thin they are; a false alarm rarely does.
"""
