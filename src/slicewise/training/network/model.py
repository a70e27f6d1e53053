"""Networks: a backbone that ends in a feature map, pooling over places, and a head."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slicewise.config import nearest
from slicewise.data.tasks import Task
from slicewise.errors import ConfigError
from slicewise.training.network.backbones import BACKBONES, Backbone, Statistic
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.head import gradient, layers_before
from slicewise.training.network.start import Start, resume
from slicewise.training.network.timm_backbones import timm_backbone


class SliceNet(nn.Module):
    """Normalisation, backbone, pooling over places, dropout and a head.

    Pooled by `mean`, this is global average pooling and a linear layer, with what the network or
    its configuration put before that layer: a norm, a hidden layer. Pooled by `evidence`, a
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
        self,
        backbone: Backbone,
        classes: int,
        dropout: float,
        negative: int | None = None,
        before: Sequence[nn.Module] = (),
    ) -> None:
        """Build around a backbone; `normalise_by` has to follow where it brings no statistics.

        Args:
            dropout: Right before the last layer.
            negative: Index of the class without a tumor, to pool by evidence; None for the mean.
            before: What pooled features pass before the last layer; only if pooled by the mean.
        """
        super().__init__()
        self.backbone = backbone.module
        self.layout = backbone.layout
        self.before = nn.Sequential(*before)
        widths = [layer.out_features for layer in before if isinstance(layer, nn.Linear)]
        self.head = nn.Linear([backbone.channels, *widths][-1], classes)
        self.dropout = nn.Dropout(dropout)
        self.negative = negative
        self.register_buffer("contrast", _contrast(classes, negative), persistent=False)
        healthy = torch.tensor([k == negative for k in range(classes)])
        self.register_buffer("healthy", healthy, persistent=False)
        others = [k for k in range(classes) if k != negative]
        self.register_buffer("tumors", torch.eye(classes)[others], persistent=False)
        self.surroundings: nn.Linear | None = None
        if negative is not None:
            self.surroundings = nn.Linear(backbone.channels, classes - 1)
            nn.init.zeros_(self.surroundings.weight)
            nn.init.zeros_(self.surroundings.bias)
        self.register_buffer("mean", _statistic(backbone.mean, 0.0, backbone.inputs))
        self.register_buffer("std", _statistic(backbone.std, 1.0, backbone.inputs))
        self.needs_statistics = backbone.mean is None
        self.stages = backbone.stages
        self._frozen: list[nn.Module] = []

    def normalise_by(self, mean: float, std: float) -> None:
        """Units are those of images in [0, 1]."""
        self.mean.fill_(mean)
        self.std.fill_(std)

    def freeze(self, stages: int, but: Sequence[str] = ()) -> None:
        """Keep a part of the backbone: neither its weights nor its batch-norm statistics change.

        Args:
            stages: How many leading stages to keep; all others train.
            but: Names of the only layers of the backbone that train, whatever their stage; of
                several that begin alike, their common beginning. None to go by stages.

        Raises:
            ConfigError: There are fewer stages, or no such layer.
        """
        if stages > len(self.stages):
            raise ConfigError(f"expected at most {len(self.stages)} stages to freeze; got {stages}")
        self.backbone.requires_grad_(True)
        self._frozen = list(self.stages[:stages])
        for stage in self._frozen:
            stage.requires_grad_(False)
        if but:
            self._freeze_all_but(but)
        self.train(self.training)

    def _freeze_all_but(self, names: Sequence[str]) -> None:
        layers = dict(self.backbone.named_modules())
        for name in names:
            if name not in layers:
                raise ConfigError(
                    f"strategy.layers {name!r}: expected a layer of the backbone; "
                    f"nearest: {nearest(name, layers)}"
                )
        beginnings = tuple(f"{name}." for name in names)
        self._frozen = [
            layer
            for own, layer in ((f"{name}.", one) for name, one in layers.items() if name)
            if not own.startswith(beginnings) and not any(one.startswith(own) for one in beginnings)
        ]
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(name.startswith(beginnings))

    def train(self, mode: bool = True) -> SliceNet:
        """Training mode for all but what is frozen."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in [0, 1] to the last feature map (N, D, h, w)."""
        features: Tensor = self.layout(self.backbone((images - self.mean) / self.std))
        return features

    @property
    def scores_places(self) -> bool:
        """Whether the last layer reads the features of places as they are."""
        return len(self.before) == 0

    def scores(self, features: Tensor) -> Tensor:
        """(N, D, h, w) features to class scores of every place (N, K, h, w)."""
        kernel = self.head.weight[:, :, None, None]
        return nn.functional.conv2d(self.dropout(features), kernel, self.head.bias)

    def logits(self, features: Tensor) -> Tensor:
        """(N, D, h, w) features to logits (N, K)."""
        if self.surroundings is None:
            logits: Tensor = self.head(self.dropout(self.before(features.mean(dim=(2, 3)))))
            return logits
        evidence = self.evidence(features)
        tumors = evidence @ self.tumors.T
        mean = self.dropout(features.mean(dim=(2, 3)))
        kinds = (tumors + self.surroundings(mean)).log_softmax(dim=1)
        typed = (tumors.logsumexp(dim=1, keepdim=True) + kinds) @ self.tumors
        return torch.where(self.healthy, evidence, typed)

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

    def gradient(self, pooled: Tensor) -> Tensor:
        """(N, D) pooled features to the gradient of each logit by them (N, K, D)."""
        return gradient(self.before, pooled, self.head.weight)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in [0, 1] to logits (N, K)."""
        return self.logits(self.features(images))


def create_network(
    config: ModelConfig, task: Task, *, weights: Start | None, size: int = 224
) -> SliceNet:
    """Build the network of a configuration.

    Args:
        weights: What to start from; None for random weights.
        size: Side of the input, pixels.

    Raises:
        ConfigError: The name is unknown, the network cannot read the size, the gradient of its head
            is not known, more stages are to be frozen than there are, or evidence is to be pooled
            for a task without a negative class or by another head than a linear one.
        TrainingError: The weights do not fit the architecture.
    """
    name, frozen = config.name, config.frozen_stages
    whole = weights is not None and bool(weights.classes)
    published = None if weights is None or whole else weights.weights
    if name in BACKBONES:
        backbone = BACKBONES[name](published, config.channels)
    else:
        backbone = timm_backbone(name, config.channels, size, published)
    before = layers_before(config, backbone)
    if config.pool == "evidence" and task.negative_class is None:
        raise ConfigError(
            f"model.pool evidence: expected a task with a negative class; {task.name} has none"
        )
    if config.pool == "evidence" and before:
        raise ConfigError(
            f"model.pool evidence: expected a linear layer right behind the pooling; {name} has "
            f"{', '.join(type(layer).__name__ for layer in before)} before it"
        )
    if frozen > len(backbone.stages):
        raise ConfigError(f"model.frozen_stages {frozen}: {name} has {len(backbone.stages)} stages")
    negative = task.classes.index(task.negative_class or "") if config.pool == "evidence" else None
    dropout = config.hidden_dropout if config.hidden else config.dropout
    network = SliceNet(backbone, len(task.classes), dropout, negative, before)
    if weights is not None and whole:
        resume(network, weights, task, name)
        network.needs_statistics = False
    network.freeze(frozen)
    return network


def _statistic(value: Statistic, otherwise: float, inputs: int) -> Tensor:
    """A number for one input, (inputs, 1, 1) for several: one grey channel becomes that many."""
    numbers = torch.tensor(otherwise if value is None else value)
    return numbers if inputs == 1 else numbers.reshape(-1, 1, 1).expand(inputs, 1, 1).clone()


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
