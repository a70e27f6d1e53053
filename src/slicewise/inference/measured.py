"""What was measured of a model: the metrics in its `bundle.json`, as `metrics.json` has them."""

# ruff: noqa: RUF012  # pydantic copies a mutable default
from __future__ import annotations

from typing import Any

from pydantic import JsonValue, field_validator, model_validator

from slicewise.inference.decision import OLDER_REASONS
from slicewise.inference.rule import Record

OLDER_NAMES = {"error_analysis": "patterns", "refused_as_ood": "refused_as_unlike"}
"""Of version 0.1.0, by today's name: still read."""


class Measured(Record):
    """A metric with its 95 % interval; where one is missing, the reason."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None
    skipped: int | None = None  # resamples in which it is undefined
    rule: str | None = None  # how a threshold was chosen
    fitted: bool | None = None  # whether a threshold was fitted or assumed


class Spread(Record):
    """Mean of a metric over folds, each counting the same, with a t interval."""

    mean: float | None
    sd: float | None
    ci_low: float | None
    ci_high: float | None
    folds: int
    reason: str | None = None


class DecisionMetrics(Record):
    """How many answers were accepted, left for review and rejected; share and accuracy of each."""

    risk_coverage_area: Measured | None = None
    accept: dict[str, Measured] = {}
    review: dict[str, Measured] = {}
    reject: dict[str, Measured] = {}
    scored_by: str | None = None
    counts: dict[str, int] | None = None
    reasons: dict[str, int] | None = None

    @field_validator("reasons")
    @classmethod
    def _current_names(cls, reasons: dict[str, int] | None) -> dict[str, int] | None:
        return reasons and {OLDER_REASONS.get(name, name): n for name, n in reasons.items()}


class Metrics(Record):
    """Of one set of slices: all, those of a fold, or those of a source."""

    n: int | None = None
    groups: int | None = None
    slices: dict[str, int] = {}
    macro_over: tuple[str, ...] = ()
    accuracy: Measured | None = None
    balanced_accuracy: Measured | None = None
    macro_auroc: Measured | None = None
    macro_f1: Measured | None = None
    ece: Measured | None = None
    brier: Measured | None = None
    memorisation_1nn: Measured | None = None
    tumor: dict[str, Measured] = {}
    decisions: DecisionMetrics = DecisionMetrics()
    conformal: dict[str, JsonValue] = {}
    refused_as_ood: Measured | None = None

    @model_validator(mode="before")
    @classmethod
    def _current_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        older = {old: name for name, old in OLDER_NAMES.items()}
        return {older.get(name, name): value for name, value in given.items()}


class CalibrationComparison(Record):
    """ECE, Brier score and log likelihood by calibration, and what each gains."""

    description: str
    parts: int
    methods: dict[str, dict[str, Measured]]
    change: dict[str, dict[str, Measured]]


class Evaluation(Metrics):
    """All that was measured of a model, and on what; empty before it is."""

    description: str | None = None
    split: str | None = None
    command: str | None = None
    labels: dict[str, JsonValue] | None = None
    allow_seen: bool = False
    interval: dict[str, JsonValue] = {}
    per_class: dict[str, dict[str, int | Measured]] = {}
    per_source: dict[str, Metrics] = {}
    threshold_sweep: dict[str, JsonValue] = {}
    error_analysis: dict[str, JsonValue] = {}
    groups_of_copies: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    folds: dict[str, Metrics] = {}
    over_folds: dict[str, str | Spread | dict[str, Spread]] = {}
    calibration_comparison: CalibrationComparison | None = None
    rule_across_folds: Metrics | None = None
    refused: dict[str, int] = {}

    def as_json(self) -> dict[str, Any]:
        """What was given, and nothing else."""
        return self.model_dump(mode="json", exclude_unset=True)
