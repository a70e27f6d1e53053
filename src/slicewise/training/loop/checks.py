"""What can be known of a run before a pixel is read and before its folder is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from slicewise.config import nearest
from slicewise.data.manifest import TAKEN_COLUMN, Manifest, ManifestRow
from slicewise.data.tasks import Task
from slicewise.errors import ConfigError, LeakageError, TrainingError
from slicewise.evaluation.explanations.regions import read_boxes
from slicewise.evaluation.seen import known_before
from slicewise.imaging.read import file_and_index
from slicewise.inference.bundle import INFO_NAME, SEEN_NAME, load_bundle
from slicewise.training.config import RunConfig, TrainerConfig, load_config, save_config
from slicewise.training.data.dataset import EpochSampler, Possible
from slicewise.training.loop.module import optimizer_and_schedule
from slicewise.training.network.model import create_network
from slicewise.training.network.start import start_of

CONFIG_NAME = "config.yaml"
MANIFEST_NAME = "manifest.csv"
BUNDLE = "bundle"
_SHOWN = 5

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
PRECISIONS: dict[str, Precision] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def require_trainable(config: RunConfig, task: Task, parts: Mapping[Path, Manifest]) -> None:
    """Check a run, with all its folds, so that none of it fails later for what is known now.

    Args:
        parts: The slices of each model, by the folder that it is to have.

    Raises:
        LeakageError: A group stands in two splits, or patients that are trained on are tested on.
        ConfigError: The model or a source with a weight is unknown, or the model or the loss of
            tumor against none not possible.
        TrainingError: A folder holds another run or cannot be written, slices do not suffice or
            are missing, or start weights, device, precision or schedule do not fit.
        ManifestError: The table of boxes is not as expected.
    """
    for folder, manifest in parts.items():
        manifest.require_sound(folder)
        _require_sources(config, manifest)
        _require_same_run(folder, config, manifest)
    open_parts = [manifest for folder, manifest in parts.items() if not is_finished(folder)]
    for manifest in open_parts:
        present = int(classes_left(manifest, task)["val"].any(axis=0).sum())
        if config.early_stopping.monitor == "val_macro_auroc" and present < 2:
            raise TrainingError(
                "early_stopping.monitor val_macro_auroc: expected validation slices of at least "
                "two classes; got one class"
            )
        if config.loss.tumor:
            _require_both_sides(manifest, task)
        _require_files(config, manifest)
    if open_parts:
        # Build it once, with its start weights, and the schedules of each model.
        with torch.random.fork_rng(()):
            start, size = start_of(config.model), config.preprocessing.size
            network = create_network(config.model, task, weights=start, size=size)
        if config.loss.region and not network.scores_places:
            raise ConfigError(
                "loss.region: expected a linear layer right behind the pooling; "
                f"{config.model.name} has more before it"
            )
        for part in open_parts:
            count = len(part.subset("train").rows)
            batches = len(EpochSampler(count, config.data.batch_size, config.seed))
            optimizer_and_schedule(network, config, batches * config.all_epochs)
        device_and_precision(config.trainer)
        if config.loss.region and config.data.boxes is not None:
            read_boxes(config.data.boxes)
        if not config.bundle.allow_seen:
            begun = config.model.start and load_bundle(config.model.start)
            for folder, manifest in parts.items():
                if not is_finished(folder):
                    _require_unseen(folder, manifest, begun.files.get(SEEN_NAME) if begun else None)
        for folder in (*parts, config.cache):
            _require_writable(folder)


def _require_sources(config: RunConfig, manifest: Manifest) -> None:
    known = {row.source for row in manifest.rows}
    for name in config.data.source_weights:
        if name not in known:
            raise ConfigError(
                f"data.source_weights {name!r}: expected a source of the manifest; "
                f"nearest: {nearest(name, sorted(known))}"
            )


def _require_both_sides(manifest: Manifest, task: Task) -> None:
    if task.negative_class is None:
        raise ConfigError(
            f"loss.tumor: expected a task with a negative class; {task.name} has none"
        )
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for row in manifest.subset("train").rows:
        sides[row.label == task.negative_class].add(row.source)
    if not sides[True] & sides[False]:
        raise ConfigError(
            "loss.tumor: expected a source with training slices of a tumor and of none; got none"
        )


def is_finished(folder: Path) -> bool:
    """Whether a run has written its bundle."""
    return (folder / BUNDLE / INFO_NAME).is_file()


def claim(folder: Path, config: RunConfig) -> None:
    """Make the run's folder, or check that its training belongs to the same configuration.

    Raises:
        TrainingError: It holds a run with another one.
    """
    _require_same_run(folder, config)
    if not (folder / CONFIG_NAME).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        save_config(config, folder / CONFIG_NAME)


def _require_same_run(folder: Path, config: RunConfig, manifest: Manifest | None = None) -> None:
    """Check that a run is not taken up again with another configuration or on other slices.

    The section `bundle` may differ: it says what is made of the network. A key that an older
    version did not know counts as its default.
    """
    path = folder / CONFIG_NAME
    if path.is_file() and load_config(path).model_copy(update={"bundle": config.bundle}) != config:
        raise TrainingError(
            f"{folder} holds a run with another configuration; choose another name, "
            "or remove the folder (only the section bundle may change)"
        )
    path = folder / MANIFEST_NAME
    if manifest is not None and path.is_file() and Manifest.read(path).sha256 != manifest.sha256:
        raise TrainingError(
            f"{folder} holds a run on other slices, labels, groups or splits; choose another "
            "name, or remove the folder"
        )


def classes_left(manifest: Manifest, task: Task) -> dict[str, Possible]:
    """(N, K) of the train and validation split: which classes each label leaves open.

    Labels of the test split are checked only: nothing in training looks at its pixels.

    Raises:
        TrainingError: The train or validation split is too small, or a label is none of the task's.
    """
    if (test := manifest.subset("test")).rows:
        _possible(test, task, "test")
    return {name: _possible(manifest.subset(name), task, name) for name in ("train", "val")}


def _possible(manifest: Manifest, task: Task, split: str) -> Possible:
    """(N, K) which classes each label leaves open; several only in the training split."""
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


def device_and_precision(settings: TrainerConfig) -> tuple[str, Precision]:
    """What computes, and in which numbers.

    Raises:
        ConfigError: The device is not on this machine.
        TrainingError: It cannot do the precision.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    there = [name for name, yes in available.items() if yes]
    device = there[0] if settings.device == "auto" else settings.device
    if device not in there:
        raise ConfigError(
            f"trainer.device {device}: not on this machine; available: {', '.join(there)}"
        )
    precision = settings.precision
    if precision == "auto":
        precision = "fp32" if device == "mps" else "bf16"
    if precision == "fp16" and device != "cuda":
        raise TrainingError(f"trainer.precision fp16: expected device cuda, got {device}; use bf16")
    return device, PRECISIONS[precision]


