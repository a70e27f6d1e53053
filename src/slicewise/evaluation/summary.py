"""The figures of a report: every quantity of a prediction table with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools, Floats, Ints
from slicewise.data.groups import COPIES_PREFIX
from slicewise.errors import EvaluationError
from slicewise.evaluation.decisions import decision_counts, decision_quantities, set_quantities
from slicewise.evaluation.sections.mistakes import error_analysis
from slicewise.evaluation.sections.sweep import best_here
from slicewise.predictions.table import PredictionTable
from slicewise.stats import metrics
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import Shares, share_of

BinaryMetric = Callable[[Bools, Bools], float]


def ppv_where_present(flagged: Bools, positives: Bools) -> float:
    """`metrics.ppv`, but for a resample without any positive, where 0 would say nothing.

    Args:
        flagged: (N,) answered positive.
        positives: (N,) truly positive.

    Raises:
        EvaluationError: There is no positive, or nothing is flagged.
    """
    if not positives.any():
        raise EvaluationError("expected a positive slice; got none")
    return metrics.ppv(flagged, positives)


def npv_where_present(flagged: Bools, positives: Bools) -> float:
    """`metrics.npv`, but for a resample without any negative; see `ppv_where_present`."""
    if positives.all():
        raise EvaluationError("expected a negative slice; got none")
    return metrics.npv(flagged, positives)


TUMOR_FLAG_METRICS: Mapping[str, BinaryMetric] = {
    "sensitivity": metrics.sensitivity,
    "specificity": metrics.specificity,
    "ppv": ppv_where_present,
    "npv": npv_where_present,
}
CLASS_FLAG_METRICS: Mapping[str, BinaryMetric] = {
    "precision": ppv_where_present,
    "sensitivity": metrics.sensitivity,
    "specificity": metrics.specificity,
    "f1": metrics.f1,
}
SCORE_METRICS: Mapping[str, Callable[[Floats, Bools], float]] = {
    "auroc": metrics.auroc,
    "auprc": metrics.auprc,
}
SHARE_PARTS: Mapping[str, Callable[[Bools, Bools], tuple[Bools, Bools]]] = {
    "sensitivity": lambda flagged, positives: (flagged, positives),
    "specificity": lambda flagged, positives: (~flagged, ~positives),
    "precision": lambda flagged, positives: (positives, flagged),
    "ppv": lambda flagged, positives: (positives, flagged),
    "npv": lambda flagged, positives: (~positives, ~flagged),
}
"""Of the flag metrics that are shares: which slices are hits, and among which they are counted."""


def summarise(
    table: PredictionTable, bootstrap: Bootstrap, neighbour: Bools | str
) -> dict[str, Any]:
    """All figures of a table, nested as `metrics.json` holds them.

    Averages over classes are over those with a slice in the table; `macro_over` names them.

    Args:
        neighbour: (N,) whether the nearest training slice has the same label, or in words why
            that is not known.
    """
    quantities = {
        **overall_quantities(table),
        **class_quantities(table),
        **tumor_quantities(table),
        **_neighbour(neighbour),
        **decision_quantities(table),
        **set_quantities(table),
    }
    report: dict[str, Any] = {
        "n": table.n,
        "groups": table.n_groups,
        "macro_over": [table.classes[k] for k in _present(table)],
    }
    report |= nested(group_intervals(quantities, table.groups, table.labels, bootstrap))
    for k, name in enumerate(table.classes):
        mine = table.targets == k
        report["per_class"][name] |= _counts(table, mine)
    report["decisions"] |= decision_counts(table)
    report["threshold_sweep"] = best_here(table)
    report["patterns"] = error_analysis(table)
    report["groups_of_copies"] = _sources_of_copies(table)
    report["per_source"] = {
        str(source): _source_summary(table.take(table.sources == source), bootstrap)
        for source in np.unique(table.sources)
    }
    return report


def nested(estimates: Mapping[Key, Estimate]) -> dict[str, Any]:
    """Estimates as nested dictionaries ready for JSON."""
    return tree_of({key: estimate.as_json() for key, estimate in estimates.items()})


def tree_of(flat: Mapping[Key, Any]) -> dict[str, Any]:
    """Values as nested dictionaries, by the parts of their keys."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        branch = tree
        for name in key[:-1]:
            branch = branch.setdefault(name, {})
        branch[key[-1]] = value
    return tree


