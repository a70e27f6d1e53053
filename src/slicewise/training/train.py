"""`slicewise train`: one run from a manifest to a bundle with its own figures inside."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.evaluation.evaluate import evaluate
from slicewise.inference.bundle import INFO_NAME
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import DecisionRule
from slicewise.training.bundling import DRAFT, draft, make_product, write_product
from slicewise.training.config import RunConfig
from slicewise.training.run import MANIFEST_NAME, claim, fit, prepare

Figures = Callable[[Classifier, Manifest], dict[str, Any]]
"""Measures a finished model: classifier and manifest to the evaluation of its bundle."""

METRICS_NAME = "metrics.json"

VALIDATION_ONLY = (
    "Measured on the validation split, which also chose the epoch and fitted temperature and "
    "threshold: expect less on new patients."
)
HELD_OUT = "Measured once on the test split, whose groups took no part in training or fitting."


def train(config: RunConfig, task: Task, command: str) -> Path:
    """Train on the splits of the manifest and write `runs/NAME/bundle`; resumes by itself.

    Args:
        config: The run.
        task: The classes.
        command: The command that does this again.

    Raises:
        TrainingError: The data or the configuration do not allow it, or training diverged.
    """
    manifest = Manifest.read(config.data.manifest)
    return train_manifest(config, task, manifest, config.folder, command, own_figures(command))


def train_manifest(
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    folder: Path,
    command: str,
    figures: Callable[[Path], Figures],
    decision: DecisionRule | None = None,
) -> Path:
    """Train on the splits of a manifest into a folder, unless its bundle is there already.

    Args:
        config: The run.
        task: The classes.
        manifest: With the splits to use.
        folder: Where everything goes.
        command: The command that does this again.
        figures: Given the folder, measures the finished model.
        decision: Fitted elsewhere; None to fit it on the validation split.

    Raises:
        LeakageError: A group stands in two splits.
        TrainingError: The folder holds a run of another configuration or of other slices, or
            training failed.
    """
    claim(folder, config)
    _keep_manifest(manifest, folder / MANIFEST_NAME)
    bundle = folder / "bundle"
    if (bundle / INFO_NAME).is_file():
        _stamp(folder / "evaluation" / METRICS_NAME, bundle)
        return bundle
    splits = prepare(config, task, manifest)
    network = fit(config, len(task.classes), splits, folder)
    product = make_product(config, task, network, manifest, splits, decision)
    classifier = Classifier(draft(product, config, task, manifest))
    evaluation = figures(folder)(classifier, manifest)
    partial = folder / "bundle.partial"
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed while it wrote
    write_product(partial, product, config, task, manifest, evaluation, {"Training": command})
    partial.rename(bundle)
    _stamp(folder / "evaluation" / METRICS_NAME, bundle)
    return bundle


def _stamp(report: Path, bundle: Path) -> None:
    """Write the identity of a bundle into the report that was made before it had one."""
    if not report.is_file():
        return
    content = json.loads(report.read_text(encoding="utf-8"))
    if content["bundle"]["sha256"] != DRAFT:
        return
    content["bundle"]["sha256"] = hashlib.sha256((bundle / INFO_NAME).read_bytes()).hexdigest()
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    partial = report.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(report)


def _keep_manifest(manifest: Manifest, path: Path) -> None:
    """Write the slices of a new run beside it; a run is not taken up again with other slices."""
    if not path.is_file():
        manifest.write(path)
    elif Manifest.read(path).sha256 != manifest.sha256:
        raise TrainingError(
            f"{path.parent} holds a run on other slices, labels, groups or splits; choose another "
            "name, or remove the folder"
        )


def own_figures(command: str) -> Callable[[Path], Figures]:
    """Figures from the test split, or from the validation split where there is no test split."""

    def in_folder(folder: Path) -> Figures:
        def measure(classifier: Classifier, manifest: Manifest) -> dict[str, Any]:
            held_out = bool(manifest.subset("test").rows)
            report = evaluate(
                manifest,
                classifier,
                folder / "evaluation",
                command=command,
                split="test" if held_out else "val",
                allow_seen=not held_out,
            )
            return summary(report, HELD_OUT if held_out else VALIDATION_ONLY)

        return measure

    return in_folder


def summary(report: dict[str, Any], description: str) -> dict[str, Any]:
    """The part of `metrics.json` that a bundle carries: figures and what was refused, no paths."""
    kept = {key: value for key, value in report.items() if key not in {"bundle", "refused"}}
    kept.pop("seen_evaluated", None)
    refused = {kind: entry["count"] for kind, entry in report["refused"].items()}
    return {"description": description, **kept, "refused": refused}