def _require_files(config: RunConfig, manifest: Manifest) -> None:
    """Check that training and validation slices are there; evaluation names those of the test."""
    train, validation = (manifest.subset(name).rows for name in ("train", "val"))
    wanted = [(row.path, manifest.resolve(row)) for row in (*train, *validation)]
    if config.loss.region:
        wanted += [(mask, mask) for mask in map(manifest.resolve_mask, train) if mask]
    missing = [name for name, place in wanted if not Path(file_and_index(place)[0]).exists()]
    if missing:
        raise TrainingError(
            f"{len(missing)} files of the manifest are not there: {'; '.join(missing[:_SHOWN])}"
        )


def _require_unseen(folder: Path, manifest: Manifest, start: bytes | None) -> None:
    """Check that no test slice would be left out at the end, as far as is known without reading."""
    development = [row for row in manifest.rows if row.split in {"train", "val"}]
    test = manifest.subset("test").rows
    if found := known_before(development, test, start):
        why = ", ".join(f"{count} {how}" for how, count in sorted(found.items()))
        raise LeakageError(
            f"{folder}: expected no test slice of a patient that is trained on; "
            f"{found.total()} of {len(test)} are known to be ({why}) and would be in no metric; "
            "build the manifest anew with `slicewise data build`, which keeps such patients in one "
            "split or fold, or let bundle.allow_seen: true measure them all the same, with a notice"
        )


def _require_writable(folder: Path) -> None:
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise TrainingError(f"{folder}: expected a folder that can be written; {there} cannot")
