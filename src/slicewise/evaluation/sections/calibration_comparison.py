"""Which calibration helps: each one measured on groups that took no part in fitting it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.arrays import Floats, Strings
from slicewise.data.build.splits import deal
from slicewise.errors import EvaluationError
from slicewise.evaluation.sections.plots import draw_reliability
from slicewise.evaluation.summary import difference, nested, undefined
from slicewise.fitting.calibration import fit_bias_corrected, fit_temperature
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.reports.plots import drawing
from slicewise.stats import metrics
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals
from slicewise.text import cell_text, change_text

UNCALIBRATED, TEMPERATURE, BIAS_CORRECTED = "uncalibrated", "temperature", "bias_corrected"
METHODS = (UNCALIBRATED, TEMPERATURE, BIAS_CORRECTED)
MEASURES = ("ece", "brier", "nll")
DESCRIPTION = (
    "Each calibration was fitted on {others} of {folds} parts of the groups and applied to the "
    "part left out, in turn. ECE is over 15 bins of equal mass; the calibration is held fixed "
    "where groups are resampled for the intervals."
)
_SMALLEST = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """The same answers under each calibration, each row by what was fitted without its group.

    Args:
        tables: By method that could be fitted.
        failed: By method that could not: why.
        folds: Into how many parts the groups were dealt.
    """

    tables: Mapping[str, PredictionTable]
    failed: Mapping[str, str]
    folds: int

    def as_json(self, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
        """ECE, Brier score and NLL of each, and what each gains over the one before it."""
        quantities: dict[Key, Quantity] = {}
        for method in METHODS:
            for name, quantity in self._quantities(method).items():
                quantities["methods", method, name] = quantity
        for before, after in pairwise(METHODS):
            for name in MEASURES:
                pair = quantities["methods", before, name], quantities["methods", after, name]
                quantities["change", f"{after}_minus_{before}", name] = difference(*pair)
        table = self.tables[UNCALIBRATED]
        found = group_intervals(quantities, table.groups, table.labels, bootstrap or Bootstrap())
        return {"description": self._description(), "parts": self.folds, **nested(found)}

    def _description(self) -> str:
        if len(self.failed) == len(METHODS) - 1:
            reasons = "; ".join(sorted(set(self.failed.values())))
            return f"No calibration could be fitted: {reasons}."
        return DESCRIPTION.format(others=self.folds - 1, folds=self.folds)

    def _quantities(self, method: str) -> dict[str, Quantity]:
        if method in self.failed:
            return dict.fromkeys(MEASURES, undefined(self.failed[method]))
        table = self.tables[method]
        probabilities, targets = table.probabilities(), table.targets
        losses = -np.log(np.maximum(probabilities[np.arange(table.n), targets], _SMALLEST))
        return {
            "ece": lambda i: metrics.ece(probabilities[i], targets[i]),
            "brier": lambda i: metrics.brier(probabilities[i], targets[i]),
            "nll": lambda i: float(losses[i].mean()),
        }


def compare_calibrations(table: PredictionTable, folds: int = 5, seed: int = 42) -> Compared:
    """Calibrate a table in each way, every group by what was fitted on other groups.

    Args:
        table: Answers for slices that no weight behind them was trained on.
        folds: Into how many parts the groups are dealt; fewer where a class has fewer groups.
    """
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
        (name.replace("_", " "), *(show(metrics[metric]) for metric in MEASURES))
        for part, show in (("methods", cell_text), ("change", partial(change_text, digits=4)))
        for name, metrics in comparison[part].items()
    ]
    return Section.of(
        "Which calibration helps",
        f"{comparison['description']} Smaller is better in every column; a change below 0 is a "
        "gain.",
        ("calibration", "ECE", "Brier score", "negative log likelihood"),
        rows,
        [picture] if picture else [],
    )


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
        temperatures[mine], biases[mine] = _fitted(table.take(~mine), method)
    return replace(table, temperatures=temperatures, biases=biases)


def _fitted(table: PredictionTable, method: str) -> tuple[float, Floats]:
    if method == TEMPERATURE:
        return fit_temperature(table.logits, table.targets), np.zeros(len(table.classes))
    return fit_bias_corrected(table.logits, table.targets)
