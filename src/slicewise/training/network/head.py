"""What stands between the pooled features and the last layer, and its gradient in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from slicewise.training.network.backbones import Backbone
from slicewise.training.network.config import ModelConfig


def layers_before(config: ModelConfig, backbone: Backbone) -> list[nn.Module]:
    """From pooled features (N, D) to what the last dropout and the last layer read.

    The norm that the backbone brings, batch norm, dropout, a hidden layer with ReLU: those there
    are. Nothing for a linear head.
    """
    layers: list[nn.Module] = [] if backbone.norm is None else [backbone.norm]
    if config.head_norm:
        layers.append(nn.BatchNorm1d(backbone.channels))
    if config.hidden:
        hidden = nn.Linear(backbone.channels, config.hidden)
        layers += [nn.Dropout(config.dropout), hidden, nn.ReLU()]
    return layers


def gradient(layers: Iterable[nn.Module], pooled: Tensor, last: Tensor) -> Tensor:
    """The Jacobian of the logits by the pooled features, in evaluation mode.

    Args:
        layers: What stands before the last layer, from `layers_before`.
        pooled: (N, D) features.
        last: (K, E) weights of the last layer.

    Returns:
        (N, K, D).
    """
    passed: list[tuple[nn.Module, Tensor]] = []
    values = pooled
    for layer in layers:
        passed.append((layer, values))
        values = layer(values)
    found = last.expand(pooled.shape[0], -1, -1)
    for layer, values in reversed(passed):
        found = _PULLED_BACK[type(layer)](layer, values, found)
    return found


def _through_layer_norm(norm: Any, values: Tensor, found: Tensor) -> Tensor:
    """Ba, Kiros and Hinton, 2016: what all features share, and what scales them, cancels out."""
    centred = values - values.mean(dim=1, keepdim=True)
    deviation = (centred.square().mean(dim=1, keepdim=True) + norm.eps).sqrt()
    normed = (centred / deviation)[:, None]
    scaled: Tensor = found * norm.weight
    along = (scaled * normed).mean(dim=2, keepdim=True)
    shared = scaled - scaled.mean(dim=2, keepdim=True) - normed * along
    through: Tensor = shared / deviation[:, None]
    return through


_PULLED_BACK: dict[type[nn.Module], Callable[[Any, Tensor, Tensor], Tensor]] = {
    nn.Linear: lambda layer, _, found: found @ layer.weight,
    nn.ReLU: lambda _, values, found: found * (values > 0)[:, None],
    nn.Dropout: lambda _, __, found: found,
    nn.BatchNorm1d: lambda norm, _, found: (
        found * (norm.weight / (norm.running_var + norm.eps).sqrt())
    ),
    nn.LayerNorm: _through_layer_norm,
}
"""Each layer, what it read (N, D) and the gradient by what it gave (N, K, E): by what it read."""
