"""`slicewise train`: one run from a manifest to a bundle with its own figures inside."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.evaluation.evaluate import evaluate
from slicewise.files import write_json
from slicewise.inference.bundle import INFO_NAME
from slicewise.inference.classifier import Classifier
from slicewise.inference.rule import DecisionRule
from slicewise.training.config import RunConfig, save_config
from slicewise.training.export.bundling import (
    DRAFT,
    Product,
    draft,
    exported,
    make_product,
    write_product,
)
from slicewise.training.loop.callbacks import announce
from slicewise.training.loop.checks import require_trainable
from slicewise.training.loop.finished import BUNDLE, is_finished, outdated, stored_graph
from slicewise.training.loop.run import CONFIG_NAME, MANIFEST_NAME, claim, fit, prepare

Figures = Callable[[Classifier, Manifest], dict[str, Any]]
"""Measures a finished model: classifier and manifest to the evaluation of its bundle."""

METRICS_NAME = "metrics.json"
EVALUATION = "evaluation"
PARTIAL = "partial"

VALIDATION_ONLY = (
    "Measured on the validation split, which also chose the epoch and fitted calibration, "
    "threshold, prediction sets, acceptance and outlier limits: expect less on new patients."
)
HELD_OUT = "Measured on the test split, whose groups took no part in training or fitting."


def train(config: RunConfig, task: Task, command: str, *, refit: bool = False) -> Path:
    """Train on the splits of the manifest and write `runs/NAME/bundle`; resumes by itself.

    Args:
        refit: Write the bundle of a finished run anew from its checkpoint.

    Raises:
        TrainingError: The data or the configuration do not allow it, or training diverged.
    """
    manifest = Manifest.read(config.data.manifest)
    figures = own_figures(command)
    return train_manifest(config, task, manifest, config.folder, command, figures, refit=refit)


def train_manifest(
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    folder: Path,
    command: str,
    figures: Callable[[Path], Figures],
    decision: DecisionRule | None = None,
    *,
    refit: bool = False,
) -> Path:
    """Train on the splits of a manifest into a folder, unless its bundle is there already.

    A bundle that is there is left alone, unless the section `bundle` of the configuration or the
    decision given has changed, the report beside it is of another bundle, or `refit` asks for it:
    then it is made anew from the checkpoint.

    Args:
        folder: Where everything goes.
        decision: Fitted elsewhere; None to fit it on the validation split.

    Raises:
        LeakageError: A group stands in two splits.
        TrainingError: The folder holds a run of another configuration or of other slices, or
            training failed.
    """
    manifest = answerable(manifest, task)
    require_trainable(config, task, {folder: manifest})
    bundle = folder / BUNDLE
    if is_finished(folder):
        why = "a refit was asked for" if refit else outdated(folder, config, decision)
        why = why or _differing(folder / EVALUATION / METRICS_NAME, bundle)
        if why is None:
            return bundle
        announce(f"{folder}: {why}; its bundle is made anew, without training")
        graph = stored_graph(config, task, folder, manifest)
    else:
        splits = prepare(config, task, manifest)
        claim(folder, config)
        if not (folder / MANIFEST_NAME).is_file():
            manifest.write(folder / MANIFEST_NAME)
        graph = exported(config, fit(config, task, splits, folder), manifest)
    product = make_product(config, task, graph, manifest, decision)
    _publish(config, task, manifest, folder, command, figures, product)
    return bundle


def answerable(manifest: Manifest, task: Task) -> Manifest:
    """Without the slices of an untold tumor type that would be validated or tested on."""
    untold = {row.label for row in manifest.rows if len(task.possible(row.label)) > 1}
    rows = [row for row in manifest.rows if row.split == "train" or row.label not in untold]
    return replace(manifest, rows=tuple(rows))


def _publish(
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    folder: Path,
    command: str,
    figures: Callable[[Path], Figures],
    product: Product,
) -> None:
    """Measure a product, then put report, bundle and configuration in place, the bundle whole."""
    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed while it wrote
    classifier = Classifier(draft(product, config, task, manifest))
    evaluation = figures(partial)(classifier, manifest)
    commands = {"Training": command}
    write_product(partial / BUNDLE, product, config, task, manifest, evaluation, commands)
    _stamp(partial / EVALUATION / METRICS_NAME, partial / BUNDLE)
    for name in (EVALUATION, BUNDLE):
        if (partial / name).exists():
            _put(partial / name, folder / name, partial / f"{name}.old")
    shutil.rmtree(partial)
    save_config(config, folder / CONFIG_NAME)


def _put(new: Path, place: Path, aside: Path) -> None:
    """Move a folder to its place; what is there goes aside."""
    if place.exists():
        place.rename(aside)
    new.rename(place)


def _stamp(report: Path, bundle: Path) -> None:
    """Write the identity of a bundle into the report that was made before it had one."""
    if not report.is_file():
        return
    content = json.loads(report.read_text(encoding="utf-8"))
    if content["bundle"]["sha256"] != DRAFT:
        return
    content["bundle"]["sha256"] = _identity(bundle)
    write_report(content, report)


def _differing(report: Path, bundle: Path) -> str | None:
    """That a report is of another bundle, in words, as after a kill between moving the two."""
    _stamp(report, bundle)
    if not report.is_file():
        return None
    measured = json.loads(report.read_text(encoding="utf-8"))["bundle"]["sha256"]
    return None if measured == _identity(bundle) else "its report is of another bundle"


def _identity(bundle: Path) -> str:
    return hashlib.sha256((bundle / INFO_NAME).read_bytes()).hexdigest()


def write_report(content: dict[str, Any], path: Path) -> None:
    """Write `metrics.json`; an older one is replaced in one step."""
    write_json(path, content)


def own_figures(command: str) -> Callable[[Path], Figures]:
    """Figures from the test split, or from the validation split where there is no test split."""

    def in_folder(folder: Path) -> Figures:
        def measure(classifier: Classifier, manifest: Manifest) -> dict[str, Any]:
            held_out = bool(manifest.subset("test").rows)
            report = evaluate(
                manifest,
                classifier,
                folder / EVALUATION,
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
