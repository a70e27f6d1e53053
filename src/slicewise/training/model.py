"""Networks: a backbone that ends in a feature map, average pooling and one linear layer.

A new model is one builder in `BACKBONES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from timm.layers.create_conv2d import create_conv2d
from timm.layers.norm_act import BatchNormAct2d
from timm.models.resnetv2 import ResNetV2
from torch import Tensor, nn

from slicewise.data.tasks import Task
from slicewise.errors import ConfigError, TrainingError
from slicewise.training.config import ModelConfig

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_FINE = "resnetv2_50_stages3"


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor and the normalisation that its weights expect.

    Args:
        module: (N, 1, H, W) normalised images to (N, channels, h, w) features.
        channels: Features per position.
        mean: Subtracted from images in [0, 1]; None where the training split decides.
        std: Divided by afterwards; None where the training split decides.
        stages: Parts from input to output, for freezing.
    """

    module: nn.Module
    channels: int
    mean: float | None
    std: float | None
    stages: tuple[nn.Module, ...]


class SliceNet(nn.Module):
    """Normalisation, backbone, dropout, a linear head at every place and pooling over places.

    Pooled by `mean`, this is global average pooling and a linear head. Pooled by `evidence`, a
    tumor class scores by its log odds against no tumor, joined over places by log-mean-exp, so that
    a small tumor is enough; no tumor scores by the mean of its log odds. A second head on the mean
    over places, which knows the plane and the surroundings, helps to tell the tumor classes apart;
    it moves probability between them only, so it has no say in whether there is a tumor.
    """

    mean: Tensor
    std: Tensor
    contrast: Tensor
    healthy: Tensor
    tumors: Tensor

    def __init__(
        self, backbone: Backbone, classes: int, dropout: float, negative: int | None = None
    ) -> None:
        """Build around a backbone; `normalise_by` has to follow where it brings no statistics.

        Args:
            backbone: Feature extractor.
            classes: K.
            dropout: Before the head.
            negative: Index of the class without a tumor, to pool by evidence; None for the mean.
        """
        super().__init__()
        self.backbone = backbone.module
        self.head = nn.Linear(backbone.channels, classes)
        self.dropout = nn.Dropout(dropout)
        self.negative = negative
        self.register_buffer("contrast", _contrast(classes, negative), persistent=False)
        healthy = torch.tensor([k == negative for k in range(classes)])
        self.register_buffer("healthy", healthy, persistent=False)
        self.register_buffer("tumors", torch.eye(classes)[~healthy], persistent=False)
        self.surroundings: nn.Linear | None = None
        if negative is not None:
            self.surroundings = nn.Linear(backbone.channels, classes - 1)
            nn.init.zeros_(self.surroundings.weight)
            nn.init.zeros_(self.surroundings.bias)
        self.register_buffer("mean", torch.tensor(backbone.mean or 0.0))
        self.register_buffer("std", torch.tensor(backbone.std or 1.0))
        self.needs_statistics = backbone.mean is None
        self._frozen: tuple[nn.Module, ...] = ()

    def normalise_by(self, mean: float, std: float) -> None:
        """Set the normalisation, in units of images in [0, 1]."""
        self.mean.fill_(mean)
        self.std.fill_(std)

    def freeze(self, stages: Sequence[nn.Module]) -> None:
        """Keep stages as they are: neither weights nor batch-norm statistics change."""
        self._frozen = tuple(stages)
        for stage in stages:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> SliceNet:
        """Training mode for all but the frozen stages."""
        super().train(mode)
        for stage in self._frozen:
            stage.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in [0, 1] to the last feature map (N, D, h, w)."""
        features: Tensor = self.backbone((images - self.mean) / self.std)
        return features

    def scores(self, features: Tensor) -> Tensor:
        """(N, D, h, w) features to class scores of every place (N, K, h, w)."""
        kernel = self.head.weight[:, :, None, None]
        return nn.functional.conv2d(self.dropout(features), kernel, self.head.bias)

    def logits(self, features: Tensor) -> Tensor:
        """(N, D, h, w) features to logits (N, K)."""
        if self.surroundings is None:
            logits: Tensor = self.head(self.dropout(features.mean(dim=(2, 3))))
            return logits
        evidence = self.evidence(features)
        tumors = evidence @ self.tumors.T
        mean = self.dropout(features.mean(dim=(2, 3)))
        kinds = (tumors + self.surroundings(mean)).log_softmax(dim=1)
        told = (tumors.logsumexp(dim=1, keepdim=True) + kinds) @ self.tumors
        return torch.where(self.healthy, evidence, told)

    def evidence(self, features: Tensor) -> Tensor:
        """(N, D, h, w) features to what the places say for each class (N, K).

        Pooled by the mean, these are the logits.
        """
        odds = torch.einsum("jk,nkhw->njhw", self.contrast, self.scores(features)).flatten(2)
        if self.negative is None:
            return odds.mean(dim=2)
        joined = odds.logsumexp(dim=2) - math.log(odds.shape[2])
        return torch.where(self.healthy, odds.mean(dim=2), joined)

    def evidence_kernel(self) -> Tensor:
        """(K, D) what each feature at each place adds to the evidence, on the mean over places."""
        return self.contrast @ self.head.weight

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in [0, 1] to logits (N, K)."""
        return self.logits(self.features(images))


