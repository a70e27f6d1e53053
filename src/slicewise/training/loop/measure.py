"""What is measured of a run for its bundle, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicewise.data.manifest import Manifest
from slicewise.errors import SeenError
from slicewise.evaluation.evaluate import evaluate
from slicewise.inference.classifier import Classifier
from slicewise.training.config import RunConfig
from slicewise.training.loop.callbacks import announce

VALIDATION_ONLY = (
    "Measured on the validation split, which also chose the epoch and fitted calibration, "
    "threshold, prediction sets, acceptance and out-of-distribution limits: expect less on new "
    "patients."
)
LEAKED = (
    " But {count} of the {n} slices are copies of slices that were trained on, or others of their "
    "patients (bundle.allow_seen): the metrics are too good."
)
HELD_OUT = "Measured on the test split, whose groups took no part in training or fitting."


def measured(
    config: RunConfig, classifier: Classifier, manifest: Manifest, folder: Path, command: str
) -> dict[str, Any]:
    """Metrics of the test split, or of the validation split where there is no test split.

    Test slices that all turn out to be seen are measured all the same, with a notice.
    """
    held_out = bool(manifest.subset("test").rows)
    split, allow_seen = "test" if held_out else "val", config.bundle.allow_seen or not held_out

    def measure(*, allow_seen: bool) -> dict[str, Any]:
        return evaluate(
            manifest, classifier, folder, command=command, split=split, allow_seen=allow_seen
        )

    try:
        report = measure(allow_seen=allow_seen)
    except SeenError as error:  # by pixels, which no check before the training can know
        announce(f"MEASURED ON SLICES THAT WERE SEEN, no others are left to test on: {error}")
        report = measure(allow_seen=True)
    return summary(report, HELD_OUT + leaked(report) if held_out else VALIDATION_ONLY)


def leaked(report: dict[str, Any]) -> str:
    """That a report counts slices whose patients were trained on; empty where it does not."""
    kinds = ("seen_evaluated", "same_patients_evaluated")
    count = sum(report[kind]["count"] for kind in kinds if kind in report)
    return LEAKED.format(count=count, n=report["n"]) if count else ""


def summary(report: dict[str, Any], description: str) -> dict[str, Any]:
    """The part of `metrics.json` that a bundle carries: metrics and what was refused, no paths."""
    left_out = {"bundle", "refused", "seen_evaluated", "same_patients_evaluated"}
    kept = {key: value for key, value in report.items() if key not in left_out}
    refused = {kind: entry["count"] for kind, entry in report["refused"].items()}
    return {"description": description, **kept, "refused": refused}
