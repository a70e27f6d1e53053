"""One report over the held-out answers of all folds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.manifest import Manifest
from slicewise.errors import TrainingError
from slicewise.evaluation.report import Refusals, ReportContext, write_metrics, write_pages
from slicewise.evaluation.sections.cross_validation import (
    Compared,
    calibration_section,
    compare_calibrations,
    draw_calibration,
    folds_section,
    metrics_by_fold,
    metrics_over_folds,
)
from slicewise.evaluation.seen import neighbour_correct
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Failure
from slicewise.inference.bundle import load_bundle
from slicewise.inference.rule import DecisionRule, OutOfDistribution
from slicewise.predictions.table import PredictionTable, pooled
from slicewise.progress import track
from slicewise.training.config import RunConfig
from slicewise.training.crossval.rule_across_folds import measured_across_folds, rule_section
from slicewise.training.loop.train import METRICS_NAME, write_report

FOLDER = "cross_validation"
CALIBRATION_PICTURE = "calibration.png"


def pool(
    config: RunConfig,
    manifest: Manifest,
    tables: Sequence[PredictionTable],
    names: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """Measure the held-out answers of every fold together, in `runs/NAME/cross_validation`.

    Beside the figures of any report: those of each fold, their spread over the folds, and a
    comparison of calibrations on groups that did not fit them, and what the rule of the final model
    is worth on folds that did not fit it.

    Args:
        tables: What each fold's model answered for it.

    Raises:
        TrainingError: A fold has no report.
    """
    reports = {name: _fold_report(config, name) for name in names}
    folder, table = config.folder / FOLDER, pooled(tables)
    unfitted = _unfitted(config, names)
    context = ReportContext(
        split=f"cross-validation over {config.folds.name} {', '.join(names)}",
        command=command,
        bundle=None,
        threshold_rule=_threshold_rule(config, tables[0].negative_class, unfitted),
        threshold_fitted=not unfitted,
        refusals=_refusals(list(reports.values()), names),
        promised_coverage=None if table.sets is None else config.bundle.refusal.coverage,
    )
    neighbour = _neighbours(config, manifest, tables)
    report = write_metrics(table, folder, context, neighbour=neighbour)
    compared = compare_calibrations(table)
    report |= {
        "folds": metrics_by_fold(reports),
        "over_folds": metrics_over_folds(reports),
        "calibration_comparison": compared.as_json(),
        "rule_across_folds": measured_across_folds(tables, _limits(config, names), config.bundle),
    }
    write_report(report, folder / METRICS_NAME)
    picture = _picture(compared, config.bundle.calibration, folder / CALIBRATION_PICTURE)
    sections = (
        folds_section(report),
        calibration_section(report["calibration_comparison"], picture),
        rule_section(report["rule_across_folds"]),
    )
    write_pages(table, report, folder, plots=True, more=sections)
    return report


def _picture(compared: Compared, method: str, path: Path) -> Path | None:
    """The drawn reliability before and after a calibration; None where it could not be fitted."""
    path.unlink(missing_ok=True)
    if method in compared.failed:
        return None
    draw_calibration(compared, method, path)
    return path


def _fold_report(config: RunConfig, name: str) -> dict[str, Any]:
    """What was written when a fold was evaluated."""
    path = config.folder / f"fold-{name}" / "evaluation" / METRICS_NAME
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: expected the report of fold {name}; got {error}") from error
    return report


def _refusals(reports: Sequence[dict[str, Any]], names: Sequence[str]) -> Refusals:
    """What the folds left out, together."""
    refused = [report["refused"] for report in reports]
    checks = (f"fold {n}: {each['seen']['check']}" for n, each in zip(names, refused, strict=True))
    return Refusals(
        tuple(path for each in refused for path in each["seen"]["paths"]),
        "; ".join(checks),
        tuple(Failure(**error) for each in refused for error in each["failed"]["errors"]),
        checked=all(each["seen"].get("checked", True) for each in refused),
    )


def _unfitted(config: RunConfig, names: Sequence[str]) -> list[str]:
    """The folds whose validation slices could not give a threshold."""
    return [n for n, rule in _rules(config, names).items() if rule.operating_point is None]


def _threshold_rule(config: RunConfig, negative: str | None, unfitted: Sequence[str]) -> str:
    if negative is None:
        return "the task has no class without a tumor"
    rule = config.bundle.operating_point.rule
    return f"{rule}; not fitted in fold {', '.join(unfitted)}: 0.5 assumed" if unfitted else rule


def _limits(config: RunConfig, names: Sequence[str]) -> list[OutOfDistribution | None]:
    return [rule.out_of_distribution for rule in _rules(config, names).values()]


def _rules(config: RunConfig, names: Sequence[str]) -> dict[str, DecisionRule]:
    """The decision rule of each fold's own model."""
    bundles = {name: load_bundle(config.folder / f"fold-{name}" / "bundle") for name in names}
    return {name: bundle.info.decision for name, bundle in bundles.items()}


def _neighbours(config: RunConfig, manifest: Manifest, tables: Sequence[PredictionTable]) -> Bools:
    """Whether the nearest slice of the other folds has the same label, fold by fold."""
    small = {
        row.path: thumbnail(read_slice(str(manifest.resolve(row))).pixels)
        for row in track(manifest.rows, "Nearest neighbours")
    }
    labels = {row.path: row.label for row in manifest.rows}
    parts = []
    for table in tables:
        asked = [str(path) for path in table.paths]
        mine = frozenset(asked)
        own = {row.extra[config.folds.name] for row in manifest.rows if row.path in mine}
        known = [r.path for r in manifest.rows if r.extra[config.folds.name] not in own]
        parts.append(
            neighbour_correct(
                _stack(small, asked),
                [labels[p] for p in asked],
                _stack(small, known),
                [labels[p] for p in known],
            )
        )
    return np.concatenate(parts)


def _stack(small: dict[str, NDArray[np.float32]], paths: Sequence[str]) -> NDArray[np.float32]:
    return np.stack([small[path] for path in paths])
