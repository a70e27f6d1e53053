"""A run that has trained: its network, and whether its bundle still is what was asked for."""

from __future__ import annotations

from pathlib import Path

import torch

from slicewise.data.manifest import Manifest
from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.inference.bundle import INFO_NAME, MODEL_NAME, TRUST_NAME, load_bundle
from slicewise.inference.rule import DecisionRule
from slicewise.training.config import RunConfig, load_config
from slicewise.training.export.bundling import exported
from slicewise.training.export.graph import without_origin
from slicewise.training.loop.run import CONFIG_NAME
from slicewise.training.loop.trainer import CHECKPOINTS
from slicewise.training.network.model import SliceNet, create_network

BUNDLE = "bundle"
_PREFIX = "network."


def is_finished(folder: Path) -> bool:
    """Whether a run has written its bundle."""
    return (folder / BUNDLE / INFO_NAME).is_file()


def trained_network(config: RunConfig, task: Task, folder: Path) -> SliceNet:
    """The network of the checkpoint that a run exports, in evaluation mode.

    The checkpoint holds every weight and the normalisation, so no start weights are needed.

    Raises:
        TrainingError: There is no such checkpoint, or it does not fit the configuration.
    """
    path = folder / CHECKPOINTS / f"{config.checkpoint.export}.ckpt"
    if not path.is_file():
        raise TrainingError(f"{path}: expected the checkpoint of a finished run; there is none")
    network = create_network(config.model, task, weights=None)
    network = network.to(memory_format=torch.channels_last)
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    try:
        network.load_state_dict({name.removeprefix(_PREFIX): part for name, part in state.items()})
    except RuntimeError as error:
        raise TrainingError(
            f"{path}: expected the weights of {config.model.name}: {error}"
        ) from error
    return network.eval()


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
        decision: What the bundle should decide by, where that was fitted elsewhere. Limits on
            unlike pictures are not compared: they come from the network of the bundle itself.
    """
    changed = _changed_keys(load_config(folder / CONFIG_NAME), config)
    if changed:
        return f"{', '.join(changed)} changed"
    bundle = load_bundle(folder / BUNDLE)
    if TRUST_NAME not in bundle.files:
        return "it remembers no training slices"
    if decision is None:
        return None
    if _without_limits(bundle.info.decision) != _without_limits(decision):
        return "the held-out answers that its decision is fitted on changed"
    return None


def _changed_keys(before: RunConfig, now: RunConfig) -> list[str]:
    old, new = before.bundle.model_dump(), now.bundle.model_dump()
    return [f"bundle.{name}" for name in new if old[name] != new[name]]


def _without_limits(rule: DecisionRule) -> DecisionRule:
    return rule.model_copy(update={"out_of_distribution": None})
