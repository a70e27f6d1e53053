"""Backbones: networks that end in a feature map, and start weights for those written here.

A new network of our own is one builder in `BACKBONES` and one row in `zoo.catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from safetensors.torch import load_file
from timm.layers.create_conv2d import create_conv2d
from timm.layers.norm_act import BatchNormAct2d
from timm.models.resnetv2 import ResNetV2
from torch import Tensor, nn

from slicewise.errors import TrainingError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_FINE = "resnetv2_50_stages3"
_SHOWN = 5

Weights = dict[str, Tensor]
Statistic = float | tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor and the normalisation that its weights expect.

    Args:
        module: (N, inputs, H, W) normalised images to features.
        channels: D, of each place of the last feature map.
        mean: Subtracted from images in [0, 1], one value or one for each input; None where the
            training split decides.
        std: Divided by afterwards; None where the training split decides.
        stages: Its parts from input to output.
        inputs: Channels that the stem reads; one grey channel is given to each of them.
        norm: Of the features after pooling; None where there is none.
        layout: From what the module returns to the last feature map (N, D, h, w).
    """

    module: nn.Module
    channels: int
    mean: Statistic
    std: Statistic
    stages: tuple[nn.Module, ...]
    inputs: int = 1
    norm: nn.LayerNorm | None = None
    layout: nn.Module = field(default_factory=nn.Identity)


def _resnetv2_50_stages3(weights: Weights | None, inputs: int) -> Backbone:
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
    stem.add_module("conv", nn.Conv2d(inputs, 64, 7, stride=2, padding=3, bias=False))
    stem.add_module("norm", BatchNormAct2d(64))
    stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    module.stem = stem
    mean: Statistic = None
    std: Statistic = None
    if weights is not None:
        mean, std = _load_with_input_norm(module, weights, inputs)
    return Backbone(module, 1024, mean, std, (stem, *module.stages), inputs)


def _custom_cnn(weights: Weights | None, inputs: int) -> Backbone:
    """Five blocks of two convolutions, each halves the side and loses 30 % of its features."""
    widths = (inputs, 32, 64, 128, 256, 512)
    blocks = [
        nn.Sequential(*_convolved(a, b), *_convolved(b, b), nn.MaxPool2d(2), nn.Dropout(0.3))
        for a, b in pairwise(widths)
    ]
    return _own("custom_cnn", nn.Sequential(*blocks), widths[-1], inputs, weights)


def _simple_cnn(weights: Weights | None, inputs: int) -> Backbone:
    """Three convolutions, each halves the side."""
    widths = (inputs, 32, 64, 128)
    blocks = [nn.Sequential(*_convolved(a, b), nn.MaxPool2d(2)) for a, b in pairwise(widths)]
    return _own("simple_cnn", nn.Sequential(*blocks), widths[-1], inputs, weights)


def _convolved(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


def _own(
    name: str, module: nn.Sequential, channels: int, inputs: int, weights: Weights | None
) -> Backbone:
    if weights is not None:
        load_into(module, weights, name)
    return Backbone(module, channels, None, None, tuple(module), inputs)


BACKBONES: dict[str, Callable[[Weights | None, int], Backbone]] = {
    _FINE: _resnetv2_50_stages3,
    "custom_cnn": _custom_cnn,
    "simple_cnn": _simple_cnn,
}
"""Networks that are not timm's: from start weights, if any, and the number of input channels."""


def _load_with_input_norm(
    module: nn.Module, weights: Weights, inputs: int
) -> tuple[Statistic, Statistic]:
    """Load weights whose stem begins with a batch norm of the input, folded into mean and std."""
    kept = {key: value for key, value in weights.items() if ".norm0." not in key}
    if inputs == 1:
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
    return fed_grey(mean, inputs), fed_grey(std, inputs)


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


def fed_grey(colours: Sequence[float], inputs: int) -> float | tuple[float, ...]:
    """A mean or standard deviation of three colours for so many inputs: for one, their average."""
    return sum(colours) / len(colours) if inputs == 1 else tuple(colours)


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
    """Load weights that must name every parameter of a module and nothing else.

    Raises:
        TrainingError: Names or shapes differ.
    """
    known = module.state_dict()
    differ = {
        "missing": [key for key in known if key not in weights],
        "unknown": [key for key in weights if key not in known],
        "of another shape": [
            f"{key} {tuple(value.shape)} instead of {tuple(known[key].shape)}"
            for key, value in weights.items()
            if key in known and value.shape != known[key].shape
        ],
    }
    if any(differ.values()):
        raise misfit(name, differ)
    module.load_state_dict(weights)


def misfit(name: str, differ: dict[str, list[str]]) -> TrainingError:
    """The error for weights whose names or shapes differ: the first of each kind of difference."""
    told = []
    for what, keys in differ.items():
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            verb = "is" if len(keys) == 1 else "are"
            told.append(f"{', '.join(keys[:_SHOWN])}{more} {verb} {what}")
    return TrainingError(f"the weights given do not fit {name}: {'; '.join(told)}")