def create_network(config: ModelConfig, task: Task, *, weights: Path | None) -> SliceNet:
    """Build the network of a configuration.

    Args:
        config: Names a key of `BACKBONES`.
        task: The classes.
        weights: safetensors file with the weights of the backbone, RGB stem as published; None for
            random ones.

    Raises:
        ConfigError: The name is unknown, more stages are to be frozen than there are, or evidence
            is to be pooled for a task without a negative class.
        TrainingError: The weights do not fit the architecture.
    """
    name, frozen = config.name, config.frozen_stages
    if name not in BACKBONES:
        raise ConfigError(f"model.name {name!r}: expected one of {', '.join(sorted(BACKBONES))}")
    if config.pool == "evidence" and task.negative_class is None:
        raise ConfigError(
            f"model.pool evidence: expected a task with a negative class; {task.name} has none"
        )
    backbone = BACKBONES[name](None if weights is None else _read_weights(weights))
    if frozen > len(backbone.stages):
        raise ConfigError(f"model.frozen_stages {frozen}: {name} has {len(backbone.stages)} stages")
    negative = task.classes.index(task.negative_class or "") if config.pool == "evidence" else None
    network = SliceNet(backbone, len(task.classes), config.dropout, negative)
    network.freeze(backbone.stages[:frozen])
    return network


def _contrast(classes: int, negative: int | None) -> Tensor:
    """(K, K) from scores to what is pooled: the scores themselves, or each against no tumor."""
    matrix = torch.eye(classes)
    if negative is not None:
        others = [k for k in range(classes) if k != negative]
        matrix[others, negative] = -1
        matrix[negative, others] = -1 / len(others)
    return matrix


def parameter_counts(network: nn.Module) -> tuple[int, int]:
    """All parameters and trainable ones."""
    sizes = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, trained in sizes if trained)


Weights = dict[str, Tensor]


def _resnet18(weights: Weights | None) -> Backbone:
    module = timm.create_model("resnet18", in_chans=1, num_classes=0, global_pool="")
    if weights is not None:
        kept = {key: value for key, value in weights.items() if not key.startswith("fc.")}
        kept["conv1.weight"] = one_channel(kept, "conv1.weight", "resnet18")
        load_into(module, kept, "resnet18")
    parts = dict(module.named_children())
    stem = nn.ModuleList([parts["conv1"], parts["bn1"]])
    stages = (stem, *(parts[f"layer{i}"] for i in range(1, 5)))
    mean, std = (None, None) if weights is None else grey(IMAGENET_MEAN, IMAGENET_STD)
    return Backbone(module, 512, mean, std, stages)


