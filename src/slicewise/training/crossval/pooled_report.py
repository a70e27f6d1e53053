"""One report over the held-out answers of all folds, and what the rule of the final model is worth:
that is fitted on all of them; here each fold is decided by a rule fitted alike on the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np

from slicewise.arrays import Array, Bools
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.manifest import Manifest
from slicewise.errors import TrainingError
from slicewise.evaluation.answering import with_verdicts
from slicewise.evaluation.report import Refusals, ReportContext, write_metrics, write_pages
from slicewise.evaluation.sections.cross_validation import (
    calibration_section,
    compare_calibrations,
    draw_calibration,
    folds_section,
    metrics_by_fold,
    metrics_over_folds,
)
from slicewise.evaluation.seen import neighbour_correct
from slicewise.evaluation.summary import (
    decision_counts,
    decision_quantities,
    nested,
    overall_quantities,
    set_quantities,
    tumor_quantities,
)
from slicewise.files import write_json
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Failure, InternalFailure
from slicewise.inference.bundle import load_bundle
from slicewise.inference.decision import Reason
from slicewise.inference.rule import OutOfDistribution
from slicewise.predictions.table import JOINT, PredictionTable, pooled
from slicewise.progress import track
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals
from slicewise.stats.intervals import share_of
from slicewise.text import cell_text
from slicewise.training.config import BundleConfig, RunConfig
from slicewise.training.export.decision_fit import fit_decision
from slicewise.training.loop.checks import BUNDLE
from slicewise.training.loop.train import EVALUATION, METRICS_NAME

FOLDER = "cross_validation"
CALIBRATION_PICTURE = "calibration.png"

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
    "the same way on the held-out answers of the other folds; out-of-distribution limits are those "
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
    "refused for what is in the picture": ("refused_as_ood",),
    "tumor sensitivity": ("tumor", "sensitivity"),
    "tumor specificity": ("tumor", "specificity"),
}


def pool(
    config: RunConfig,
    manifest: Manifest,
    tables: Sequence[PredictionTable],
    names: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """Measure the held-out answers of every fold together, in `runs/NAME/cross_validation`.

    Beside the metrics of any report: those of each fold, their spread over the folds, a comparison
    of calibrations on groups that did not fit them, and what the rule of the final model is worth.

    Raises:
        TrainingError: A fold has no report.
    """
    reports = {name: _fold_report(config, name) for name in names}
    rules = {n: load_bundle(config.fold_folder(n) / BUNDLE).info.decision for n in names}
    unfitted = [name for name, rule in rules.items() if rule.operating_point is None]
    folder, table = config.folder / FOLDER, pooled(tables)
    threshold = config.bundle.operating_point.rule
    if table.negative_class is None:
        threshold = "the task has no class without a tumor"
    elif unfitted:
        threshold += f"; not fitted in fold {', '.join(unfitted)}: 0.5 assumed"
    context = ReportContext(
        split=f"cross-validation over {config.folds.name} {', '.join(names)}",
        command=command,
        bundle=None,
        threshold_rule=threshold,
        threshold_fitted=not unfitted,
        refusals=_refusals(reports),
        promised_coverage=None if table.sets is None else config.bundle.refusal.coverage,
    )
    neighbour = _neighbours(config, manifest, tables)
    report = write_metrics(table, folder, context, neighbour=neighbour)
    compared = compare_calibrations(table)
    limits = [rule.out_of_distribution for rule in rules.values()]
    report |= {
        "folds": metrics_by_fold(reports),
        "over_folds": metrics_over_folds(reports),
        "calibration_comparison": compared.as_json(),
        "rule_across_folds": measured_across_folds(tables, limits, config.bundle),
    }
    write_json(folder / METRICS_NAME, report)
    picture, method = folder / CALIBRATION_PICTURE, config.bundle.calibration
    picture.unlink(missing_ok=True)
    if fitted := method not in compared.failed:
        draw_calibration(compared, method, picture)
    sections = (
        folds_section(report),
        calibration_section(report["calibration_comparison"], picture if fitted else None),
        rule_section(report["rule_across_folds"]),
    )
    write_pages(table, report, folder, plots=True, more=sections)
    return report


def measured_across_folds(
    tables: Sequence[PredictionTable],
    limits: Sequence[OutOfDistribution | None],
    settings: BundleConfig,
) -> dict[str, Any]:
    """Metrics of the pooled answers, each fold decided by the rule of the others; reasons in the
    tables and out-of-distribution limits are those of each fold's own model."""
    decided = [decided_by_others(tables, index, own, settings) for index, own in enumerate(limits)]
    table = pooled(decided)
    refused = np.array([bool(gates) for gates in _gates(table)])
    quantities: dict[Key, Quantity] = {
        **overall_quantities(table),
        **tumor_quantities(table),
        **decision_quantities(table),
        **set_quantities(table),
        ("refused_as_ood",): share_of(refused),
    }
    found = nested(group_intervals(quantities, table.groups, table.labels, Bootstrap()))
    found["decisions"] |= decision_counts(table)
    found["refused_as_unlike"] = found["refused_as_ood"]  # an older name
    return {"n": table.n, "groups": table.n_groups, **found}


