"""The files of an evaluation: `metrics.json`, `predictions.csv` and the pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.evaluation.bootstrap import Bootstrap, Estimate
from slicewise.evaluation.checks import Bools
from slicewise.evaluation.plots import require_plots, write_plots
from slicewise.evaluation.predictions import PredictionTable
from slicewise.evaluation.predictions_csv import write_predictions
from slicewise.evaluation.summary import summarise
from slicewise.imaging.slice import Failure
from slicewise.inference.decision import BundleReference

SEEN_NOTICE = "Includes slices the model was trained on (--allow-seen)"


@dataclass(frozen=True, slots=True)
class Refusals:
    """Slices that were left out, or would have been.

    Args:
        seen: Paths of slices with a duplicate among those the model was trained on.
        seen_check: What they were compared with, or why they were not, in words.
        failed: Slices that could not be read.
        allow_seen: Whether the seen slices were evaluated all the same.
    """

    seen: tuple[str, ...]
    seen_check: str
    failed: tuple[Failure, ...] = ()
    allow_seen: bool = False

    def as_json(self) -> dict[str, Any]:
        """The fields of `metrics.json` that tell of them."""
        listed = {"count": len(self.seen), "paths": list(self.seen), "check": self.seen_check}
        none = {"count": 0, "paths": [], "check": self.seen_check}
        failed = {"count": len(self.failed), "errors": [asdict(failure) for failure in self.failed]}
        if not self.allow_seen:
            return {"allow_seen": False, "refused": {"seen": listed, "failed": failed}}
        refused = {"seen": none, "failed": failed}
        return {"allow_seen": True, "refused": refused, "seen_evaluated": listed}


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a table of predictions does not say about itself.

    Args:
        split: Which slices these are, such as `test`.
        command: The command that makes this report again.
        bundle: The model that answered; None where several did.
        threshold_rule: How the thresholds of the table were chosen, in words.
        refusals: What was left out.
    """

    split: str
    command: str
    bundle: BundleReference | None
    threshold_rule: str
    refusals: Refusals


def report_from_predictions(
    table: PredictionTable,
    out_dir: Path,
    context: ReportContext,
    *,
    neighbour: Bools | str,
    bootstrap: Bootstrap | None = None,
    plots: bool = True,
) -> dict[str, Any]:
    """Measure a table and write its report.

    Args:
        table: What was answered, with fitted temperatures and thresholds where there are any.
        out_dir: Folder for the files; made where missing, files of the same name are replaced.
        context: Where the table comes from.
        neighbour: (N,) whether the nearest training slice has the same label, or in words why that
            is not known.
        bootstrap: How intervals are made; 1000 resamples, 95 %, seed 42 where None.
        plots: Whether to draw the pictures.

    Returns:
        What was written to `metrics.json`.

    Raises:
        MissingExtraError: If pictures are wanted and matplotlib is not installed; nothing is
            written then.
    """
    if plots:
        require_plots()
    method = bootstrap or Bootstrap()
    refusals = context.refusals
    report = {
        "split": context.split,
        "command": context.command,
        "bundle": None if context.bundle is None else asdict(context.bundle),
        **refusals.as_json(),
        "interval": {"method": "group bootstrap, percentiles", **asdict(method)},
        **summarise(table, method, neighbour),
    }
    report["tumor"]["threshold"] = _threshold(table, context.threshold_rule)
    out_dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (out_dir / "metrics.json").write_text(text, encoding="utf-8")
    write_predictions(table, out_dir / "predictions.csv", seen=frozenset(refusals.seen))
    if plots:
        write_plots(table, out_dir, SEEN_NOTICE if refusals.allow_seen else None)
    return report


def figure_text(estimate: Mapping[str, Any]) -> str:
    """A figure of `metrics.json` for people: `0.912 (0.890-0.931)`, or why there is none."""
    if estimate["value"] is None:
        return f"not available: {estimate.get('reason', 'undefined')}"
    if estimate["ci_low"] is None:
        return f"{estimate['value']:.3f} (no interval: {estimate.get('reason', 'undefined')})"
    return f"{estimate['value']:.3f} ({estimate['ci_low']:.3f}-{estimate['ci_high']:.3f})"


def _threshold(table: PredictionTable, rule: str) -> dict[str, Any]:
    """The threshold, in the shape of the other figures; it is given, so it has no interval."""
    if table.negative_class is None or table.thresholds is None:
        return Estimate(None, reason=rule).as_json()
    values = np.unique(table.thresholds)
    if values.size > 1:
        spread = f"{values.size} models, {values[0]:.3f} to {values[-1]:.3f}; {rule}"
        return Estimate(None, reason=spread).as_json()
    return Estimate(float(values[0]), reason=f"set before this evaluation; {rule}").as_json()