def _resnetv2_50_stages3(weights: Weights | None) -> Backbone:
    """Stages 1 to 3 of a pre-activation ResNet-50 (He 2016b): stride 16, 1,024 features."""
    module = ResNetV2(
        layers=[3, 4, 6],
        channels=(256, 512, 1024),
        num_classes=0,
        global_pool="",
        preact=True,
        norm_layer=BatchNormAct2d,
        conv_layer=create_conv2d,
        stem_type="",
    )
    stem = nn.Sequential()
    stem.add_module("conv", nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False))
    stem.add_module("norm", BatchNormAct2d(64))
    stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    module.stem = stem
    mean, std = (None, None)
    if weights is not None:
        mean, std = _load_with_input_norm(module, weights)
    return Backbone(module, 1024, mean, std, (stem, *module.stages))


BACKBONES: dict[str, Callable[[Weights | None], Backbone]] = {
    "resnet18": _resnet18,
    _FINE: _resnetv2_50_stages3,
}


def _load_with_input_norm(module: nn.Module, weights: Weights) -> tuple[float, float]:
    """Load weights whose stem begins with a batch norm of the input, folded into mean and std."""
    kept = {key: value for key, value in weights.items() if ".norm0." not in key}
    kept["stem.conv.weight"] = one_channel(kept, "stem.conv.weight", _FINE)
    new = {key: value for key, value in module.state_dict().items() if key.startswith("norm.")}
    load_into(module, {**new, **kept}, _FINE)
    weight, bias, centre, variance = (
        _of_three(weights, f"stem.norm0.{part}")
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / (variance + 1e-5).sqrt()
    std = [s / float(k) for s, k in zip(IMAGENET_STD, scale, strict=True)]
    shift = centre - bias / scale
    mean = [m + s * float(k) for m, s, k in zip(IMAGENET_MEAN, IMAGENET_STD, shift, strict=True)]
    return grey(mean, std)


def _of_three(weights: Weights, key: str) -> Tensor:
    """(3,) one value for each colour."""
    found = _taken(weights, key, _FINE)
    if found.shape != (3,):
        raise TrainingError(
            f"the weights given do not fit {_FINE}: {key} has shape {tuple(found.shape)}, "
            "expected (3,)"
        )
    return found


def one_channel(weights: Weights, key: str, name: str) -> Tensor:
    """Sum an RGB stem over its input, (D, 3, h, w) to (D, 1, h, w): as if fed grey three times.

    Args:
        weights: All weights of a network.
        key: The kernel of its stem.
        name: What to call the network in an error.

    Raises:
        TrainingError: There is no such kernel.
    """
    kernel = _taken(weights, key, name)
    if kernel.ndim != 4:
        raise TrainingError(
            f"the weights given do not fit {name}: {key} has {kernel.ndim} dimensions, expected 4"
        )
    return kernel.sum(dim=1, keepdim=True)


def grey(mean: Sequence[float], std: Sequence[float]) -> tuple[float, float]:
    """One mean and standard deviation for those of three channels: their averages."""
    return sum(mean) / len(mean), sum(std) / len(std)


def _taken(weights: Weights, key: str, name: str) -> Tensor:
    if key not in weights:
        raise TrainingError(f"the weights given do not fit {name}: {key} is missing")
    return weights[key]


def _read_weights(path: Path) -> Weights:
    try:
        return {key: value.float() for key, value in load_file(path).items()}
    except Exception as error:  # safetensors raises its own type, not a subclass of OSError
        raise TrainingError(f"{path}: expected a safetensors file ({error})") from error


def load_into(module: nn.Module, weights: Weights, name: str) -> None:
    """Load weights that must name every parameter of a backbone and nothing else.

    Args:
        module: The backbone.
        weights: By the names of its parameters.
        name: What to call the network in an error.

    Raises:
        TrainingError: Names or shapes differ.
    """
    try:
        module.load_state_dict(weights)
    except (RuntimeError, KeyError) as error:
        raise TrainingError(f"the weights given do not fit {name}: {error}") from error
