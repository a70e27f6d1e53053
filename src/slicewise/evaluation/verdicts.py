"""What a decision rule makes of a table of answers, slice by slice, as the classifier does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np

from slicewise.arrays import Bools, Strings
from slicewise.errors import EvaluationError
from slicewise.inference.decision import Conclusion, Prediction, Reason, conclude, threshold_of
from slicewise.inference.rule import DecisionRule
from slicewise.predictions.table import JOINT, PredictionTable


class VerdictColumns(TypedDict):
    """The columns of a table that hold decisions; N rows."""

    verdicts: Strings
    reasons: Strings
    sets: Bools | None


def with_verdicts(
    table: PredictionTable, rule: DecisionRule, concerns: Sequence[Sequence[Reason]]
) -> PredictionTable:
    """The same logits, calibrated and decided by one rule.

    Args:
        rule: Of the model that answered, or one to try on its answers.
        concerns: For each row, what was found about the picture itself.

    Raises:
        EvaluationError: If the answers do not follow from the logits, or the rule asks for
            class_distances that the table does not hold.
    """
    if rule.goes_by_trust and table.class_distances is None:
        raise EvaluationError(
            "a rule with a limit of trust needs class_distances; the table holds none"
        )
    ready = table.decided(rule)
    threshold = threshold_of(rule, table.negative_class, None)
    apart = [None] * table.n if table.class_distances is None else table.class_distances
    found = [
        conclude(shares, table.classes, table.negative_class, rule, threshold, own, near)
        for shares, own, near in zip(ready.probabilities(), concerns, apart, strict=True)
    ]
    return replace(ready, **verdict_columns(found, table.classes))


def verdict_columns(
    said: Sequence[Prediction] | Sequence[Conclusion], classes: Sequence[str]
) -> VerdictColumns:
    """Decisions as columns of a table.

    Args:
        said: One a row, at least one, all of one rule.
        classes: Order of the columns of the sets.
    """
    return {
        "verdicts": np.array([str(one.decision) for one in said]),
        "reasons": np.array([JOINT.join(one.reasons) for one in said]),
        "sets": _members([one.prediction_set for one in said], classes),
    }


def _members(sets: Sequence[list[str] | None], classes: Sequence[str]) -> Bools | None:
    """(N, K) which classes remain possible; None where no sets are fitted."""
    known = [inside for inside in sets if inside is not None]
    if len(known) < len(sets):
        return None
    return np.array([[name in inside for name in classes] for inside in known])
