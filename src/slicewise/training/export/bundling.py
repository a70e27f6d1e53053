"""A trained network to a bundle: what is fitted to its graph, and a card of what was measured."""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors.torch import save

from slicewise import __version__
from slicewise.data.duplicates.fingerprint import concatenate
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.errors import EvaluationError
from slicewise.evaluation.seen import joined_seen, seen_bytes, units_of
from slicewise.inference.bundle import (
    CARD_NAME,
    MODEL_NAME,
    OOD_NAME,
    SEEN_NAME,
    TRUST_NAME,
    WEIGHTS_NAME,
    Bundle,
    BundleInfo,
    Origin,
    Preprocessing,
    TaskInfo,
    load_bundle,
    write_bundle,
)
from slicewise.inference.classifier import Classifier
from slicewise.inference.measured import Evaluation, Measured, Spread
from slicewise.inference.rule import STUDY_RULES, DecisionRule, OperatingPoint
from slicewise.text import cell_text
from slicewise.training.config import RunConfig
from slicewise.training.data.dataset import DecodedSlices, load_split
from slicewise.training.export.decision_fit import evidence_of, fit_decision, fit_refusal
from slicewise.training.export.graph import calibration_images, onnx_bytes, quantized, rounded
from slicewise.training.loop.callbacks import announce
from slicewise.training.network.config import StrategyConfig
from slicewise.training.network.model import SliceNet
from slicewise.training.network.start import start_in_words

DRAFT = "draft"
"""Identity of a bundle that is not written yet."""

