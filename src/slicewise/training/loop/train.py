"""`slicewise train`: one run from a manifest to a bundle with its own metrics inside."""

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
from slicewise.inference.bundle import INFO_NAME, MODEL_NAME, TRUST_NAME, load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.rule import DecisionRule
from slicewise.training.config import RunConfig, load_config, save_config
from slicewise.training.export.bundling import (
    DRAFT,
    Product,
    draft,
    exported,
    make_product,
    write_product,
)
from slicewise.training.export.graph import without_origin
from slicewise.training.loop.checkpoints import trained_network
from slicewise.training.loop.checks import (
    BUNDLE,
    CONFIG_NAME,
    MANIFEST_NAME,
    claim,
    is_finished,
    require_trainable,
)
from slicewise.training.loop.log import announce
from slicewise.training.loop.run import fit, prepare

Measure = Callable[[Classifier, Manifest], dict[str, Any]]
"""Measures a finished model: classifier and manifest to the evaluation of its bundle."""

METRICS_NAME = "metrics.json"
EVALUATION = "evaluation"
PARTIAL = "partial"

VALIDATION_ONLY = (
    "Measured on the validation split, which also chose the epoch and fitted calibration, "
    "threshold, prediction sets, acceptance and out-of-distribution limits: expect less on new "
    "patients."
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
    measures = own_measures(command)
    return train_manifest(config, task, manifest, config.folder, command, measures, refit=refit)


def train_manifest(
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    folder: Path,
    command: str,
    measures: Callable[[Path], Measure],
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
    _publish(config, task, manifest, folder, command, measures, product)
    return bundle


def stored_graph(config: RunConfig, task: Task, folder: Path, manifest: Manifest) -> bytes:
    """The graph of a finished run: as its bundle has it, where that still fits.

    Notes on where it was made, which older versions left in it, are dropped.

    Raises:
        TrainingError: It has to be exported again, and there is no fitting checkpoint.
    """
    bundle = load_bundle(folder / BUNDLE)
    if bundle.info.weight_storage == config.bundle.weight_storage:
        return without_origin(bundle.files[MODEL_NAME])
    return exported(config, trained_network(config, task, folder), manifest)


def outdated(folder: Path, config: RunConfig, decision: DecisionRule | None) -> str | None:
    """Why the bundle of a finished run has to be written anew, in words; None where it stands.

    Args:
        config: What is asked for; all but `bundle` is as the run began.
        decision: What the bundle should decide by, where that was fitted elsewhere. Its
            out-of-distribution limits are not compared: they come from the network of the bundle.
    """
    before, now = (one.bundle.model_dump() for one in (load_config(folder / CONFIG_NAME), config))
    if changed := [f"bundle.{name}" for name in now if before[name] != now[name]]:
        return f"{', '.join(changed)} changed"
    bundle = load_bundle(folder / BUNDLE)
    if TRUST_NAME not in bundle.files:
        return "it remembers no training slices"
    if decision is None:
        return None
    own = bundle.info.decision.model_copy(
        update={"out_of_distribution": decision.out_of_distribution}
    )
    if own != decision:
        return "the held-out answers that its decision is fitted on changed"
    return None


def answerable(manifest: Manifest, task: Task) -> Manifest:
    """Without the slices of an unknown tumor type that would be validated or tested on."""
    untyped = {row.label for row in manifest.rows if len(task.possible(row.label)) > 1}
    rows = [row for row in manifest.rows if row.split == "train" or row.label not in untyped]
    return replace(manifest, rows=tuple(rows))


def _publish(
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    folder: Path,
    command: str,
    measures: Callable[[Path], Measure],
    product: Product,
) -> None:
    """Measure a product, then put report, bundle and configuration in place, the bundle whole."""
    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed while it wrote
    classifier = Classifier(draft(product, config, task, manifest))
    evaluation = measures(partial)(classifier, manifest)
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
    write_json(report, content)


def _differing(report: Path, bundle: Path) -> str | None:
    """That a report is of another bundle, in words, as after a kill between moving the two."""
    _stamp(report, bundle)
    if not report.is_file():
        return None
    measured = json.loads(report.read_text(encoding="utf-8"))["bundle"]["sha256"]
    return None if measured == _identity(bundle) else "its report is of another bundle"


def _identity(bundle: Path) -> str:
    return hashlib.sha256((bundle / INFO_NAME).read_bytes()).hexdigest()


def own_measures(command: str) -> Callable[[Path], Measure]:
    """Metrics of the test split, or from the validation split where there is no test split."""

    def in_folder(folder: Path) -> Measure:
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
    """The part of `metrics.json` that a bundle carries: metrics and what was refused, no paths."""
    kept = {key: value for key, value in report.items() if key not in {"bundle", "refused"}}
    kept.pop("seen_evaluated", None)
    refused = {kind: entry["count"] for kind, entry in report["refused"].items()}
    return {"description": description, **kept, "refused": refused}
