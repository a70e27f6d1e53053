"""Backbones: networks that end in a feature map, and start weights for them.

A new model is one builder in `BACKBONES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
from safetensors.torch import load_file
from timm.layers.create_conv2d import create_conv2d
from timm.layers.norm_act import BatchNormAct2d
from timm.models.resnetv2 import ResNetV2
from torch import Tensor, nn

from slicewise.errors import TrainingError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_FINE = "resnetv2_50_stages3"

Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor and the normalisation that its weights expect.

    Args:
        module: (N, 1, H, W) normalised images to (N, channels, h, w) features.
        mean: Subtracted from images in [0, 1]; None where the training split decides.
        std: Divided by afterwards; None where the training split decides.
    """

    module: nn.Module
    channels: int
    mean: float | None
    std: float | None
    stages: tuple[nn.Module, ...]


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


def read_weights(path: Path) -> Weights:
    """Tensors of a safetensors file by name, as float32.

    Raises:
        TrainingError: It is none, or cannot be read.
    """
    try:
        return {key: value.float() for key, value in load_file(path).items()}
    except Exception as error:  # safetensors raises its own type, not a subclass of OSError
        raise TrainingError(f"{path}: expected a safetensors file ({error})") from error


def load_into(module: nn.Module, weights: Weights, name: str) -> None:
    """Load weights that must name every parameter of a backbone and nothing else.

    Raises:
        TrainingError: Names or shapes differ.
    """
    try:
        module.load_state_dict(weights)
    except (RuntimeError, KeyError) as error:
        raise TrainingError(f"the weights given do not fit {name}: {error}") from error