HEADLINES = (
    ("accuracy", "Accuracy"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("macro_auroc", "Macro AUROC"),
    ("macro_f1", "Macro F1"),
    ("ece", "Expected calibration error"),
    ("brier", "Brier score"),
    ("memorisation_1nn", "Pixel 1-NN accuracy on the same split (no learning)"),
)

_MOSTLY = 0.5
"""Sources of two kinds of slices are mostly different where they share less than this."""


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
    """A network as `model.onnx`, stored as wanted; training slices give the scales of `int8`."""
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
    fitted = {
        SEEN_NAME: seen_fingerprints(development, config.model.start),
        TRUST_NAME: trust.to_bytes(),
    }
    files, limits, refusal = {**bare.files, **fitted}, None, config.bundle.refusal
    try:
        ood, limits = fit_refusal(classifier, validation, train, refusal, config.seed, workers)
        files[OOD_NAME] = ood.to_bytes()
    except EvaluationError as error:
        announce(f"NO OUT-OF-DISTRIBUTION LIMITS, every answer is left for review: {error}")
    return Product(decision.model_copy(update={"out_of_distribution": limits}), files)


def seen_fingerprints(parts: Sequence[DecodedSlices], start: Path | None = None) -> bytes:
    """`seen.npz` of all slices of the parts, and of what the start bundle had seen."""
    units = [names for part in parts for names in units_of(part.manifest.rows, part.pixels)]
    seen = seen_bytes(concatenate([part.fingerprints for part in parts]), units)
    before = None if start is None else load_bundle(start).files.get(SEEN_NAME)
    return seen if before is None else joined_seen([seen, before])


def with_weights(product: Product, network: SliceNet) -> Product:
    """The same with the weights of the network, for `model.start` of other runs."""
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    return replace(product, files={**product.files, WEIGHTS_NAME: save(state)})


def write_product(
    folder: Path,
    product: Product,
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    evaluation: dict[str, Any],
    commands: dict[str, str],
) -> str:
    """Write a bundle into a new or empty folder, with metrics as in `metrics.json` and a
    `description` of what they were measured on; return its identity."""
    info = _info(product, config, task, manifest, evaluation)
    card = model_card(info, manifest, commands, config.model.frozen_stages, config.strategy)
    return write_bundle(folder, info, {**product.files, CARD_NAME: card.encode()})


def draft(product: Product, config: RunConfig, task: Task, manifest: Manifest) -> Bundle:
    """The same bundle in memory before its metrics are known, to measure them with."""
    info = _info(product, config, task, manifest, {})
    return Bundle(info, DRAFT, dict(product.files))


def _info(
    product: Product, config: RunConfig, task: Task, manifest: Manifest, evaluation: dict[str, Any]
) -> BundleInfo:
    training = manifest.subset("train").rows
    start, licences = start_in_words(config.model)
    written = config.model_dump_json().encode()
    origin = Origin(
        run_id=f"{config.name}-{hashlib.sha256(written).hexdigest()[:12]}",
        architecture=config.model.name,
        started_from=config.bundle.started_from or start,
        manifest_sha256=manifest.sha256,
        training_slices=len(training),
        training_groups=len({row.group for row in training}),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        slicewise_version=__version__,
    )
    return BundleInfo(
        name=config.name,
        version=config.bundle.version,
        task=TaskInfo(name=task.name, classes=task.classes, negative_class=task.negative_class),
        preprocessing=Preprocessing(**config.preprocessing.model_dump(), channels=("grey",)),
        study=STUDY_RULES,
        decision=product.decision,
        evaluation=Evaluation.model_validate(evaluation),
        origin=origin,
        weight_storage=config.bundle.weight_storage,
        licences={**licences, **config.bundle.licences},
        intended_use=config.bundle.intended_use,
        files={},
    )


def model_card(
    info: BundleInfo,
    manifest: Manifest,
    commands: dict[str, str],
    frozen_stages: int = 0,
    strategy: StrategyConfig | None = None,
) -> str:
    """Markdown for `MODEL_CARD.md`; the first `frozen_stages` of the network were not trained."""
    environment = Environment(
        loader=PackageLoader("slicewise.training.export", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (Markdown of our own metrics, shown to nobody as HTML)
    )
    environment.filters |= {"metric": _metric, "measured": _at_threshold, "cell": cell_text}
    return environment.get_template("card.md.j2").render(
        info=info,
        headlines=HEADLINES,
        counts=_counts(manifest),
        split={name: len(manifest.subset(name).rows) for name in ("val", "test")},
        commands=commands,
        trained=_trained(frozen_stages, strategy or StrategyConfig()),
        sources_differ=_sources_differ(manifest, info.task.negative_class),
        spreads=_spreads(info.evaluation),
    )


def _trained(frozen: int, strategy: StrategyConfig) -> str:
    """Which weights were trained, in words."""
    if strategy.name == "head":
        return "The backbone kept the start weights; what stands behind its pooling was trained."
    if strategy.name == "partial":
        count = "stage" if strategy.stages == 1 else f"{strategy.stages} stages"
        part = ", ".join(strategy.layers) or f"the last {count}"
        return f"Of the backbone {part} and no more was trained; the rest kept the start weights."
    count = "stage" if frozen == 1 else f"{frozen} stages"
    kept = (
        f"The first {count} kept the start weights; all other weights" if frozen else "All weights"
    )
    gradually = {"two_phase": ", at first the head alone", "progressive": ", stage by stage"}
    return f"{kept} were trained afterwards{gradually.get(strategy.name, '')}."


def _sources_differ(manifest: Manifest, negative: str | None) -> str | None:
    """How the sources of slices with and without a tumor differ; None where they hardly do."""
    with_tumor = Counter(row.source for row in manifest.rows if row.label != negative)
    without = Counter(row.source for row in manifest.rows if row.label == negative)
    if not (with_tumor and without):
        return None
    shared = sum(
        min(with_tumor[name] / with_tumor.total(), without[name] / without.total())
        for name in with_tumor
    )
    if not shared:
        return "from different sources throughout"
    return "mostly from different sources" if shared < _MOSTLY else None


def _metric(found: Measured | Spread | None) -> str:
    """`0.912 (0.890-0.931)`, or why there is none."""
    if found is None:
        return "not available"
    value = found.mean if isinstance(found, Spread) else found.value
    if value is None:
        return f"not available: {found.reason}" if found.reason else "not available"
    return _with_interval(value, found.ci_low, found.ci_high)


def _at_threshold(point: OperatingPoint, name: str) -> str:
    """Sensitivity or specificity of an operating point, with its interval where there is one."""
    return _with_interval(getattr(point, name), *(getattr(point, f"{name}_ci") or (None, None)))


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f}-{high:.3f})"


def _spreads(evaluation: Evaluation) -> list[tuple[str, Spread]]:
    """Titles and means of what was measured on every fold; none without cross-validation."""
    over = evaluation.over_folds
    tumor = over.get("tumor")
    named = [(title, over.get(key)) for key, title in HEADLINES]
    if isinstance(tumor, dict):
        named += [(f"Tumor {key}", tumor[key]) for key in ("sensitivity", "specificity")]
    return [(title, found) for title, found in named if isinstance(found, Spread) and found.folds]


def _counts(manifest: Manifest) -> list[tuple[str, str, int, int]]:
    """Source, label, slices, groups."""
    slices = Counter((row.source, row.label) for row in manifest.rows)
    groups = Counter(
        (source, label)
        for source, label, _ in {(r.source, r.label, r.group) for r in manifest.rows}
    )
    return [(*key, slices[key], groups[key]) for key in sorted(slices)]
