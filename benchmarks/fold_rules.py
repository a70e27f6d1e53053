"""The decision rule of a final model, fitted without the fold that is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slicewise.inference.rule import DecisionRule
from slicewise.predictions.files import read_predictions
from slicewise.predictions.table import pooled
from slicewise.training.config import BundleConfig
from slicewise.training.export.decision_fit import fit_decision


def rule_of_folds(
    folds: Sequence[Path], negative_class: str | None, settings: BundleConfig
) -> DecisionRule:
    """What the final model's rule would be if only these folds had been held out.

    Args:
        folds: Folders of finished folds, with `evaluation/predictions.csv` inside.
        negative_class: The class without a tumor, if the task has one.
        settings: How rules are fitted.
    """
    files = [folder / "evaluation" / "predictions.csv" for folder in folds]
    tables = [read_predictions(file, negative_class) for file in files]
    return fit_decision(pooled(tables), "held-out folds", settings)
