"""A trained network to a bundle: graph, decision rule, ood and trust, fingerprints, card."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from slicewise import __version__
from slicewise.data.duplicates.fingerprint import concatenate
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.errors import EvaluationError
from slicewise.inference.bundle import (
    CARD_NAME,
    MODEL_NAME,
    OOD_NAME,
    SEEN_NAME,
    TRUST_NAME,
    Bundle,
    BundleInfo,
    Origin,
    Preprocessing,
    TaskInfo,
    write_bundle,
)
from slicewise.inference.classifier import Classifier
from slicewise.inference.measured import Evaluation
from slicewise.inference.rule import STUDY_RULES, DecisionRule
from slicewise.training.config import RunConfig
from slicewise.training.data.dataset import DecodedSlices, load_split
from slicewise.training.export.card import model_card
from slicewise.training.export.decision_fit import fit_decision
from slicewise.training.export.evidence import evidence_of, fit_refusal
from slicewise.training.export.graph import onnx_bytes, rounded
from slicewise.training.export.quantize import calibration_images, quantized
from slicewise.training.loop.log import announce
from slicewise.training.network.model import SliceNet

DRAFT = "draft"
"""Identity of a bundle that is not written yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Everything of a bundle but its metrics.

    Args:
        files: Content of the bundle's files by name, but for the card; `ood.npz` only where
            limits could be fitted.
    """

    decision: DecisionRule
    files: Mapping[str, bytes]


def exported(config: RunConfig, network: SliceNet, manifest: Manifest) -> bytes:
    """A network as `model.onnx`, with the weights as the bundle stores them.

    Args:
        manifest: With the splits that were used: training slices give the scales of `int8`.
    """
    storage, size = config.bundle.weight_storage, config.preprocessing.size
    if storage == "int8":
        graph = onnx_bytes(rounded(network, "float32"), size, "float32")
        return quantized(graph, calibration_images(load_split(config, manifest, "train")))
    return onnx_bytes(rounded(network, storage), size, storage)


def make_product(
    config: RunConfig,
    task: Task,
    graph: bytes,
    manifest: Manifest,
    decision: DecisionRule | None = None,
) -> Product:
    """Everything that is fitted to an exported graph, the content of `model.onnx`.

    Args:
        decision: Fitted elsewhere, but for the out-of-distribution limits, which belong to
            this graph; None to fit it on the validation split.
    """
    bare = Product(DecisionRule(), {MODEL_NAME: graph})
    classifier = Classifier(draft(bare, config, task, manifest))
    # What the model has seen: one split trained its weights, the other chose epoch and threshold.
    development = [load_split(config, manifest, name) for name in ("train", "val")]
    workers = config.trainer.workers
    train, validation = (evidence_of(classifier, slices, workers) for slices in development)
    trust = train.trust_reference(task.classes, config.seed)
    if decision is None:
        table = validation.table(classifier, trust)
        decision = fit_decision(table, "the validation split", config.bundle)
    files = {
        **bare.files,
        SEEN_NAME: seen_fingerprints(development),
        TRUST_NAME: trust.to_bytes(),
    }
    limits = None
    try:
        refusal = config.bundle.refusal
        ood, limits = fit_refusal(classifier, validation, train, refusal, config.seed, workers)
        files[OOD_NAME] = ood.to_bytes()
    except EvaluationError as error:
        announce(f"NO OUT-OF-DISTRIBUTION LIMITS, every answer is left for review: {error}")
    return Product(decision.model_copy(update={"out_of_distribution": limits}), files)


def seen_fingerprints(parts: Sequence[DecodedSlices]) -> bytes:
    """`seen.npz` of all slices of the parts."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / SEEN_NAME
        concatenate([part.fingerprints for part in parts]).save(path)
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
    """Write a bundle into a new or empty folder and return its identity.

    Args:
        evaluation: Metrics as in `metrics.json`, with a `description` of what they were
            measured on.
    """
    info = _info(product, config, task, manifest, evaluation)
    card = model_card(info, manifest, commands, config.model.frozen_stages)
    return write_bundle(folder, info, {**product.files, CARD_NAME: card.encode()})


def draft(product: Product, config: RunConfig, task: Task, manifest: Manifest) -> Bundle:
    """The same bundle in memory before its metrics are known, to measure them with."""
    info = _info(product, config, task, manifest, {})
    return Bundle(info, DRAFT, dict(product.files))


def _info(
    product: Product, config: RunConfig, task: Task, manifest: Manifest, evaluation: dict[str, Any]
) -> BundleInfo:
    return BundleInfo(
        name=config.name,
        version=config.bundle.version,
        task=TaskInfo(name=task.name, classes=task.classes, negative_class=task.negative_class),
        preprocessing=Preprocessing(**config.preprocessing.model_dump(), channels=("grey",)),
        study=STUDY_RULES,
        decision=product.decision,
        evaluation=Evaluation.model_validate(evaluation),
        origin=_origin(config, manifest),
        weight_storage=config.bundle.weight_storage,
        licences=config.bundle.licences,
        intended_use=config.bundle.intended_use,
        files={},
    )


def _origin(config: RunConfig, manifest: Manifest) -> Origin:
    training, weights = manifest.subset("train").rows, config.model.weights
    start = "random initialisation" if weights is None else f"the weights of {weights.name}"
    now = datetime.datetime.now(datetime.UTC)
    written = config.model_dump_json().encode()
    return Origin(
        run_id=f"{config.name}-{hashlib.sha256(written).hexdigest()[:12]}",
        architecture=config.model.name,
        started_from=config.bundle.started_from or start,
        manifest_sha256=manifest.sha256,
        training_slices=len(training),
        training_groups=len({row.group for row in training}),
        created=now.isoformat(timespec="seconds"),
        slicewise_version=__version__,
    )
