"""What the decisions of a model are worth: accepted, to review, rejected; prediction sets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from slicewise.arrays import Ints
from slicewise.errors import EvaluationError
from slicewise.inference.decision import Verdict
from slicewise.predictions.table import JOINT, PredictionTable
from slicewise.stats.bootstrap import Key, Quantity
from slicewise.stats.curves import risk_coverage_area
from slicewise.stats.intervals import mean_of, share_of

NO_DECISIONS = "the table holds no decisions"
NO_SETS = "the model has no fitted prediction sets"


def decision_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Shares of the decisions, accuracy within each, and the area under the risk-coverage curve.

    Args:
        table: What was answered; without decisions only the area has a value.
    """
    where = "decisions"
    correct = table.predicted == table.targets
    sureness = table.sureness
    quantities: dict[Key, Quantity] = {
        (where, "risk_coverage_area"): lambda i: risk_coverage_area(sureness[i], correct[i])
    }
    for verdict in Verdict:
        share, accuracy = (where, str(verdict), "share"), (where, str(verdict), "accuracy")
        if table.verdicts is None:
            quantities[share] = quantities[accuracy] = _undefined(NO_DECISIONS)
            continue
        mine = table.verdicts == str(verdict)
        quantities[share] = share_of(mine)
        quantities[accuracy] = share_of(correct, mine, f"accuracy needs a slice to {verdict}")
    return quantities


def decision_counts(table: PredictionTable) -> dict[str, Any]:
    """How many slices were accepted, sent to review and rejected, for which reasons, by what score.

    A slice may have several reasons, so these do not add up to the slices.
    """
    if table.verdicts is None:
        return {"scored_by": table.scored_by, "counts": None, "reasons": None}
    found = Counter(table.verdicts.tolist())
    named = [] if table.reasons is None else table.reasons.tolist()
    reasons = Counter(reason for joined in named for reason in joined.split(JOINT) if reason)
    return {
        "scored_by": table.scored_by,
        "counts": {str(verdict): found[str(verdict)] for verdict in Verdict},
        "reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    }


def set_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """How often the true class is in the prediction set and how large the sets are.

    Args:
        table: What was answered; without sets nothing has a value.
    """
    where = ("conformal",)
    if table.sets is None:
        of_classes = [(*where, "per_class", name) for name in table.classes]
        keys: list[Key] = [(*where, name) for name in ("coverage", "set_size", "single")]
        keys += [(*own, name) for own in of_classes for name in ("coverage", "set_size")]
        return dict.fromkeys(keys, _undefined(NO_SETS))
    covered = table.sets[np.arange(table.n), table.targets]
    size = table.sets.sum(axis=1).astype(np.float64)
    quantities: dict[Key, Quantity] = {
        (*where, "coverage"): share_of(covered),
        (*where, "set_size"): mean_of(size),
        (*where, "single"): share_of(size == 1),
    }
    for k, name in enumerate(table.classes):
        mine, inside = table.targets == k, (*where, "per_class", name)
        needs = f"a prediction set figure needs a slice of {name}"
        quantities[*inside, "coverage"] = share_of(covered, mine, needs)
        quantities[*inside, "set_size"] = mean_of(size, mine, needs)
    return quantities


def _undefined(reason: str) -> Quantity:
    def refuse(_: Ints) -> float:
        raise EvaluationError(reason)

    return refuse
