"""`slicewise train`: one run from a manifest to a bundle with its own metrics inside."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 (Lightning's own name for it)
import numpy as np
import torch
from lightning.pytorch.profilers import SimpleProfiler
from torch.utils.data import BatchSampler

from slicewise.data.manifest import Manifest
from slicewise.data.statistics import moments
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.files import write_json
from slicewise.inference.bundle import INFO_NAME, MODEL_NAME, TRUST_NAME, load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.rule import DecisionRule
from slicewise.training.config import RunConfig, load_config, save_config
from slicewise.training.data.dataset import (
    EpochSampler,
    Images,
    LabelledSlices,
    load_regions,
    load_split,
    loader,
)
from slicewise.training.export.bundling import (
    DRAFT,
    Product,
    draft,
    exported,
    make_product,
    with_weights,
    write_product,
)
from slicewise.training.export.graph import without_origin
from slicewise.training.loop.callbacks import (
    CHECKPOINTS,
    LAST,
    LOG_NAME,
    announce,
    average_cycles,
    callbacks,
    plot_curves,
    trained_network,
)
from slicewise.training.loop.checks import (
    BUNDLE,
    CONFIG_NAME,
    MANIFEST_NAME,
    claim,
    classes_left,
    device_and_precision,
    is_finished,
    require_trainable,
)
from slicewise.training.loop.losses import class_weights, slice_weights, tumor_weights
from slicewise.training.loop.measure import measured
from slicewise.training.loop.module import SliceModule
from slicewise.training.network.model import SliceNet, create_network
from slicewise.training.network.start import start_of
from slicewise.training.network.strategy import counts_in_words

METRICS_NAME = "metrics.json"
EVALUATION = "evaluation"


def train(config: RunConfig, task: Task, command: str, *, refit: bool = False) -> Path:
    """Train on the splits of the manifest, as `train_manifest`, and write `runs/NAME/bundle`.

    Raises:
        TrainingError: The data or the configuration do not allow it, or training diverged.
    """
    manifest = Manifest.read(config.data.manifest)
    return train_manifest(config, task, manifest, config.folder, command, refit=refit)


def train_manifest(
    config: RunConfig,
    task: Task,
    manifest: Manifest,
    folder: Path,
    command: str,
    decision: DecisionRule | None = None,
    metrics: dict[str, Any] | None = None,
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
        metrics: Measured elsewhere, for the bundle; None to evaluate it.

    Raises:
        LeakageError: A group stands in two splits.
        TrainingError: The folder holds a run of another configuration or of other slices, or
            training failed.
    """
    manifest = answerable(manifest, task)
    require_trainable(config, task, {folder: manifest})
    bundle = folder / BUNDLE
    if is_finished(folder):
        why = "a refit was asked for" if refit else _outdated(folder, config, decision)
        if why is None:
            return bundle
        announce(f"{folder}: {why}; its bundle is made anew, without training")
        graph = _stored_graph(config, task, folder, manifest)
    else:
        splits = prepare(config, task, manifest)
        claim(folder, config)
        if not (folder / MANIFEST_NAME).is_file():
            manifest.write(folder / MANIFEST_NAME)
        graph = exported(config, fit(config, task, splits, folder), manifest)
    product = make_product(config, task, graph, manifest, decision)
    if config.bundle.weights:
        product = with_weights(product, trained_network(config, task, folder))
    _publish(config, task, manifest, folder, command, product, metrics)
    return bundle


def prepare(config: RunConfig, task: Task, manifest: Manifest) -> dict[str, LabelledSlices]:
    """Decode the train and validation split, or take them from the cache; of test check labels.

    Raises:
        TrainingError: As `classes_left`, or a file cannot be used.
    """
    splits = {}
    for name, possible in classes_left(manifest, task).items():
        slices = load_split(config, manifest, name)
        regions = None
        if name == "train" and config.loss.region:
            spec, boxes = config.preprocessing, config.data.boxes
            regions = load_regions(slices, task, spec, boxes, config.cache)
        splits[name] = LabelledSlices(slices.manifest, slices.records, possible, regions)
    counts = ", ".join(f"{len(data.images)} {name}" for name, data in splits.items())
    announce(f"slices: {counts}, {len(manifest.subset('test').rows)} test")
    return splits


