"""What can be known of a run before a pixel is read and before its folder is made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.evaluation.explanations.regions import read_boxes
from slicewise.imaging.read import file_and_index
from slicewise.training.config import RunConfig
from slicewise.training.data.dataset import EpochSampler
from slicewise.training.loop.finished import is_finished
from slicewise.training.loop.module import optimizer_and_schedule
from slicewise.training.loop.run import (
    MANIFEST_NAME,
    classes_left,
    require_monitored,
    require_same_config,
)
from slicewise.training.loop.trainer import device_and_precision
from slicewise.training.network.model import create_network

_SHOWN = 5


def require_trainable(config: RunConfig, task: Task, parts: Mapping[Path, Manifest]) -> None:
    """Check a run, with all its folds, so that none of it fails later for what is known now.

    Args:
        config: The run.
        task: The classes.
        parts: The slices of each model, by the folder that it is to have.

    Raises:
        LeakageError: A group stands in two splits.
        ConfigError: The model is unknown or not possible.
        TrainingError: A folder holds another run or cannot be written, slices do not suffice or
            are missing, or start weights, device, precision or schedule do not fit.
        ManifestError: The table of boxes is not as expected.
    """
    for folder, manifest in parts.items():
        manifest.require_sound(folder)
        require_same_config(folder, config)
        _require_same_slices(folder, manifest)
    open_parts = [manifest for folder, manifest in parts.items() if not is_finished(folder)]
    for manifest in open_parts:
        require_monitored(config, classes_left(manifest, task)["val"])
        _require_files(config, manifest)
    if open_parts:
        _require_network(config, task, [len(part.subset("train").rows) for part in open_parts])
        device_and_precision(config.trainer)
        if config.loss.region and config.data.boxes is not None:
            read_boxes(config.data.boxes)
        for folder in (*parts, config.data.pixels(config.runs)):
            _require_writable(folder)


def _require_same_slices(folder: Path, manifest: Manifest) -> None:
    path = folder / MANIFEST_NAME
    if path.is_file() and Manifest.read(path).sha256 != manifest.sha256:
        raise TrainingError(
            f"{folder} holds a run on other slices, labels, groups or splits; choose another "
            "name, or remove the folder"
        )


def _require_network(config: RunConfig, task: Task, counts: Iterable[int]) -> None:
    """Build it once, with its start weights, and the schedules over so many training slices."""
    network = create_network(config.model, task, weights=config.model.weights)
    for count in counts:
        batches = len(EpochSampler(count, config.data.batch_size, config.seed))
        optimizer_and_schedule(network, config, batches * config.all_epochs)


def _require_files(config: RunConfig, manifest: Manifest) -> None:
    """Check that training and validation slices are there; evaluation tells those of the test."""
    rows = [row for name in ("train", "val") for row in manifest.subset(name).rows]
    missing = [row.path for row in rows if not _is_there(manifest.resolve(row))]
    if config.loss.region:
        masks = filter(None, map(manifest.resolve_mask, manifest.subset("train").rows))
        missing += [mask for mask in masks if not _is_there(mask)]
    if missing:
        raise TrainingError(
            f"{len(missing)} files of the manifest are not there: {'; '.join(missing[:_SHOWN])}"
        )


def _is_there(reference: str) -> bool:
    return Path(file_and_index(reference)[0]).exists()


def _require_writable(folder: Path) -> None:
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise TrainingError(f"{folder}: expected a folder that can be written; {there} cannot")
