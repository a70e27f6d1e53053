"""The figures of a report: every quantity of a prediction table with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.errors import EvaluationError
from slicewise.evaluation import metrics
from slicewise.evaluation.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.evaluation.checks import Bools, Floats, Ints
from slicewise.evaluation.predictions import PredictionTable

BinaryMetric = Callable[[Bools, Bools], float]

TUMOR_FLAG_METRICS: Mapping[str, BinaryMetric] = {
    "sensitivity": metrics.sensitivity,
    "specificity": metrics.specificity,
    "ppv": metrics.ppv,
    "npv": metrics.npv,
}
CLASS_FLAG_METRICS: Mapping[str, BinaryMetric] = {
    "precision": metrics.ppv,
    "sensitivity": metrics.sensitivity,
    "specificity": metrics.specificity,
    "f1": metrics.f1,
}
SCORE_METRICS: Mapping[str, Callable[[Floats, Bools], float]] = {
    "auroc": metrics.auroc,
    "auprc": metrics.auprc,
}


def summarise(
    table: PredictionTable, bootstrap: Bootstrap, neighbour: Bools | str
) -> dict[str, Any]:
    """All figures of a table, nested as `metrics.json` holds them.

    Averages over classes are over those with a slice in the table; `macro_over` names them.

    Args:
        table: What was answered.
        bootstrap: How intervals are made.
        neighbour: (N,) whether the nearest training slice has the same label, or in words why
            that is not known.
    """
    quantities = {
        **_overall(table),
        **_per_class(table),
        **_tumor(table),
        **_neighbour(neighbour),
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
    report["per_source"] = {
        str(source): _source_summary(table.take(table.sources == source), bootstrap)
        for source in np.unique(table.sources)
    }
    return report


def nested(estimates: Mapping[Key, Estimate]) -> dict[str, Any]:
    """Estimates as nested dictionaries ready for JSON."""
    tree: dict[str, Any] = {}
    for key, estimate in estimates.items():
        branch = tree
        for name in key[:-1]:
            branch = branch.setdefault(name, {})
        branch[key[-1]] = estimate.as_json()
    return tree


def _source_summary(table: PredictionTable, bootstrap: Bootstrap) -> dict[str, Any]:
    wanted = (("accuracy",), ("balanced_accuracy",))
    overall = _overall(table)
    quantities = {key: overall[key] for key in wanted} | _tumor(table)
    per_class = {name: int(np.sum(table.targets == k)) for k, name in enumerate(table.classes)}
    return {
        "n": table.n,
        "groups": table.n_groups,
        "slices": per_class,
        **nested(group_intervals(quantities, table.groups, table.labels, bootstrap)),
    }


def _overall(table: PredictionTable) -> dict[Key, Quantity]:
    probabilities, predicted, targets = table.probabilities(), table.predicted, table.targets
    present = _present(table)
    quantities: dict[str, Quantity] = {
        "accuracy": lambda i: metrics.accuracy(predicted[i], targets[i]),
        "balanced_accuracy": lambda i: metrics.balanced_accuracy(predicted[i], targets[i], present),
        "macro_auroc": lambda i: metrics.macro_auroc(probabilities[i], targets[i], present),
        "macro_f1": lambda i: metrics.macro_f1(predicted[i], targets[i], present),
        "ece": lambda i: metrics.ece(probabilities[i], targets[i]),
        "brier": lambda i: metrics.brier(probabilities[i], targets[i]),
    }
    return {(name,): quantity for name, quantity in quantities.items()}


def _per_class(table: PredictionTable) -> dict[Key, Quantity]:
    probabilities, predicted = table.probabilities(), table.predicted
    quantities: dict[Key, Quantity] = {}
    for k, name in enumerate(table.classes):
        where, truth = ("per_class", name), table.targets == k
        quantities |= _paired(where, CLASS_FLAG_METRICS, predicted == k, truth)
        quantities |= _paired(where, SCORE_METRICS, probabilities[:, k], truth)
    return quantities


def _tumor(table: PredictionTable) -> dict[Key, Quantity]:
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
    return {("memorisation_1nn",): lambda i: float(np.mean(correct[i]))}


def _paired(
    where: Key,
    quantities: Mapping[str, Callable[[Any, Bools], float]],
    answers: NDArray[Any],
    truth: Bools,
) -> dict[Key, Quantity]:
    """Bind metrics of (answers, truth) to these arrays."""

    def bind(metric: Callable[[Any, Bools], float]) -> Quantity:
        return lambda i: metric(answers[i], truth[i])

    return {(*where, name): bind(metric) for name, metric in quantities.items()}


def _undefined(where: Key, names: Iterable[str], reason: str) -> dict[Key, Quantity]:
    """Quantities that have no value here, and say why."""

    def refuse(_: Ints) -> float:
        raise EvaluationError(reason)

    return dict.fromkeys(((*where, name) for name in names), refuse)


def _present(table: PredictionTable) -> list[int]:
    return [int(k) for k in np.unique(table.targets)]


def _counts(table: PredictionTable, mine: Bools) -> dict[str, int]:
    return {"n": int(mine.sum()), "groups": int(np.unique(table.groups[mine]).size)}