def fit(config: RunConfig, task: Task, splits: dict[str, LabelledSlices], folder: Path) -> SliceNet:
    """Train, or go on where an interrupted run stopped, and return the network to keep.

    Raises:
        TrainingError: Training diverged, it was interrupted, or it ended before all cycles did
            that are to be averaged.
    """
    for left in folder.rglob(f".{'[0-9a-f]' * 16}.*"):  # of `whole`, where a run was killed
        left.unlink()
    with _state_of_the_process(config):
        _train(config, task, splits["train"], splits["val"], folder)
    plot_curves(folder / LOG_NAME, folder / "curves.png")
    if config.checkpoint.export == "average":
        average_cycles(folder / CHECKPOINTS, config.cycle_ends)
    return trained_network(config, task, folder)


@contextmanager
def _state_of_the_process(config: RunConfig) -> Iterator[None]:
    """Set what a run needs of the whole process, and put it back: the process may be a host's."""
    device, _ = device_and_precision(config.trainer)
    logger, cudnn = logging.getLogger("lightning.pytorch"), torch.backends.cudnn
    with (
        ExitStack() as after,
        warnings.catch_warnings(),
        torch.random.fork_rng(range(1) if device == "cuda" else ()),
    ):
        after.callback(logger.setLevel, logger.level)
        after.callback(torch.set_num_threads, torch.get_num_threads())
        after.callback(setattr, cudnn, "benchmark", cudnn.benchmark)
        after.callback(
            torch.use_deterministic_algorithms,
            torch.are_deterministic_algorithms_enabled(),
            warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        logger.setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", module="lightning")
        torch.manual_seed(config.seed)
        if config.trainer.threads:
            torch.set_num_threads(config.trainer.threads)
        yield


def _train(
    config: RunConfig, task: Task, train: LabelledSlices, validation: LabelledSlices, folder: Path
) -> None:
    start, size = start_of(config.model), config.preprocessing.size
    network = create_network(config.model, task, weights=start, size=size)
    if network.needs_statistics:
        network.normalise_by(*pixel_statistics(train.images))
    network = network.to(memory_format=torch.channels_last)
    origin = "training split" if network.needs_statistics else "start weights"
    announce(
        f"{config.model.name}: {counts_in_words(network, config)}; "
        f"normalisation of the {origin}: "
        f"mean {network.mean.mean():.4f}, standard deviation {network.std.mean():.4f}"
    )
    kept = [p for p in network.backbone.parameters() if not p.requires_grad]
    if kept and start is None:
        announce("THE FROZEN PART IS RANDOM: expected start weights (pretrained, weights, start)")
    last, size = folder / CHECKPOINTS / LAST, config.data.batch_size
    shuffled = EpochSampler(len(train.images), size, config.seed)
    in_order = BatchSampler(range(len(validation.images)), size, drop_last=False)
    ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        _trainer(config, folder).fit(
            _module(network, config, task, train),
            loader(train.images, train.possible, shuffled),
            loader(validation.images, validation.possible, list(in_order)),
            ckpt_path=str(last) if last.is_file() else None,
            weights_only=True,
        )
    except SystemExit as error:  # what Lightning makes of Ctrl+C and SIGTERM
        signal.signal(signal.SIGINT, ctrl_c or signal.SIG_DFL)  # it ignores any further Ctrl+C
        text = f"interrupted; run the same command again to go on in {folder}"
        raise TrainingError(text) from error


def _module(network: SliceNet, config: RunConfig, task: Task, train: LabelledSlices) -> SliceModule:
    """The network with the losses of a configuration, and the weights of slices and classes."""
    sources, balance = [row.source for row in train.manifest.rows], config.loss.source_balance
    factors = config.data.source_weights
    each = slice_weights(train.possible, sources, balance, factors)
    of_classes = class_weights(train.possible, config.loss.class_weights, each)
    tumor = None
    if config.loss.tumor:
        negative = task.classes.index(task.negative_class or "")
        sides = tumor_weights(train.possible, sources, balance, factors, negative)
        tumor = negative, torch.from_numpy(sides).float()
    return SliceModule(
        network, config, of_classes, torch.from_numpy(each).float(), train.regions, tumor
    )


def _trainer(config: RunConfig, folder: Path) -> L.Trainer:
    settings = config.trainer
    profiler = SimpleProfiler(dirpath=folder, filename="profile") if settings.profile else None
    accelerator, precision = device_and_precision(settings)
    return L.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=config.all_epochs,
        precision=precision,
        gradient_clip_val=settings.gradient_clip or None,
        check_val_every_n_epoch=settings.validate_every,
        callbacks=callbacks(config, folder),
        deterministic=settings.deterministic,
        logger=False,
        profiler=profiler,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        default_root_dir=folder,
        use_distributed_sampler=False,
    )


