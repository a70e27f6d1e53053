"""One training run: manifest and configuration to checkpoints, log, curves and the best network."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning as L  # noqa: N812 (Lightning's own name for it)
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.profilers import SimpleProfiler
from torch.utils.data import BatchSampler

from slicewise.data.manifest import Manifest
from slicewise.data.statistics import moments
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.training.config import RunConfig
from slicewise.training.data.dataset import (
    EpochSampler,
    Images,
    LabelledSlices,
    load_regions,
    load_split,
    loader,
)
from slicewise.training.loop.checkpoints import (
    CHECKPOINTS,
    LAST,
    average_cycles,
    checkpoints,
    trained_network,
)
from slicewise.training.loop.checks import (
    claim,
    classes_left,
    device_and_precision,
    require_monitored,
)
from slicewise.training.loop.log import (
    LOG_NAME,
    EpochBar,
    EpochLog,
    Milestones,
    announce,
    plot_curves,
)
from slicewise.training.loop.module import SliceModule
from slicewise.training.network.losses import class_weights
from slicewise.training.network.model import SliceNet, create_network, parameter_counts


def prepare(config: RunConfig, task: Task, manifest: Manifest) -> dict[str, LabelledSlices]:
    """Decode the train and validation split, or take them from the cache; of test check labels.

    Raises:
        TrainingError: The train or validation split is too small, a label is none of the task's,
            or a file cannot be used.
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
        TrainingError: The folder holds a run with another configuration, the validation split
            cannot give what early stopping watches, training diverged, it was interrupted, or it
            ended before all cycles did that are to be averaged.
    """
    claim(folder, config)
    train, validation = splits["train"], splits["val"]
    require_monitored(config, validation.possible)
    L.seed_everything(config.seed, verbose=False)
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    network = _network(config, task, train.images)
    announce(_description(config, network))
    weights = class_weights(train.possible, config.loss.class_weights)
    module = SliceModule(network, config, weights, train.regions)
    trainer = trainer_of(config, folder, callbacks(config, folder))
    last, size = folder / CHECKPOINTS / LAST, config.data.batch_size
    shuffled = EpochSampler(len(train.images), size, config.seed)
    in_order = BatchSampler(range(len(validation.images)), size, drop_last=False)
    try:
        trainer.fit(
            module,
            loader(train.images, train.possible, shuffled),
            loader(validation.images, validation.possible, list(in_order)),
            ckpt_path=str(last) if last.is_file() else None,
            weights_only=True,
        )
    except SystemExit as error:  # what Lightning makes of Ctrl+C and SIGTERM
        text = f"interrupted; run the same command again to go on in {folder}"
        raise TrainingError(text) from error
    plot_curves(folder / LOG_NAME, folder / "curves.png")
    if config.checkpoint.export == "average":
        average_cycles(folder / CHECKPOINTS, config.cycle_ends)
    return trained_network(config, task, folder)


class LastingEarlyStopping(EarlyStopping):
    """Early stopping that is not forgotten when a run that it ended is taken up again."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once where the run had been stopped."""
        if self.stopped_epoch:
            trainer.should_stop = True


def callbacks(config: RunConfig, folder: Path) -> list[L.Callback]:
    """What watches the epochs: early stopping, log, bar and checkpoints."""
    stopping = config.early_stopping
    return [
        LastingEarlyStopping(
            stopping.monitor, stopping.min_delta, stopping.patience, mode=stopping.mode
        ),
        EpochLog(folder / LOG_NAME),
        Milestones(stopping.monitor, stopping.mode),
        *([EpochBar()] if _bar_wanted() else []),
        *checkpoints(config, folder / CHECKPOINTS),
    ]


def trainer_of(config: RunConfig, folder: Path, watching: Sequence[L.Callback]) -> L.Trainer:
    """Lightning's trainer as a run is configured; `folder` is where a profile goes.

    Raises:
        TrainingError: The device is not on this machine, or cannot do the precision.
    """
    settings = config.trainer
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    profiler = SimpleProfiler(dirpath=folder, filename="profile") if settings.profile else None
    accelerator, precision = device_and_precision(settings)
    return L.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=config.all_epochs,
        precision=precision,
        gradient_clip_val=settings.gradient_clip or None,
        check_val_every_n_epoch=settings.validate_every,
        callbacks=list(watching),
        deterministic=settings.deterministic,
        logger=False,
        profiler=profiler,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=_bar_wanted(),
        default_root_dir=folder,
        use_distributed_sampler=False,
    )


def _bar_wanted() -> bool:
    """A bar in a log would be a line for every step; `Milestones` writes enough into a log."""
    return sys.stderr.isatty()


def _network(config: RunConfig, task: Task, images: Images) -> SliceNet:
    network = create_network(config.model, task, weights=config.model.weights)
    if network.needs_statistics:
        network.normalise_by(*pixel_statistics(images))
    return network.to(memory_format=torch.channels_last)


def _description(config: RunConfig, network: SliceNet) -> str:
    everything, trained = parameter_counts(network)
    origin = "training split" if network.needs_statistics else "start weights"
    return (
        f"{config.model.name}: {everything / 1e6:.1f} M parameters, {trained / 1e6:.1f} M trained; "
        f"normalisation of the {origin}: "
        f"mean {float(network.mean):.4f}, standard deviation {float(network.std):.4f}"
    )


def pixel_statistics(images: Images) -> tuple[float, float]:
    """Mean and standard deviation over all pixels, in units of [0, 1], without a float copy."""
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(images), 256):
        counts += np.bincount(np.asarray(images[start : start + 256]).ravel(), minlength=256)
    return moments(counts)
