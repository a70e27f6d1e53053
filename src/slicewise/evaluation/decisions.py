"""What the decisions of a model are worth: accepted, to review, rejected; prediction sets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from slicewise.errors import EvaluationError
from slicewise.evaluation.checks import Bools, Floats, Ints, require_some
from slicewise.evaluation.predictions import JOINT, PredictionTable
from slicewise.evaluation.risk import risk_coverage_area
from slicewise.figures.bootstrap import Key, Quantity
from slicewise.inference.decision import Verdict

NO_DECISIONS = "the table holds no decisions"
NO_SETS = "the model has no fitted prediction sets"


def decision_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Shares of the decisions, accuracy within each, and the area under the risk-coverage curve.

    Args:
        table: What was answered; without decisions only the area has a value.
    """
    where = "decisions"
    correct = table.predicted == table.targets
    confidence = table.confidence
    quantities: dict[Key, Quantity] = {
        (where, "risk_coverage_area"): lambda i: risk_coverage_area(confidence[i], correct[i])
    }
    for verdict in Verdict:
        mine = None if table.verdicts is None else table.verdicts == str(verdict)
        quantities[where, str(verdict), "share"] = _mean(mine, NO_DECISIONS)
        quantities[where, str(verdict), "accuracy"] = _mean_among(
            correct, mine, f"a slice to {verdict}"
        )
    return quantities


def decision_counts(table: PredictionTable) -> dict[str, Any]:
    """How many slices were accepted, sent to review and rejected, and for which reasons.

    A slice may have several reasons, so these do not add up to the slices.
    """
    if table.verdicts is None:
        return {"counts": None, "reasons": None}
    found = Counter(table.verdicts.tolist())
    named = [] if table.reasons is None else table.reasons.tolist()
    reasons = Counter(reason for joined in named for reason in joined.split(JOINT) if reason)
    return {
        "counts": {str(verdict): found[str(verdict)] for verdict in Verdict},
        "reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    }


def set_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """How often the true class is in the prediction set and how large the sets are.

    Args:
        table: What was answered; without sets nothing has a value.
    """
    sets, targets, where = table.sets, table.targets, ("conformal",)
    covered = size = single = None
    if sets is not None:
        covered = sets[np.arange(table.n), targets]
        size = sets.sum(axis=1).astype(np.float64)
        single = np.asarray(size == 1)
    quantities: dict[Key, Quantity] = {
        (*where, "coverage"): _mean(covered, NO_SETS),
        (*where, "set_size"): _mean(size, NO_SETS),
        (*where, "single"): _mean(single, NO_SETS),
    }
    for k, name in enumerate(table.classes):
        mine = np.asarray(targets == k)
        inside = (*where, "per_class", name)
        quantities[*inside, "coverage"] = _mean_of_class(covered, mine, name)
        quantities[*inside, "set_size"] = _mean_of_class(size, mine, name)
    return quantities


def _mean(values: Bools | Floats | None, missing: str) -> Quantity:
    def mean(indices: Ints) -> float:
        if values is None:
            raise EvaluationError(missing)
        return float(np.mean(values[indices]))

    return mean


def _mean_among(values: Bools | Floats, chosen: Bools | None, what: str) -> Quantity:
    def mean(indices: Ints) -> float:
        if chosen is None:
            raise EvaluationError(NO_DECISIONS)
        part = indices[chosen[indices]]
        require_some("accuracy", part.size, indices.size, what)
        return float(np.mean(values[part]))

    return mean


def _mean_of_class(values: Bools | Floats | None, mine: Bools, name: str) -> Quantity:
    def mean(indices: Ints) -> float:
        if values is None:
            raise EvaluationError(NO_SETS)
        part = indices[mine[indices]]
        require_some("a prediction set figure", part.size, indices.size, f"a slice of {name}")
        return float(np.mean(values[part]))

    return mean
