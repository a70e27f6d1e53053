"""What turns logits into answers, fitted on groups that no weight was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicewise.data.tasks import Task
from slicewise.errors import EvaluationError
from slicewise.evaluation.calibration import fit_temperature
from slicewise.evaluation.operating_points import youden_j
from slicewise.evaluation.predictions import PredictionTable
from slicewise.inference.decision import DecisionRule, OperatingPoint
from slicewise.training.run import SplitData


def prediction_table(task: Task, data: SplitData, logits: NDArray[np.float32]) -> PredictionTable:
    """Logits of a split beside what is known of its slices."""
    rows = data.manifest.rows
    return PredictionTable(
        classes=task.classes,
        negative_class=task.negative_class,
        logits=logits,
        targets=data.targets,
        groups=np.array([row.group for row in rows]),
        sources=np.array([row.source for row in rows]),
        paths=np.array([row.path for row in rows]),
    )


def fit_decision(held_out: PredictionTable, described: str) -> DecisionRule:
    """Temperature by likelihood, then the tumor threshold by Youden's J on calibrated scores.

    Args:
        held_out: Answers for slices that no weight behind them was trained on.
        described: What these slices are, in words.
    """
    temperature = _temperature(held_out)
    calibrated = held_out.decided(DecisionRule(temperature=temperature))
    point = _operating_point(calibrated)
    return DecisionRule(temperature=temperature, operating_point=point, fitted_on=described)


def _temperature(held_out: PredictionTable) -> float | None:
    """None where the held-out answers cannot give one, as when every answer in it is right."""
    try:
        return fit_temperature(held_out.logits, held_out.targets)
    except EvaluationError:
        return None


def _operating_point(calibrated: PredictionTable) -> OperatingPoint | None:
    """None where the task has no negative class, or the held-out answers cannot give a threshold.

    A bundle without one answers at 0.5 and says so with every prediction.
    """
    if calibrated.negative_class is None:
        return None
    try:
        return youden_j(calibrated.tumor_probability(), calibrated.is_tumor(), calibrated.groups)
    except EvaluationError:
        return None
