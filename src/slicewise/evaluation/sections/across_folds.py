"""How much metrics differ between the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slicewise.errors import EvaluationError, MissingExtraError
from slicewise.evaluation.sections.headlines import OVERALL, TUMOR_FIRST, at
from slicewise.evaluation.summary import tree_of
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Key
from slicewise.text import cell_text

HEADLINES = tuple(headline.path for headline in (*OVERALL, *TUMOR_FIRST))
LEVEL = 0.95
LARGEST: Mapping[Key, float] = {("brier",): 2.0}
"""Largest value of the metrics that may exceed 1; none falls below 0."""
CAUTION = (
    "The models of two folds share most of their training slices, so the folds are no independent "
    "repeats and the t interval is a rough guide (Bengio & Grandvalet 2004); the intervals of the "
    "pooled metrics resample groups instead."
)
DESCRIPTION = (
    "Mean, standard deviation and 95 % t interval over the folds, each fold counting the same; "
    f"the interval ends where the metric must. {CAUTION}"
)


def metrics_by_fold(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The headline metrics of each fold with their own intervals; `metrics.json` by fold."""
    return {
        name: {key: report[key] for key in ("n", "groups", "macro_over")}
        | tree_of({key: dict(at(report, key)) for key in HEADLINES})
        for name, report in reports.items()
    }


def metrics_over_folds(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, standard deviation and t interval of each headline metric over the folds.

    A metric that a fold does not have (such as a specificity without tumor-free slices) is taken
    over the others; `folds` says how many there are.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    values = {
        key: [at(report, key).get("value") for report in reports.values()] for key in HEADLINES
    }
    spread = {
        key: _spread([float(v) for v in found if v is not None], LARGEST.get(key, 1.0))
        for key, found in values.items()
    }
    return {"description": DESCRIPTION, **tree_of(spread)}


def folds_section(report: Mapping[str, Any]) -> Section:
    """The folds beside each other, then their mean: of a report with `folds` and `over_folds`."""
    folds, over = report["folds"], report["over_folds"]
    counts = [(name, *(str(own[name]) for own in folds.values()), "") for name in ("n", "groups")]
    metrics = [
        (
            " ".join(key).replace("_", " "),
            *(cell_text(at(own, key)) for own in folds.values()),
            cell_text({**at(over, key), "value": at(over, key)["mean"]}),
        )
        for key in HEADLINES
        if at(over, key)["folds"]
    ]
    return Section.of(
        "Fold by fold",
        "Each fold was answered by a model trained without it. Last column: mean over the folds "
        f"with its 95 % t interval. {CAUTION}",
        ("metric", *(f"fold {name}" for name in folds), "mean"),
        [*counts, *metrics],
    )


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean plus and minus Student's t times the standard error, 95 % (Student 1908).

    Raises:
        EvaluationError: If there are fewer than two values.
        MissingExtraError: If SciPy is not installed.
    """
    if len(values) < 2:
        raise EvaluationError(f"a t interval needs at least 2 values; got {len(values)}")
    try:
        from scipy.stats import t
    except ModuleNotFoundError:
        raise MissingExtraError("an interval over folds", "evaluate") from None
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach


def _spread(values: Sequence[float], largest: float) -> dict[str, Any]:
    count, mean = len(values), float(np.mean(values)) if values else None
    if count < 2:
        reason = "an interval needs at least 2 folds; got 1" if count else "no fold has this metric"
        none = {"sd": None, "ci_low": None, "ci_high": None}
        return {"mean": mean, **none, "folds": count, "reason": reason}
    low, high = t_interval(values)
    ends = {"ci_low": max(low, 0.0), "ci_high": min(high, largest)}
    return {"mean": mean, "sd": float(np.std(values, ddof=1)), **ends, "folds": count}
