"""Several models on the same slices: paired differences of every headline figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slicewise.arrays import Ints
from slicewise.errors import EvaluationError
from slicewise.evaluation.decisions import decision_quantities
from slicewise.evaluation.summary import nested, overall_quantities, tumor_quantities
from slicewise.inference.bundle import Bundle
from slicewise.predictions.table import PredictionTable
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals


def require_same_task(bundles: Sequence[Bundle]) -> None:
    """Check that models are different ones and tell the same classes apart, in whatever order.

    Args:
        bundles: At least one; the first is what the others are held to.

    Raises:
        EvaluationError: Names the model with other classes, or the one that is given twice.
    """
    first, identities = bundles[0], [bundle.identity for bundle in bundles]
    for bundle in bundles:
        if identities.count(bundle.identity) > 1:
            raise EvaluationError(
                f"{bundle.info.name} {bundle.info.version}: expected different models to compare; "
                "got this one twice"
            )
    for other in bundles[1:]:
        same = set(other.classes) == set(first.classes)
        if not same or other.negative_class != first.negative_class:
            raise EvaluationError(
                f"{other.info.name} cannot be compared with {first.info.name}: expected the "
                f"classes {', '.join(sorted(first.classes))} with {first.negative_class} as the "
                f"negative one; got {', '.join(sorted(other.classes))} with {other.negative_class}"
            )


def headline_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """The figures that models are compared in."""
    shares: set[Key] = {("decisions", "accept", "share"), ("decisions", "accept", "accuracy")}
    chosen = {key: q for key, q in decision_quantities(table).items() if key in shares}
    return {**overall_quantities(table), **tumor_quantities(table), **chosen}


def figures_of_each(
    tables: Sequence[PredictionTable], bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """The headline figures of every model, with intervals from the same resamples."""
    return [
        nested(group_intervals(headline_quantities(t), t.groups, t.labels, bootstrap))
        for t in tables
    ]


def paired(first: PredictionTable, other: PredictionTable, bootstrap: Bootstrap) -> dict[str, Any]:
    """How another model differs from the first on the same slices.

    The interval of a difference is made of differences, each on one resample of whole groups. It
    is narrower than what two separate intervals suggest, because both models meet the same slices.

    Args:
        other: Answers of the other one, in the same order.

    Returns:
        `differences` (other minus first) of every headline figure, and the counts of McNemar's
        test on accuracy: slices that `both`, `first_only`, `other_only` and `neither` answered
        right.

    Raises:
        EvaluationError: If the tables are not of the same slices.
    """
    same = first.n == other.n and bool((first.paths == other.paths).all())
    if not same or not (first.labels == other.labels).all():
        raise EvaluationError("a paired comparison needs the same slices in the same order")
    mine, theirs = headline_quantities(first), headline_quantities(other)
    gaps = {key: _difference(mine[key], theirs[key]) for key in mine}
    found = group_intervals(gaps, first.groups, first.labels, bootstrap)
    return {"differences": nested(found), "right": mcnemar_counts(first, other)}


def mcnemar_counts(first: PredictionTable, other: PredictionTable) -> dict[str, int]:
    """Slices by which of two models answered them right (McNemar 1947).

    Slices of one group are not independent, so no p-value is made of them; the interval of the
    difference in accuracy, by groups, is the test.
    """
    a, b = first.predicted == first.targets, other.predicted == other.targets
    return {
        "both": int(np.sum(a & b)),
        "first_only": int(np.sum(a & ~b)),
        "other_only": int(np.sum(~a & b)),
        "neither": int(np.sum(~a & ~b)),
    }


def decided(estimate: Mapping[str, Any], *, falling: bool) -> str:
    """What the interval of a difference says, in words.

    Args:
        estimate: A difference, other minus first.
    """
    if estimate["ci_low"] is None:
        return "no interval"
    if estimate["ci_low"] > 0:
        return "worse" if falling else "better"
    if estimate["ci_high"] < 0:
        return "better" if falling else "worse"
    return "no difference shown"


def _difference(mine: Quantity, theirs: Quantity) -> Quantity:
    def difference(indices: Ints) -> float:
        return theirs(indices) - mine(indices)

    return difference
