"""The metrics of a report: every quantity of a prediction table with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools, Floats, Ints, Names
from slicewise.data.groups import COPIES_PREFIX
from slicewise.errors import EvaluationError
from slicewise.fitting.operating_point import youden_j
from slicewise.inference.decision import Verdict
from slicewise.predictions.table import JOINT, PredictionTable
from slicewise.stats import metrics
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.curves import risk_coverage_area
from slicewise.stats.intervals import Shares, mean_of, share_of

TUMOR_FLAGS = ("sensitivity", "specificity", "ppv", "npv")
CLASS_FLAGS = ("precision", "sensitivity", "specificity", "f1")
SCORES = ("auroc", "auprc")
CONFIDENT = 0.9
"""Confidence from which on a wrong answer is called a confident one."""


def _ppv(flagged: Bools, positives: Bools) -> float:
    """`metrics.ppv`, but undefined for a resample without any positive, where 0 says nothing."""
    if not positives.any():
        raise EvaluationError("expected a positive slice; got none")
    return metrics.ppv(flagged, positives)


def _npv(flagged: Bools, positives: Bools) -> float:
    """`metrics.npv`, but undefined for a resample without any negative."""
    if positives.all():
        raise EvaluationError("expected a negative slice; got none")
    return metrics.npv(flagged, positives)


def summarise(
    table: PredictionTable, bootstrap: Bootstrap, neighbour: Bools | str
) -> dict[str, Any]:
    """All metrics of a table, nested as `metrics.json` holds them; averages are over `macro_over`.

    Args:
        neighbour: (N,) whether the nearest training slice has the same label, or why that is not
            known.
    """
    quantities = {
        **overall_quantities(table),
        **class_quantities(table),
        **tumor_quantities(table),
        ("memorisation_1nn",): (
            undefined(neighbour) if isinstance(neighbour, str) else share_of(neighbour)
        ),
        **decision_quantities(table),
        **set_quantities(table),
    }
    report: dict[str, Any] = {
        "n": table.n,
        "groups": table.n_groups,
        "macro_over": [table.classes[k] for k in _present(table)],
        **nested(group_intervals(quantities, table.groups, table.labels, bootstrap)),
    }
    for k, name in enumerate(table.classes):
        report["per_class"][name] |= counts_of(table.targets == k, table.groups)
    report["decisions"] |= decision_counts(table)
    report["threshold_sweep"] = best_threshold(table)
    report["error_analysis"] = report["patterns"] = error_analysis(table)  # an older name
    copies = np.char.startswith(table.groups.astype(np.str_), COPIES_PREFIX)
    report["groups_of_copies"] = np.unique(table.sources[copies]).tolist()
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


def counts_of(mine: Bools, groups: Names) -> dict[str, int]:
    """How many of N slices, and of their groups, are among `mine`; both (N,)."""
    return {"n": int(mine.sum()), "groups": int(np.unique(groups[mine]).size)}


def undefined(reason: str) -> Quantity:
    """A quantity that has no value, and says why."""

    def refuse(_: Ints) -> float:
        raise EvaluationError(reason)

    return refuse


def quantity_of(metric: Callable[..., float], *values: NDArray[Any], **fixed: Any) -> Quantity:
    """A metric of arrays (N, ...), of the slices that are drawn."""
    return lambda indices: metric(*(each[indices] for each in values), **fixed)


def difference(first: Quantity, other: Quantity) -> Quantity:
    """Other minus first, on the same slices."""
    return lambda indices: other(indices) - first(indices)


def best_threshold(table: PredictionTable) -> dict[str, Any]:
    """The threshold with the largest sensitivity + specificity - 1 on these very slices.

    It is given to compare with, not to use; all None with a `reason` where there is none.
    """
    names = ("threshold", "sensitivity", "specificity", "youden_j")
    try:
        best = youden_j(table.tumor_probability(), table.is_tumor(), table.groups)
    except EvaluationError as reason:
        return {**dict.fromkeys(names), "reason": str(reason)}
    j = best.sensitivity + best.specificity - 1
    return dict(zip(names, (best.threshold, best.sensitivity, best.specificity, j), strict=True))


def _source_summary(table: PredictionTable, bootstrap: Bootstrap) -> dict[str, Any]:
    overall, wanted = overall_quantities(table), (("accuracy",), ("balanced_accuracy",))
    quantities = {key: overall[key] for key in wanted} | tumor_quantities(table)
    return {
        "n": table.n,
        "groups": table.n_groups,
        "slices": {name: int(np.sum(table.targets == k)) for k, name in enumerate(table.classes)},
        **nested(group_intervals(quantities, table.groups, table.labels, bootstrap)),
    }


def overall_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Metrics of all slices together, averages over the classes that have a slice."""
    probabilities, predicted, targets = table.probabilities(), table.predicted, table.targets
    confidence, correct = table.confidence, predicted == targets
    present = _present(table)
    return {
        ("accuracy",): share_of(correct),
        ("balanced_accuracy",): Shares(
            quantity_of(metrics.balanced_accuracy, predicted, targets, classes=present),
            [(correct, targets == k) for k in present],
        ),
        ("macro_auroc",): quantity_of(metrics.macro_auroc, probabilities, targets, classes=present),
        ("macro_f1",): quantity_of(metrics.macro_f1, predicted, targets, classes=present),
        ("ece",): quantity_of(metrics.ece_of, confidence, correct),
        ("brier",): quantity_of(metrics.brier, probabilities, targets),
    }


