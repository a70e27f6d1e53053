"""What the decision rule of a final model is worth: fitted on some folds, measured on the other.

The final model carries a rule fitted on the held-out answers of all folds. Here each fold is
decided by a rule fitted in the same way on the held-out answers of the other folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slicewise.evaluation.answering import with_verdicts
from slicewise.evaluation.summary import (
    decision_counts,
    decision_quantities,
    nested,
    overall_quantities,
    set_quantities,
    tumor_quantities,
)
from slicewise.inference.decision import Reason
from slicewise.inference.rule import OutOfDistribution
from slicewise.predictions.table import JOINT, PredictionTable, pooled
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals
from slicewise.stats.intervals import share_of
from slicewise.text import cell_text
from slicewise.training.bundle_config import BundleConfig
from slicewise.training.export.decision_fit import fit_decision

GATES = frozenset(
    {
        Reason.POSSIBLY_OUT_OF_DISTRIBUTION,
        Reason.OUT_OF_DISTRIBUTION,
        Reason.COLOUR_PICTURE,
        Reason.NOT_MR,
        Reason.BLANK_IMAGE,
    }
)
"""Reasons that lie in the picture; they come from each fold's own model."""

TEXT = (
    "The final model carries calibration, threshold, prediction sets and the limit of acceptance, "
    "fitted on the held-out answers of all folds. Here each fold was decided by what was fitted in "
    "the same way on the held-out answers of the other folds; limits on unlike pictures are those "
    "of each fold's own model."
)
SHOWN = {
    "expected calibration error": ("ece",),
    "Brier score": ("brier",),
    "sets that hold the true class": ("conformal", "coverage"),
    "mean size of the sets": ("conformal", "set_size"),
    "accepted": ("decisions", "accept", "share"),
    "right among accepted": ("decisions", "accept", "accuracy"),
    "rejected": ("decisions", "reject", "share"),
    "refused for what is in the picture": ("refused_as_unlike",),
    "tumor sensitivity": ("tumor", "sensitivity"),
    "tumor specificity": ("tumor", "specificity"),
}


def measured_across_folds(
    tables: Sequence[PredictionTable],
    limits: Sequence[OutOfDistribution | None],
    settings: BundleConfig,
) -> dict[str, Any]:
    """Figures of the pooled answers, each fold decided by the rule of the others.

    Args:
        tables: Held-out answers of each fold, with the reasons its own model gave.
        limits: Of each fold's model on unlike pictures.
    """
    decided = [decided_by_others(tables, index, own, settings) for index, own in enumerate(limits)]
    table = pooled(decided)
    refused = np.array([bool(_gates(text)) for text in _reasons(table)])
    quantities: dict[Key, Quantity] = {
        **overall_quantities(table),
        **tumor_quantities(table),
        **decision_quantities(table),
        **set_quantities(table),
        ("refused_as_unlike",): share_of(refused),
    }
    found = nested(group_intervals(quantities, table.groups, table.labels, Bootstrap()))
    found["decisions"] |= decision_counts(table)
    return {"n": table.n, "groups": table.n_groups, **found}


def decided_by_others(
    tables: Sequence[PredictionTable],
    index: int,
    limits: OutOfDistribution | None,
    settings: BundleConfig,
) -> PredictionTable:
    """The answers of one fold under the rule fitted on those of the others.

    Args:
        tables: Held-out answers of each fold.
    """
    others = [table for i, table in enumerate(tables) if i != index]
    rule = fit_decision(pooled(others), "the other folds", settings)
    rule = rule.model_copy(update={"out_of_distribution": limits})
    gates = [_gates(text) for text in _reasons(tables[index])]
    return with_verdicts(tables[index], rule, gates)


def rule_section(figures: Mapping[str, Any]) -> Section:
    """The figures of `measured_across_folds` as a part of a report."""
    rows = tuple((name, cell_text(_at(figures, key))) for name, key in SHOWN.items())
    return Section.of("The rule of the final model", TEXT, ("metric", "value (interval)"), rows)


def _gates(joined: str) -> list[Reason]:
    return [Reason(name) for name in joined.split(JOINT) if name in GATES]


def _reasons(table: PredictionTable) -> list[str]:
    return [""] * table.n if table.reasons is None else table.reasons.tolist()


def _at(figures: Mapping[str, Any], key: Sequence[str]) -> Mapping[str, Any]:
    for name in key:
        figures = figures[name]
    return figures
