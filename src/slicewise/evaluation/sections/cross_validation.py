"""Cross-validation: how metrics differ between folds, and which calibration helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from slicewise.arrays import Strings
from slicewise.data.build.splits import deal
from slicewise.errors import EvaluationError, MissingExtraError
from slicewise.evaluation.sections.headlines import OVERALL, TUMOR_FIRST, at
from slicewise.evaluation.sections.plots import draw_reliability
from slicewise.evaluation.summary import difference, nested, quantity_of, tree_of, undefined
from slicewise.fitting.calibration import fit_bias_corrected, fit_temperature
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.reports.plots import drawing
from slicewise.stats import metrics
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals
from slicewise.stats.intervals import mean_of
from slicewise.text import cell_text, change_text

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
    """Mean, SD and t interval of the headline metrics over folds; raises as `t_interval`."""
    spread = {}
    for key in HEADLINES:
        values = [at(report, key).get("value") for report in reports.values()]
        known = [float(value) for value in values if value is not None]
        spread[key] = _spread(known, LARGEST.get(key, 1.0))
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


UNCALIBRATED, TEMPERATURE, BIAS_CORRECTED = "uncalibrated", "temperature", "bias_corrected"
METHODS = (UNCALIBRATED, TEMPERATURE, BIAS_CORRECTED)
LOSSES = ("ece", "brier", "nll")
CALIBRATIONS = (
    "Each calibration was fitted on {others} of {folds} parts of the groups and applied to the "
    "part left out, in turn. ECE is over 15 bins of equal mass; the calibration is held fixed "
    "where groups are resampled for the intervals."
)
_SMALLEST = np.finfo(np.float64).tiny


class Compared(NamedTuple):
    """The same answers under each calibration, each row by what was fitted without its group.

    Args:
        tables: By method that could be fitted.
        failed: Why, by method that could not.
        folds: Into how many parts the groups were dealt.
    """

    tables: Mapping[str, PredictionTable]
    failed: Mapping[str, str]
    folds: int

    def as_json(self, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
        """ECE, Brier score and NLL of each, and what each gains over the one before it."""
        quantities: dict[Key, Quantity] = {
            ("methods", method, name): quantity
            for method in METHODS
            for name, quantity in self._quantities(method).items()
        }
        for before, after in pairwise(METHODS):
            for name in LOSSES:
                pair = quantities["methods", before, name], quantities["methods", after, name]
                quantities["change", f"{after}_minus_{before}", name] = difference(*pair)
        table = self.tables[UNCALIBRATED]
        found = group_intervals(quantities, table.groups, table.labels, bootstrap or Bootstrap())
        description = CALIBRATIONS.format(others=self.folds - 1, folds=self.folds)
        if len(self.failed) == len(METHODS) - 1:
            reasons = "; ".join(sorted(set(self.failed.values())))
            description = f"No calibration could be fitted: {reasons}."
        return {"description": description, "parts": self.folds, **nested(found)}

    def _quantities(self, method: str) -> dict[str, Quantity]:
        if method in self.failed:
            return dict.fromkeys(LOSSES, undefined(self.failed[method]))
        table = self.tables[method]
        probabilities, targets = table.probabilities(), table.targets
        losses = -np.log(np.maximum(probabilities[np.arange(table.n), targets], _SMALLEST))
        return {
            "ece": quantity_of(metrics.ece, probabilities, targets),
            "brier": quantity_of(metrics.brier, probabilities, targets),
            "nll": mean_of(losses),
        }


def compare_calibrations(table: PredictionTable, folds: int = 5, seed: int = 42) -> Compared:
    """Answers calibrated by other groups, in `folds` parts, or as many as a class has groups."""
    sizes = (np.unique(table.groups[table.labels == name]).size for name in set(table.labels))
    count = min(folds, *sizes)
    tables = {UNCALIBRATED: replace(table, temperatures=None, biases=None)}
    failed: dict[str, str] = {}
    for method in (TEMPERATURE, BIAS_CORRECTED):
        try:
            tables[method] = _cross_fitted(table, _parts(table, count, seed), method)
        except EvaluationError as error:
            failed[method] = str(error)
    return Compared(tables, failed, count)


def draw_calibration(compared: Compared, method: str, path: Path) -> None:
    """Reliability before and after a calibration that did not fail, side by side."""
    table = compared.tables[method]
    title = f"Calibration, {table.n} slices of {table.n_groups} groups"
    names = ("before", f"after: {method.replace('_', '-')}, fitted on other groups")
    with drawing(path, 10.4, 5.6, title) as figure:
        for place, (name, which) in enumerate(zip(names, (UNCALIBRATED, method), strict=True)):
            axes = figure.add_subplot(1, 2, place + 1)
            draw_reliability(axes, compared.tables[which])
            axes.set_title(f"{name}\n{axes.get_title()}", fontsize=10)


def calibration_section(comparison: Mapping[str, Any], picture: Path | None) -> Section:
    """Each calibration of `Compared.as_json`, and what it gains over the one before it."""
    rows = [
        (name.replace("_", " "), *(show(metrics[metric]) for metric in LOSSES))
        for part, show in (("methods", cell_text), ("change", partial(change_text, digits=4)))
        for name, metrics in comparison[part].items()
    ]
    note = "Smaller is better in every column; a change below 0 is a gain."
    columns = ("calibration", "ECE", "Brier score", "negative log likelihood")
    text, pictures = f"{comparison['description']} {note}", [picture] if picture else []
    return Section.of("Which calibration helps", text, columns, rows, pictures)


def _parts(table: PredictionTable, count: int, seed: int) -> Strings:
    """(N,) the part of each slice; whole groups, each class spread over the parts."""
    if count < 2:
        raise EvaluationError("calibrations: expected two groups of every class; got one of some")
    shares = {str(part): 1 / count for part in range(count)}
    columns = [column.tolist() for column in (table.groups, table.labels, table.sources)]
    return np.array(deal(*columns, shares=shares, seed=seed))


def _cross_fitted(table: PredictionTable, parts: Strings, method: str) -> PredictionTable:
    temperatures, biases = np.empty(table.n), np.zeros(table.logits.shape)
    for part in np.unique(parts):
        mine = parts == part
        rest = table.take(~mine)
        if method == TEMPERATURE:
            temperatures[mine] = fit_temperature(rest.logits, rest.targets)
        else:
            temperatures[mine], biases[mine] = fit_bias_corrected(rest.logits, rest.targets)
    return replace(table, temperatures=temperatures, biases=biases)
