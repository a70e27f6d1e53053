"""What a network starts from: published weights, a file of one's own, or a bundle."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub
from safetensors.torch import load
from torch import nn

from slicewise.data.tasks import Task
from slicewise.errors import BundleError, ConfigError, TrainingError
from slicewise.inference.bundle import WEIGHTS_NAME, Bundle, load_bundle
from slicewise.training.network.backbones import Weights, load_into, read_weights
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.timm_backbones import published_config
from slicewise.zoo.catalogue import CATALOGUE

PUBLISHED = "model.safetensors"
HEADS = ("head.", "surroundings.")
"""Beginnings of the names of layers that belong to the classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Weights to start from.

    Args:
        weights: By name: of a backbone as published, or of a whole network of ours.
        classes: That the last layer of a whole network answers for; empty for a backbone.
    """

    weights: Weights = field(repr=False)
    classes: tuple[str, ...] = ()


def start_of(config: ModelConfig) -> Start | None:
    """What the section `model` names to start from; None for random weights.

    Raises:
        ConfigError: It names more than one, or weights of another network.
        TrainingError: It cannot be read, or is not there and cannot be fetched.
        BundleError: The bundle is none, or changed.
    """
    given = [key for key in ("weights", "pretrained", "start") if getattr(config, key)]
    if len(given) > 1:
        raise ConfigError(
            f"model: expected one of weights, pretrained and start; got {', '.join(given)}"
        )
    if config.start is not None:
        bundle = load_bundle(config.start)
        if bundle.info.origin.architecture != config.name:
            got = bundle.info.origin.architecture
            raise ConfigError(
                f"model.start {config.start}: expected a bundle of {config.name}, as model.name "
                f"says; got one of {got}"
            )
        return Start(_of_bundle(bundle, config.start), bundle.classes)
    file = published(config.name) if config.pretrained else config.weights
    return None if file is None else Start(read_weights(file))


def start_in_words(config: ModelConfig) -> tuple[str, Mapping[str, str]]:
    """For a model card: what a network started from, and the licences of that."""
    if config.start is not None:
        info = load_bundle(config.start).info
        return f"the bundle {info.name} {info.version}", info.licences
    if config.pretrained:
        found = published_config(config.name)
        words = f"the weights {found.hf_hub_id} that timm publishes ({found.license})"
        return words, {"start weights": str(found.license)}
    if config.weights is not None:
        return f"the weights of {config.weights.name}", {}
    return "random initialisation", {}


def published(name: str, cache: Path | None = None) -> Path:
    """The file of a network's published weights, from the cache that timm uses; fetched if need be.

    Args:
        name: As `model.name` says.
        cache: Folder of the cache; None for that of Hugging Face, which timm uses.

    Raises:
        ConfigError: None are published as safetensors.
        TrainingError: They are not in the cache and cannot be fetched.
    """
    own = name in CATALOGUE and CATALOGUE[name].timm_name is None
    source = None if own else published_config(name).hf_hub_id
    if not source:
        raise ConfigError(
            f"model.name {name}: no weights are published as safetensors; expected model.weights"
        )
    found = huggingface_hub.try_to_load_from_cache(source, PUBLISHED, cache_dir=cache)
    if isinstance(found, str):
        return Path(found)
    print(f"fetching the weights {source}", file=sys.stderr, flush=True)
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        return Path(huggingface_hub.hf_hub_download(source, PUBLISHED, cache_dir=cache))
    except Exception as error:  # of the network, the hub or the disk
        raise TrainingError(
            f"{source}: expected its weights in the cache {cache or _default_cache()}; they are "
            f"not there and cannot be fetched ({type(error).__name__}). On a machine with internet "
            f"run slicewise models fetch {name}, and carry the file here for model.weights"
        ) from error
    finally:
        logger.setLevel(level)


def resume(network: nn.Module, start: Start, task: Task, name: str) -> None:
    """Load a whole network; the layers for its classes start anew where the classes are others.

    Raises:
        TrainingError: Names or shapes differ.
    """
    weights = start.weights
    if start.classes != task.classes:
        own = {key: value for key, value in network.state_dict().items() if key.startswith(HEADS)}
        weights = {key: value for key, value in weights.items() if not key.startswith(HEADS)} | own
    load_into(network, weights, name)


def _of_bundle(bundle: Bundle, path: Path) -> Weights:
    if WEIGHTS_NAME not in bundle.files:
        raise TrainingError(
            f"{path}: expected a bundle with {WEIGHTS_NAME}; got one without (bundle.weights: true "
            "in the configuration of its run, and the same command again, write it)"
        )
    try:
        return {key: value.float() for key, value in load(bundle.files[WEIGHTS_NAME]).items()}
    except Exception as error:  # safetensors raises its own type
        raise BundleError(
            f"{path}: {WEIGHTS_NAME}: expected a safetensors file ({error})"
        ) from error


def _default_cache() -> str:
    return str(huggingface_hub.constants.HF_HUB_CACHE)
