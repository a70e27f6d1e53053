"""A trained network to a bundle: graph, decision rule, fingerprints, card."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import track

from slicewise import __version__
from slicewise.data.fingerprint import concatenate, fingerprint
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import (
    CARD_NAME,
    MODEL_NAME,
    SEEN_NAME,
    Bundle,
    BundleInfo,
    Origin,
    TaskInfo,
    write_bundle,
)
from slicewise.inference.decision import DecisionRule
from slicewise.training.card import model_card
from slicewise.training.config import RunConfig
from slicewise.training.decision_fit import fit_decision, prediction_table
from slicewise.training.graph import onnx_bytes, rounded
from slicewise.training.model import SliceNet
from slicewise.training.run import SplitData, logits_of

DRAFT = "draft"
"""Identity of a bundle that is not written yet."""

DEVELOPMENT = ("train", "val")
"""Splits a model has seen: one trained its weights, the other chose epoch and threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Everything of a bundle but its figures.

    Args:
        graph: Content of `model.onnx`.
        decision: Temperature and operating point.
        seen: Content of `seen.npz`.
    """

    graph: bytes
    decision: DecisionRule
    seen: bytes


def make_product(
    config: RunConfig,
    task: Task,
    network: SliceNet,
    manifest: Manifest,
    splits: dict[str, SplitData],
    decision: DecisionRule | None = None,
) -> Product:
    """Export a network and fit its decision rule with the weights as they will be stored.

    Args:
        config: The run.
        task: Its classes.
        network: What was trained.
        manifest: With the splits that were used.
        splits: The same slices, decoded.
        decision: Fitted elsewhere; None to fit it on the validation split.
    """
    stored = rounded(network, config.bundle.weight_storage)
    if decision is None:
        validation = splits["val"]
        table = prediction_table(task, validation, logits_of(stored, validation.images))
        decision = fit_decision(table, "the validation split")
    graph = onnx_bytes(stored, config.preprocessing.size, config.bundle.weight_storage)
    return Product(graph, decision, seen_fingerprints(manifest))


def seen_fingerprints(manifest: Manifest) -> bytes:
    """`seen.npz` of the train and validation slices of a manifest."""
    rows = [row for name in DEVELOPMENT for row in manifest.subset(name).rows]
    prints = [
        fingerprint(read_slice(str(manifest.resolve(row))).pixels)
        for row in track(rows, "Fingerprinting", console=Console(stderr=True))
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / SEEN_NAME
        concatenate(prints).save(path)
        return path.read_bytes()


def write_product(
    folder: Path,
    product: Product,
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    evaluation: dict[str, Any],
    commands: dict[str, str],
) -> str:
    """Write the bundle folder and return its identity.

    Args:
        folder: New or empty.
        product: From `make_product`.
        config: The run.
        task: Its classes.
        manifest: With the splits that were used.
        evaluation: Figures as in `metrics.json`, with a `description` of what they were
            measured on.
        commands: What reproduces model and figures, by what it does.
    """
    info = _info(product, config, task, manifest, evaluation)
    card = model_card(info, manifest, commands, config.model.frozen_stages)
    files = {MODEL_NAME: product.graph, SEEN_NAME: product.seen, CARD_NAME: card.encode()}
    return write_bundle(folder, info, files)


def draft(product: Product, config: RunConfig, task: Task, manifest: Manifest) -> Bundle:
    """The same bundle in memory before its figures are known, to measure them with."""
    info = _info(product, config, task, manifest, {})
    return Bundle(info, DRAFT, {MODEL_NAME: product.graph, SEEN_NAME: product.seen})


def _info(
    product: Product, config: RunConfig, task: Task, manifest: Manifest, evaluation: dict[str, Any]
) -> BundleInfo:
    return BundleInfo(
        name=config.name,
        version=config.bundle.version,
        task=TaskInfo(name=task.name, classes=task.classes, negative_class=task.negative_class),
        preprocessing=config.preprocessing,
        decision=product.decision,
        evaluation=evaluation,
        origin=_origin(config, manifest),
        weight_storage=config.bundle.weight_storage,
        licences=config.bundle.licences,
        intended_use=config.bundle.intended_use,
        files={},
    )


def _origin(config: RunConfig, manifest: Manifest) -> Origin:
    training = manifest.subset("train").rows
    now = datetime.datetime.now(datetime.UTC)
    written = config.model_dump_json().encode()
    return Origin(
        run_id=f"{config.name}-{hashlib.sha256(written).hexdigest()[:12]}",
        architecture=config.model.name,
        started_from=_start(config),
        manifest_sha256=manifest.sha256,
        training_slices=len(training),
        training_groups=len({row.group for row in training}),
        created=now.isoformat(timespec="seconds"),
        slicewise_version=__version__,
    )


def _start(config: RunConfig) -> str:
    if config.bundle.started_from:
        return config.bundle.started_from
    weights = config.model.weights
    return "random initialisation" if weights is None else f"the weights of {weights.name}"
