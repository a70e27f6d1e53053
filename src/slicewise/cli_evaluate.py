"""What `slicewise evaluate` prints."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from slicewise.cli_progress import steps
from slicewise.data.manifest import Manifest
from slicewise.evaluation.evaluate import evaluate
from slicewise.evaluation.report import SEEN_NOTICE, figure_text
from slicewise.inference.classifier import Classifier
from slicewise.inference.envelope import DISCLAIMER

HEADLINES = (
    "accuracy",
    "balanced_accuracy",
    "macro_auroc",
    "macro_f1",
    "ece",
    "brier",
    "memorisation_1nn",
)


def run_evaluate(
    manifest: Path, out: Path, bundle: Path | None, *, split: str, allow_seen: bool, as_json: bool
) -> str:
    """Evaluate and return what to print: the report as JSON, or its headlines.

    Args:
        manifest: CSV or Parquet.
        out: Folder for the files.
        bundle: Folder or zip; None for the bundled model.
        split: Which slices.
        allow_seen: Keep slices the model was trained on.
        as_json: Everything, as JSON.
    """
    classifier = Classifier.load(bundle)
    command = shlex.join(["slicewise", *sys.argv[1:]])
    with steps() as progress:
        report = evaluate(
            Manifest.read(manifest),
            classifier,
            out,
            command=command,
            split=split,
            allow_seen=allow_seen,
            progress=progress,
        )
    if as_json:
        return json.dumps(report, indent=2, ensure_ascii=False)
    return "\n".join([*_headlines(report), f"files: {out}", DISCLAIMER])


def _headlines(report: dict[str, Any]) -> list[str]:
    refused = {kind: entry["count"] for kind, entry in report["refused"].items()}
    lines = [
        f"{report['n']} slices in {report['groups']} groups; refused: "
        + ", ".join(f"{count} {kind}" for kind, count in refused.items())
    ]
    if report["allow_seen"]:
        lines.append(f"{SEEN_NOTICE}: {report['seen_evaluated']['count']}")
    return lines + [f"  {name:<20} {figure_text(report[name])}" for name in HEADLINES]