def decided_by_others(
    tables: Sequence[PredictionTable],
    index: int,
    limits: OutOfDistribution | None,
    settings: BundleConfig,
) -> PredictionTable:
    """The answers of one of the folds under the rule fitted on those of the others."""
    others = [table for i, table in enumerate(tables) if i != index]
    rule = fit_decision(pooled(others), "the other folds", settings)
    rule = rule.model_copy(update={"out_of_distribution": limits})
    return with_verdicts(tables[index], rule, _gates(tables[index]))


def rule_section(metrics: Mapping[str, Any]) -> Section:
    """The metrics of `measured_across_folds` as a part of a report."""
    rows = tuple((name, cell_text(reduce(getitem, key, metrics))) for name, key in SHOWN.items())
    return Section.of("The rule of the final model", TEXT, ("metric", "value (interval)"), rows)


def _gates(table: PredictionTable) -> list[list[Reason]]:
    joined = [""] * table.n if table.reasons is None else table.reasons.tolist()
    return [[Reason(name) for name in text.split(JOINT) if name in GATES] for text in joined]


def _fold_report(config: RunConfig, name: str) -> dict[str, Any]:
    """What was written when a fold was evaluated."""
    path = config.fold_folder(name) / EVALUATION / METRICS_NAME
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: expected the report of fold {name}; got {error}") from error
    return report


def _refusals(reports: Mapping[str, dict[str, Any]]) -> Refusals:
    """What the folds left out, together; where one measured what was seen, only what all did."""
    refused = {name: report["refused"] for name, report in reports.items()}
    failed = [error for each in refused.values() for error in each["failed"]["errors"]]
    allowed = any(report["allow_seen"] for report in reports.values())
    seen, patients = (
        [report.get(f"{kind}_evaluated", {}) for report in reports.values()]
        if allowed
        else [each.get(kind, {}) for each in refused.values()]
        for kind in ("seen", "same_patients")
    )
    others = [each.get("same_patients", {}) for each in refused.values()]
    return Refusals(
        tuple(path for each in seen for path in each.get("paths", ())),
        "; ".join(f"fold {name}: {each['seen']['check']}" for name, each in refused.items()),
        tuple(
            (InternalFailure if "fault" in e else Failure)(e["source"], e["error"]) for e in failed
        ),
        allowed,
        patients=tuple(path for each in patients for path in each.get("paths", ())),
        checked=all(each["seen"].get("checked", True) for each in refused.values()),
        rules=sum((Counter(each.get("rules", {})) for each in patients), Counter[str]()),
        groups_checked=all(each.get("checked", True) for each in others),
        alike=sum(each.get("alike_in_name", 0) for each in others),
    )


def _neighbours(config: RunConfig, manifest: Manifest, tables: Sequence[PredictionTable]) -> Bools:
    """Whether the nearest slice of the other folds has the same label, fold by fold."""
    rows = {row.path: row for row in manifest.rows}
    small = {
        path: thumbnail(read_slice(manifest.resolve(row)).pixels)
        for path, row in zip(rows, track(manifest.rows, "Nearest neighbours"), strict=True)
    }

    def sides(paths: Sequence[str]) -> tuple[Array, list[str]]:
        return np.stack([small[path] for path in paths]), [rows[path].label for path in paths]

    parts = []
    for table in tables:
        asked = [str(path) for path in table.paths]
        own = {rows[path].extra[config.folds.name] for path in asked if path in rows}
        others = [path for path, row in rows.items() if row.extra[config.folds.name] not in own]
        parts.append(neighbour_correct(*sides(asked), *sides(others)))
    return np.concatenate(parts)
