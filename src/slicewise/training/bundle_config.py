"""What a run makes of its network: operating point, refusal, and what the bundle says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicewise.config import nearest

OPERATING_RULES: Mapping[str, tuple[str, ...]] = {
    "youden_j": (),
    "target_sensitivity": ("value",),
    "target_specificity": ("value",),
    "cost": ("missed", "false_alarm", "prevalence"),
}
"""Each rule with the numbers it needs."""


class Section(BaseModel):
    """One part of a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OperatingPointConfig(Section):
    """How the tumor threshold is chosen; a rule without numbers may be given by its name alone."""

    rule: str = Field("youden_j", description="One of OPERATING_RULES.")
    value: float | None = Field(None, gt=0, le=1, description="Share, for the targets.")
    missed: float | None = Field(None, gt=0, description="Cost of a missed tumor.")
    false_alarm: float | None = Field(None, gt=0, description="Cost of a false alarm.")
    prevalence: float | None = Field(None, gt=0, lt=1, description="Share of slices with tumor.")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"rule": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _numbers_of_the_rule(self) -> Self:
        if self.rule not in OPERATING_RULES:
            raise ValueError(
                f"rule {self.rule!r}: expected one of {', '.join(OPERATING_RULES)}; "
                f"nearest: {nearest(self.rule, OPERATING_RULES)}"
            )
        wanted = OPERATING_RULES[self.rule]
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        if given - {"rule"} != set(wanted):
            needs = f"with {', '.join(wanted)}" if wanted else "alone"
            got = ", ".join(sorted(given - {"rule"})) or "none"
            raise ValueError(f"rule {self.rule}: expected it {needs}; got {got}")
        return self

    @property
    def numbers(self) -> list[float]:
        """The numbers of the rule, in the order of OPERATING_RULES."""
        return [float(getattr(self, name)) for name in OPERATING_RULES[self.rule]]


class RefusalConfig(Section):
    """When an answer is left to a person, and when there is none."""

    coverage: float = Field(
        0.95, gt=0, lt=1, description="Promised share of prediction sets with the true class."
    )
    accept_target: float = Field(
        0.99, gt=0, lt=1, description="Wanted share of right answers among accepted ones."
    )
    unknown: float = Field(
        0.02, gt=0, lt=1, description="Slices of an unknown class that may be accepted."
    )
    per_kind: int = Field(40, ge=10, description="Out-of-distribution images of each kind.")
    reviewed: float = Field(
        0.03, gt=0, lt=0.5, description="Held-out slices above the review limit."
    )
    rejected: float = Field(
        0.01, gt=0, lt=0.5, description="Held-out slices above the reject limit."
    )

    @model_validator(mode="after")
    def _review_before_reject(self) -> Self:
        if self.rejected > self.reviewed:
            raise ValueError("rejected: expected a share of at most reviewed")
        return self


class BundleConfig(Section):
    """What the finished bundle says of itself."""

    version: str = Field("0.1.0", pattern=r"^\d+\.\d+\.\d+$")
    weight_storage: Literal["float32", "float16", "int8"] = "float32"
    calibration: Literal["temperature", "bias_corrected"] = "temperature"
    class_balance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How alike classes count in the calibration: 0 as frequent as held out, 1 all "
        "alike.",
    )
    operating_point: OperatingPointConfig = OperatingPointConfig()
    refusal: RefusalConfig = RefusalConfig()
    started_from: str | None = Field(
        None, description="Start weights in words; default the name of the weights file."
    )
    licences: dict[str, str] = Field(default_factory=lambda: {"model": "MIT"})
    intended_use: str = (
        "Research on brain MRI slices. Not a medical device; not for diagnosis or patient care."
    )
