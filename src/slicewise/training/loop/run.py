"""One training run: manifest and configuration to checkpoints, log, curves and the best network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning as L  # noqa: N812 (Lightning's own name for it)
import numpy as np
import torch

from slicewise.data.manifest import TAKEN_COLUMN, Manifest, ManifestRow
from slicewise.data.statistics import moments
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.training.config import RunConfig, load_config, save_config
from slicewise.training.data.dataset import (
    Images,
    Possible,
    load_split,
    ordered_loader,
    training_loader,
)
from slicewise.training.data.regions import load_regions
from slicewise.training.loop.averaging import average_cycles
from slicewise.training.loop.callbacks import announce
from slicewise.training.loop.curves import plot_curves
from slicewise.training.loop.module import SliceModule
from slicewise.training.loop.trainer import CHECKPOINTS, LOG_NAME, callbacks, trainer_of
from slicewise.training.network.losses import class_weights
from slicewise.training.network.model import SliceNet, create_network, parameter_counts

CONFIG_NAME = "config.yaml"
MANIFEST_NAME = "manifest.csv"


@dataclass(frozen=True, slots=True, eq=False)
class SplitData:
    """The slices of one split.

    Args:
        images: (N, S, S) uint8.
        possible: (N, K) bool, which classes a label leaves open.
        regions: (N, S, S) uint8, 255 inside of a tumor; None where the loss does not use them.
    """

    manifest: Manifest
    images: Images
    possible: Possible
    regions: Images | None = None


def prepare(config: RunConfig, task: Task, manifest: Manifest) -> dict[str, SplitData]:
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
            cache = config.data.pixels(config.runs)
            regions = load_regions(slices, task, config.preprocessing, config.data.boxes, cache)
        splits[name] = SplitData(slices.manifest, slices.images, possible, regions)
    counts = ", ".join(f"{len(data.images)} {name}" for name, data in splits.items())
    announce(f"slices: {counts}, {len(manifest.subset('test').rows)} test")
    return splits


def classes_left(manifest: Manifest, task: Task) -> dict[str, Possible]:
    """(N, K) of the train and validation split: which classes each label leaves open.

    Labels of the test split are checked only: nothing in training looks at its pixels.

    Raises:
        TrainingError: The train or validation split is too small, or a label is none of the task's.
    """
    if (test := manifest.subset("test")).rows:
        _possible(test, task, "test")
    return {name: _possible(manifest.subset(name), task, name) for name in ("train", "val")}


def fit(config: RunConfig, task: Task, splits: dict[str, SplitData], folder: Path) -> SliceNet:
    """Train, or go on where an interrupted run stopped, and return the network to keep.

    Args:
        splits: From `prepare`.
        folder: Where checkpoints, log and curves go.

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
    last = folder / CHECKPOINTS / "last.ckpt"
    try:
        trainer.fit(
            module,
            training_loader(train.images, train.possible, config.data.batch_size, config.seed),
            ordered_loader(validation.images, validation.possible, config.data.batch_size),
            ckpt_path=str(last) if last.is_file() else None,
            weights_only=True,
        )
    except SystemExit as error:  # what Lightning makes of Ctrl+C and SIGTERM
        text = f"interrupted; run the same command again to go on in {folder}"
        raise TrainingError(text) from error
    plot_curves(folder / LOG_NAME, folder / "curves.png")
    if config.checkpoint.export == "average":
        average_cycles(folder / CHECKPOINTS, config.cycle_ends)
    return restore(module, folder / CHECKPOINTS / f"{config.checkpoint.export}.ckpt")


def restore(module: SliceModule, checkpoint: Path) -> SliceNet:
    """The network of a module with the weights of a checkpoint, in evaluation mode."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    return module.network.cpu().float().eval()


def _possible(manifest: Manifest, task: Task, split: str) -> Possible:
    """(N, K) which classes each label leaves open; several only in the training split.

    A slice that leaves several open may be taken for one of them (`TAKEN_COLUMN`).
    """
    needed = 2 if split == "train" else 1  # batch norm has no statistics of a single slice
    if len(manifest.rows) < needed:
        raise TrainingError(
            f"split {split!r}: expected at least {needed} slices in the manifest; "
            f"got {len(manifest.rows)}"
        )
    left = {row.label: task.possible(row.label) for row in manifest.rows}
    most = len(task.classes) if split == "train" else 1
    unknown = {label for label, names in left.items() if not 0 < len(names) <= most}
    if unknown:
        raise TrainingError(
            f"labels {', '.join(sorted(unknown))} are none of the classes of task {task.name}: "
            f"{', '.join(task.classes)}"
        )
    missing = set(task.classes) - {row.label for row in manifest.rows}
    if split == "train" and missing:
        raise TrainingError(
            f"split 'train' has no slices of {', '.join(sorted(missing))}; expected every class "
            f"of task {task.name}"
        )
    rows = [_narrowed(left[row.label], row, task) for row in manifest.rows]
    return np.array([[name in names for name in task.classes] for names in rows])


def _narrowed(left: tuple[str, ...], row: ManifestRow, task: Task) -> tuple[str, ...]:
    """The class that a slice is taken for, or else what its label leaves open."""
    taken = row.extra.get(TAKEN_COLUMN)
    if not taken:
        return left
    if not task.leaves_open(row.label, taken):
        raise TrainingError(
            f"{row.path}, column {TAKEN_COLUMN}: expected a class that label {row.label} leaves "
            f"open; got {taken!r}"
        )
    return (taken,)


def require_monitored(config: RunConfig, validation: Possible) -> None:
    """Check that the quantity that chooses the epoch can be measured.

    Args:
        config: The run.
        validation: (N, K) the classes of the validation slices.

    Raises:
        TrainingError: There are too few classes.
    """
    monitor = config.early_stopping.monitor
    if monitor == "val_macro_auroc" and int(validation.any(axis=0).sum()) < 2:
        raise TrainingError(
            f"early_stopping.monitor {monitor}: expected validation slices of at least two "
            "classes; got one class"
        )


def claim(folder: Path, config: RunConfig) -> None:
    """Make the run's folder, or check that its training belongs to the same configuration.

    Raises:
        TrainingError: It holds a run with another one.
    """
    require_same_config(folder, config)
    if not (folder / CONFIG_NAME).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        save_config(config, folder / CONFIG_NAME)


def require_same_config(folder: Path, config: RunConfig) -> None:
    """Check that a run is not taken up again with another configuration.

    The section `bundle` may differ: it says what is made of the network. A key that an older
    version did not know counts as its default.

    Raises:
        TrainingError: It would be.
    """
    path = folder / CONFIG_NAME
    if path.is_file() and load_config(path).model_copy(update={"bundle": config.bundle}) != config:
        raise TrainingError(
            f"{folder} holds a run with another configuration; choose another name, "
            "or remove the folder (only the section bundle may change)"
        )


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
