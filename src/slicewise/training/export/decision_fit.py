"""What turns logits into answers, fitted on groups that no weight was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from slicewise.errors import EvaluationError
from slicewise.fitting.acceptance import fit_acceptance
from slicewise.fitting.calibration import class_balanced, fit_bias_corrected, fit_temperature
from slicewise.fitting.conformal import fit_conformal
from slicewise.fitting.operating_point import (
    least_cost,
    target_sensitivity,
    target_specificity,
    youden_j,
)
from slicewise.inference.rule import DecisionRule, OperatingPoint
from slicewise.predictions.table import PredictionTable
from slicewise.training.config import BundleConfig, OperatingPointConfig
from slicewise.training.loop.log import announce

Fitted = TypeVar("Fitted")


def fit_decision(held_out: PredictionTable, described: str, settings: BundleConfig) -> DecisionRule:
    """Calibration by likelihood, then the tumor threshold by its rule on calibrated scores.

    What the held-out answers cannot give stays unfitted; the run says so on stderr, and a bundle
    without a threshold answers at 0.5 with the reason `threshold_not_fitted`.

    Args:
        held_out: Answers for slices that no weight behind them was trained on.
    """
    calibration = _calibration(held_out, settings)
    calibrated, refusal = held_out.decided(calibration), settings.refusal
    point = None
    if calibrated.negative_class is not None:
        point = _fitted(
            lambda: _by_rule(settings.operating_point, calibrated),
            "NO TUMOR THRESHOLD FITTED, 0.5 is used and every answer says so",
        )
    conformal = _fitted(
        lambda: fit_conformal(calibrated, refusal.coverage),
        "NO PREDICTION SETS, every answer is left for review",
    )
    acceptance = _fitted(
        lambda: fit_acceptance(calibrated, refusal.accept_target, refusal.unknown),
        "NOTHING WILL BE ACCEPTED, every answer is left for review",
    )
    return calibration.model_copy(
        update={
            "operating_point": point,
            "fitted_on": described,
            "conformal": conformal,
            "acceptance": acceptance,
        }
    )


def _calibration(held_out: PredictionTable, settings: BundleConfig) -> DecisionRule:
    """A rule of calibration alone; an empty one where none can be fitted."""
    logits, targets = held_out.logits, held_out.targets
    try:
        weights = class_balanced(targets, len(held_out.classes), settings.class_balance)
        if settings.calibration == "temperature":
            temperature = fit_temperature(logits, targets, weights)
            return DecisionRule(temperature=temperature, class_balance=settings.class_balance)
        temperature, biases = fit_bias_corrected(logits, targets, weights)
    except EvaluationError as error:
        announce(f"NOT CALIBRATED ({settings.calibration}): {error}")
        return DecisionRule()
    class_bias = dict(zip(held_out.classes, biases.tolist(), strict=True))
    return DecisionRule(
        temperature=temperature, class_bias=class_bias, class_balance=settings.class_balance
    )


def _fitted(fit: Callable[[], Fitted], otherwise: str) -> Fitted | None:
    """What is fitted, or None after a line that says what its absence means."""
    try:
        return fit()
    except EvaluationError as error:
        announce(f"{otherwise}: {error}")
        return None


def _by_rule(settings: OperatingPointConfig, calibrated: PredictionTable) -> OperatingPoint:
    scores, tumor = calibrated.tumor_probability(), calibrated.is_tumor()
    groups = calibrated.groups
    match settings.rule, settings.numbers:
        case "target_sensitivity", [value]:
            return target_sensitivity(scores, tumor, groups, value)
        case "target_specificity", [value]:
            return target_specificity(scores, tumor, groups, value)
        case "cost", [missed, false_alarm, prevalence]:
            return least_cost(
                scores, tumor, groups, missed=missed, false_alarm=false_alarm, prevalence=prevalence
            )
    return youden_j(scores, tumor, groups)
