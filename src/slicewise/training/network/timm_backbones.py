"""Networks of timm as backbones, cut behind their last feature map.

A network fits if its answer is a linear layer on the mean of its last feature map, with or without
a LayerNorm in between: then the gradient of the head is known. A network outside of the catalogue
is run once to see whether this holds.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg, group_modules, group_parameters
from torch import Tensor, nn

from slicewise.errors import ConfigError, TrainingError
from slicewise.training.network.backbones import Backbone, Weights, fed_grey, misfit
from slicewise.zoo.catalogue import CATALOGUE, unknown

_NORMS = ("fc_norm", "head.norm")
_HEADS = ("head", "pre_logits")
_LINE = {
    "Missing key": "missing",
    "Unexpected key": "unknown",
    "size mismatch": "of another shape",
}
_TOLERANCE = 1e-4


class ChannelsFirst(nn.Module):
    """(N, h, w, D) to (N, D, h, w)."""

    def forward(self, features: Tensor) -> Tensor:
        """Move the features behind the slices."""
        return features.permute(0, 3, 1, 2)


class TokensToMap(nn.Module):
    """(N, prefix + h w, D) tokens to (N, D, h, w), without those that stand for no place."""

    def __init__(self, prefix: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self._prefix, self._grid = prefix, grid

    def forward(self, tokens: Tensor) -> Tensor:
        """Row by row."""
        return tokens[:, self._prefix :].transpose(1, 2).reshape(-1, tokens.shape[2], *self._grid)


def timm_backbone(name: str, inputs: int, size: int, weights: Weights | None) -> Backbone:
    """A network of timm without its head.

    Args:
        name: Of the catalogue, or as timm has it.
        inputs: Channels that the stem reads.
        size: Side of the input, pixels.
        weights: As published, with or without the last layer; None for random ones.

    Raises:
        ConfigError: There is no such network, it cannot be built at that size, or the gradient of
            its head is not known.
        TrainingError: The weights do not fit.
    """
    config = published_config(name)
    model = _created(name, inputs, size, weights, config)
    norm = _norm(model)
    seen = None if name in CATALOGUE else _seen(name, model, inputs, size)
    try:
        _cut(model)
    except AssertionError as error:  # its pooling cannot be taken away
        raise _unknown_head(name) from error
    layout = _layout(model)
    mean, std = None, None
    if weights is not None:
        mean, std = fed_grey(config.mean, inputs), fed_grey(config.std, inputs)
    backbone = Backbone(model, model.num_features, mean, std, _stages(model), inputs, norm, layout)
    if seen is not None:
        _require_known_head(name, backbone, seen)
    return backbone


def timm_name(name: str) -> str:
    """The name in timm of a network.

    Raises:
        ConfigError: timm has no such network.
    """
    row = CATALOGUE.get(name)
    found = name if row is None else row.timm_name
    if found is None or not timm.is_model(found):
        raise unknown(name)
    return found


def published_config(name: str) -> PretrainedCfg:
    """What timm knows of a network's published weights, and of what they read.

    Raises:
        ConfigError: timm has no such network.
    """
    config = timm.get_pretrained_cfg(timm_name(name))
    if config is None:
        raise unknown(name)
    return config


def _created(
    name: str, inputs: int, size: int, weights: Weights | None, config: PretrainedCfg
) -> Any:
    options: dict[str, Any] = {"in_chans": inputs, "num_classes": 0, "global_pool": "avg"}
    if config.fixed_input_size:
        options["img_size"] = size
    model = _bare(name, size, options)
    if config.fixed_input_size:
        _require_whole_patches(name, size, model)
    if weights is None:
        return model
    known, last = model.state_dict(), _listed(config.classifier)
    stems = [f"{layer}.weight" for layer in _listed(config.first_conv)]
    kept = {key: value for key, value in weights.items() if key.rpartition(".")[0] not in last}
    if "fc_norm.weight" in known:  # published in front of the pooling, it stands behind the mean
        kept = {re.sub("^norm[.]", "fc_norm.", key): value for key, value in kept.items()}
    if odd := [key for key in stems if key in kept and kept[key].ndim != known[key].ndim]:
        raise misfit(name, {"of another shape": odd})  # timm would leave it at random
    # Loaded by name, and nothing left out: as if the weights never had a last layer.
    overlay = {"state_dict": kept, "num_classes": 0, "classifier": None}
    try:
        with _quiet():
            return timm.create_model(
                timm_name(name), pretrained=True, pretrained_cfg_overlay=overlay, **options
            )
    except Exception as error:  # timm asserts, and raises what torch does
        if differ := _differences(str(error)):
            raise misfit(name, differ) from error
        raise TrainingError(f"the weights given do not fit {name}: {_first_line(error)}") from error


def _require_whole_patches(name: str, size: int, model: Any) -> None:
    """Refuse a size of which timm would leave out the last rows and columns."""
    sides = getattr(getattr(model, "patch_embed", None), "patch_size", 1)
    patch = sides if isinstance(sides, int) else sides[0]
    if size % patch:
        at = max(1, round(size / patch)) * patch
        raise ConfigError(
            f"preprocessing.size {size}: {name} reads multiples of {patch}; nearest: {at}"
        )


def _listed(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _bare(name: str, size: int, options: dict[str, Any]) -> Any:
    try:
        with _quiet():
            return timm.create_model(timm_name(name), **options)
    except Exception as error:  # timm asserts, and raises what torch does
        raise ConfigError(
            f"model.name {name}, preprocessing.size {size}: cannot be built with a mean over its "
            f"last feature map ({_first_line(error)})"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of timm on stderr."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _differences(message: str) -> dict[str, list[str]]:
    """Names by what is wrong with them, from the message of torch."""
    found: dict[str, list[str]] = {}
    for line in message.splitlines():
        for begin, what in _LINE.items():
            if line.strip().startswith(begin):
                names = re.findall(r'"([^"]+)"', line) or re.findall(r"mismatch for ([^:]+):", line)
                found[what] = [*found.get(what, []), *names]
    return found


def _norm(model: Any) -> nn.LayerNorm | None:
    """The norm after pooling, on (N, D), with the weights of the model's own."""
    for path in _NORMS:
        try:
            own = model.get_submodule(path)
        except AttributeError:
            continue
        if isinstance(own, nn.LayerNorm):
            norm = nn.LayerNorm(own.normalized_shape, own.eps)
            norm.weight, norm.bias = own.weight, own.bias
            return norm
    return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a network of timm does before it is cut: with an image, and with features at random."""

    image: Tensor
    features: Tensor
    drawn: Tensor  # of the shape of the features
    pooled: Tensor  # (1, D) that the last layer would read for them


def _seen(name: str, model: Any, inputs: int, size: int) -> _Seen:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, inputs, size, size, generator=generator)
    model.eval()
    try:
        with torch.no_grad():
            features = model.forward_features(image)
            drawn = torch.randn(features.shape, generator=generator)
            return _Seen(image, features, drawn, model.forward_head(drawn))
    except Exception as error:  # whatever a network does with a size that it does not take
        raise ConfigError(
            f"model.name {name}: cannot read preprocessing.size {size} ({_first_line(error)})"
        ) from error


def _cut(model: Any) -> None:
    """Leave nothing behind the last feature map."""
    model.reset_classifier(0, "")
    for name in (*_HEADS, "fc_norm"):
        if isinstance(getattr(model, name, None), nn.Module):
            setattr(model, name, nn.Identity())


def _layout(model: Any) -> nn.Module:
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if getattr(model, "output_fmt", None) == "NHWC":
        return ChannelsFirst()
    if hasattr(model, "num_prefix_tokens") and grid is not None:
        return TokensToMap(model.num_prefix_tokens, grid)
    return nn.Identity()


def _stages(model: Any) -> tuple[nn.Module, ...]:
    """Its parts as timm groups them; a norm that is a group of its own goes with what it follows.

    Parameters that belong to no layer, such as a class token, are in the group that timm says.
    """
    try:
        matcher = model.group_matcher(coarse=True)
    except (AttributeError, AssertionError):  # timm does not know its parts: all of it is one
        return (model,)
    modules, parameters = group_modules(model, matcher), group_parameters(model, matcher)
    named = dict(model.named_parameters())
    stages: list[nn.ModuleList] = []
    for group in sorted({*modules, *parameters}):
        own = [named[name] for name in parameters.get(group, ())]
        if not stages or any(parameter.ndim > 1 for parameter in own):
            stages.append(nn.ModuleList())
        stages[-1].extend(model.get_submodule(name) for name in modules.get(group, ()))
        stages[-1].append(nn.ParameterList(own))
    return tuple(stages)


def _require_known_head(name: str, backbone: Backbone, seen: _Seen) -> None:
    """Compare the mean of the last feature map, normed if need be, with what timm makes of it."""
    norm = backbone.norm or nn.Identity()
    try:
        with torch.no_grad():
            pairs = (
                (backbone.module.eval()(seen.image), seen.features),
                (norm(backbone.layout(seen.drawn).mean(dim=(2, 3))), seen.pooled),
            )
        if all(torch.allclose(*pair, rtol=_TOLERANCE, atol=_TOLERANCE) for pair in pairs):
            return
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):  # it gives no map
        pass
    finally:
        backbone.module.train()
    raise _unknown_head(name)


def _unknown_head(name: str) -> ConfigError:
    return ConfigError(
        f"model.name {name}: expected a network whose last layer reads the mean of its last "
        "feature map, with or without a LayerNorm in between; what stands between them here is "
        "something else, so that the gradient of its head is not known"
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