def pixel_statistics(images: Images) -> tuple[float, float]:
    """Mean and standard deviation over all pixels, in units of [0, 1], without a float copy."""
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(images), 256):
        counts += np.bincount(np.asarray(images[start : start + 256]).ravel(), minlength=256)
    return moments(counts)


def _stored_graph(config: RunConfig, task: Task, folder: Path, manifest: Manifest) -> bytes:
    """The graph of a finished run: as its bundle has it, where that still fits.

    Notes on where it was made, which older versions left in it, are dropped.
    """
    bundle = load_bundle(folder / BUNDLE)
    if bundle.info.weight_storage == config.bundle.weight_storage:
        return without_origin(bundle.files[MODEL_NAME])
    return exported(config, trained_network(config, task, folder), manifest)


def _outdated(folder: Path, config: RunConfig, decision: DecisionRule | None) -> str | None:
    """Why the bundle of a finished run has to be written anew, in words; None where it stands.

    Out-of-distribution limits are not compared: they come from the network of the bundle.
    """
    before, now = (one.bundle.model_dump() for one in (load_config(folder / CONFIG_NAME), config))
    if changed := [f"bundle.{name}" for name in now if before[name] != now[name]]:
        return f"{', '.join(changed)} changed"
    bundle = load_bundle(folder / BUNDLE)
    if TRUST_NAME not in bundle.files:
        return "it remembers no training slices"
    if decision is not None:
        limits = {"out_of_distribution": decision.out_of_distribution}
        if bundle.info.decision.model_copy(update=limits) != decision:
            return "the held-out answers that its decision is fitted on changed"
    if not _stamped(folder / EVALUATION / METRICS_NAME, folder / BUNDLE):
        return "its report is of another bundle"  # as after a kill between moving the two
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
    product: Product,
    metrics: dict[str, Any] | None,
) -> None:
    """Measure a product, then put report, bundle and configuration in place, the bundle whole."""
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed while it wrote
    if metrics is None:
        classifier = Classifier(draft(product, config, task, manifest))
        metrics = measured(config, classifier, manifest, partial / EVALUATION, command)
    commands = {"Training": command}
    write_product(partial / BUNDLE, product, config, task, manifest, metrics, commands)
    _stamped(partial / EVALUATION / METRICS_NAME, partial / BUNDLE)
    for name in (EVALUATION, BUNDLE):
        if (partial / name).exists():
            if (folder / name).exists():
                (folder / name).rename(partial / f"{name}.old")
            (partial / name).rename(folder / name)
    shutil.rmtree(partial)
    save_config(config, folder / CONFIG_NAME)


def _stamped(report: Path, bundle: Path) -> bool:
    """Whether a report is of a bundle; one made before the bundle had an identity is given it."""
    if not report.is_file():
        return True
    content = json.loads(report.read_text(encoding="utf-8"))
    identity = hashlib.sha256((bundle / INFO_NAME).read_bytes()).hexdigest()
    if content["bundle"]["sha256"] == DRAFT:
        content["bundle"]["sha256"] = identity
        write_json(report, content)
    return bool(content["bundle"]["sha256"] == identity)