def class_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Metrics of each class against the rest."""
    probabilities, predicted = table.probabilities(), table.predicted
    quantities: dict[Key, Quantity] = {}
    for k, name in enumerate(table.classes):
        found = _binary_quantities(predicted == k, table.targets == k, probabilities[:, k])
        quantities |= {
            ("per_class", name, metric): found[metric] for metric in CLASS_FLAGS + SCORES
        }
    return quantities


def tumor_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Metrics of any tumor against none; each says why where the table has no such metric."""
    try:
        scores, truth = table.tumor_probability(), table.is_tumor()
    except EvaluationError as reason:
        found = dict.fromkeys((*TUMOR_FLAGS, *SCORES), undefined(str(reason)))
    else:
        flagged = np.zeros_like(truth) if table.thresholds is None else table.tumor_flag()
        found = _binary_quantities(flagged, truth, scores)
        if table.thresholds is None:
            found |= dict.fromkeys(TUMOR_FLAGS, undefined("no tumor threshold was fitted"))
    return {("tumor", name): found[name] for name in (*TUMOR_FLAGS, *SCORES)}


def decision_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """Area under the risk-coverage curve; share of each decision and accuracy within, if any."""
    correct, sureness = table.predicted == table.targets, table.sureness
    quantities: dict[Key, Quantity] = {
        ("decisions", "risk_coverage_area"): quantity_of(risk_coverage_area, sureness, correct)
    }
    for verdict in map(str, Verdict):
        share = accuracy = undefined("the table holds no decisions")
        if table.verdicts is not None:
            mine = table.verdicts == verdict
            share = share_of(mine)
            accuracy = share_of(correct, mine, f"accuracy needs a slice to {verdict}")
        quantities["decisions", verdict, "share"] = share
        quantities["decisions", verdict, "accuracy"] = accuracy
    return quantities


def decision_counts(table: PredictionTable) -> dict[str, Any]:
    """How many slices have each decision, by what score, and each reason (several a slice)."""
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
    """How often the true class is in the prediction set and how large the sets are, if any."""
    sets = np.zeros(table.logits.shape, np.bool_) if table.sets is None else table.sets
    covered = sets[np.arange(table.n), table.targets]
    size = sets.sum(axis=1).astype(np.float64)
    quantities: dict[Key, Quantity] = {
        ("conformal", "coverage"): share_of(covered),
        ("conformal", "set_size"): mean_of(size),
        ("conformal", "single"): share_of(size == 1),
    }
    for k, name in enumerate(table.classes):
        mine, inside = table.targets == k, ("conformal", "per_class", name)
        needs = f"a prediction set figure needs a slice of {name}"
        quantities[*inside, "coverage"] = share_of(covered, mine, needs)
        quantities[*inside, "set_size"] = mean_of(size, mine, needs)
    if table.sets is None:
        return dict.fromkeys(quantities, undefined("the model has no fitted prediction sets"))
    return quantities


class Confusion(NamedTuple):
    """One kind of mistake: the classes, its slices, and how many of them are confident."""

    true: str
    answered: str
    n: int
    groups: int
    share_of_true: float
    median_confidence: float
    confident: int
    sources: dict[str, int]


def error_analysis(table: PredictionTable) -> dict[str, Any]:
    """Mistakes and how sure right and wrong answers are, as `metrics.json` holds them.

    Percentiles of the confidence are None without a slice.
    """
    right = table.predicted == table.targets
    spread = {"right": _spread(table.confidence[right]), "wrong": _spread(table.confidence[~right])}
    return {"confidence": spread, "mistakes": [pair._asdict() for pair in confusions(table)]}


def confusions(table: PredictionTable) -> list[Confusion]:
    """Every pair of true and answered class that occurs, the most frequent first."""
    pairs = Counter(zip(table.targets.tolist(), table.predicted.tolist(), strict=True))
    wrong = [(pair, count) for pair, count in pairs.items() if pair[0] != pair[1]]
    found = []
    for (true, answered), count in sorted(wrong, key=lambda item: (-item[1], item[0])):
        mine = (table.targets == true) & (table.predicted == answered)
        sure = table.confidence[mine]
        found.append(
            Confusion(
                true=table.classes[true],
                answered=table.classes[answered],
                n=count,
                groups=int(np.unique(table.groups[mine]).size),
                share_of_true=float(count / (table.targets == true).sum()),
                median_confidence=float(np.median(sure)),
                confident=int((sure >= CONFIDENT).sum()),
                sources=dict(sorted(Counter(table.sources[mine].tolist()).items())),
            )
        )
    return found


def confident_errors(table: PredictionTable, most: int) -> Ints:
    """Rows of wrong answers, at most so many, the most confident first."""
    wrong = np.flatnonzero(table.predicted != table.targets)
    order = np.argsort(-table.confidence[wrong], kind="stable")
    return wrong[order][:most].astype(np.int64)


def _binary_quantities(flagged: Bools, truth: Bools, scores: Floats) -> dict[str, Quantity]:
    ppv = Shares(quantity_of(_ppv, flagged, truth), [(truth, flagged)])
    return {
        "sensitivity": share_of(flagged, truth, "sensitivity needs a positive"),
        "specificity": share_of(~flagged, ~truth, "specificity needs a negative"),
        "precision": ppv,
        "ppv": ppv,
        "npv": Shares(quantity_of(_npv, flagged, truth), [(~truth, ~flagged)]),
        "f1": quantity_of(metrics.f1, flagged, truth),
        "auroc": quantity_of(metrics.auroc, scores, truth),
        "auprc": quantity_of(metrics.auprc, scores, truth),
    }


def _present(table: PredictionTable) -> list[int]:
    return [int(k) for k in np.unique(table.targets)]


def _spread(values: Floats) -> dict[str, Any]:
    found = np.quantile(values, [0.1, 0.5, 0.9]).tolist() if values.size else [None] * 3
    percentiles = dict(zip(("p10", "p50", "p90"), found, strict=True))
    return {"n": values.size, **percentiles, "confident": int((values >= CONFIDENT).sum())}