def _sources_of_copies(table: PredictionTable) -> list[str]:
    """Sources with a group of which nothing but copies of one slice is known."""
    copies = np.char.startswith(table.groups.astype(np.str_), COPIES_PREFIX)
    return [str(source) for source in np.unique(table.sources[copies])]


def _source_summary(table: PredictionTable, bootstrap: Bootstrap) -> dict[str, Any]:
    wanted = (("accuracy",), ("balanced_accuracy",))
    overall = overall_quantities(table)
    quantities = {key: overall[key] for key in wanted} | tumor_quantities(table)
    per_class = {name: int(np.sum(table.targets == k)) for k, name in enumerate(table.classes)}
    return {
        "n": table.n,
        "groups": table.n_groups,
        "slices": per_class,
        **nested(group_intervals(quantities, table.groups, table.labels, bootstrap)),
    }


def overall_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Figures of all slices together, averages over the classes that have a slice."""
    probabilities, predicted, targets = table.probabilities(), table.predicted, table.targets
    confidence, correct = table.confidence, predicted == targets
    present = _present(table)
    everyone = np.ones_like(correct)
    quantities: dict[str, Quantity] = {
        "accuracy": Shares(
            lambda i: metrics.accuracy(predicted[i], targets[i]), [(correct, everyone)]
        ),
        "balanced_accuracy": Shares(
            lambda i: metrics.balanced_accuracy(predicted[i], targets[i], present),
            [(correct, targets == k) for k in present],
        ),
        "macro_auroc": lambda i: metrics.macro_auroc(probabilities[i], targets[i], present),
        "macro_f1": lambda i: metrics.macro_f1(predicted[i], targets[i], present),
        "ece": lambda i: metrics.ece_of(confidence[i], correct[i]),
        "brier": lambda i: metrics.brier(probabilities[i], targets[i]),
    }
    return {(name,): quantity for name, quantity in quantities.items()}


def class_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Figures of each class against the rest."""
    probabilities, predicted = table.probabilities(), table.predicted
    quantities: dict[Key, Quantity] = {}
    for k, name in enumerate(table.classes):
        where, truth = ("per_class", name), table.targets == k
        quantities |= _paired(where, CLASS_FLAG_METRICS, predicted == k, truth)
        quantities |= _paired(where, SCORE_METRICS, probabilities[:, k], truth)
    return quantities


def tumor_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Figures of any tumor against none; each says why where the table has no such figure."""
    where = ("tumor",)
    try:
        scores, truth = table.tumor_probability(), table.is_tumor()
    except EvaluationError as undefined:
        return _undefined(where, (*TUMOR_FLAG_METRICS, *SCORE_METRICS), str(undefined))
    ranked = _paired(where, SCORE_METRICS, scores, truth)
    if table.thresholds is None:
        reason = "no tumor threshold was fitted"
        return _undefined(where, TUMOR_FLAG_METRICS, reason) | ranked
    return _paired(where, TUMOR_FLAG_METRICS, table.tumor_flag(), truth) | ranked


def _neighbour(correct: Bools | str) -> dict[Key, Quantity]:
    if isinstance(correct, str):
        return _undefined((), ("memorisation_1nn",), correct)
    return {("memorisation_1nn",): share_of(correct)}


def _paired(
    where: Key,
    quantities: Mapping[str, Callable[[Any, Bools], float]],
    answers: NDArray[Any],
    truth: Bools,
) -> dict[Key, Quantity]:
    """Bind metrics of (answers, truth) to these arrays."""

    def bind(name: str, metric: Callable[[Any, Bools], float]) -> Quantity:
        def bound(i: Ints) -> float:
            return metric(answers[i], truth[i])

        parts = SHARE_PARTS.get(name)
        return bound if parts is None else Shares(bound, [parts(answers, truth)])

    return {(*where, name): bind(name, metric) for name, metric in quantities.items()}


def _undefined(where: Key, names: Iterable[str], reason: str) -> dict[Key, Quantity]:
    """Quantities that have no value here, and say why."""

    def refuse(_: Ints) -> float:
        raise EvaluationError(reason)

    return dict.fromkeys(((*where, name) for name in names), refuse)


def _present(table: PredictionTable) -> list[int]:
    return [int(k) for k in np.unique(table.targets)]


def _counts(table: PredictionTable, mine: Bools) -> dict[str, int]:
    return {"n": int(mine.sum()), "groups": int(np.unique(table.groups[mine]).size)}
