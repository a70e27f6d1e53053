"""Which part of a network trains in which epoch."""

from __future__ import annotations

from slicewise.errors import ConfigError
from slicewise.training.config import RunConfig
from slicewise.training.network.model import SliceNet, parameter_counts


def frozen_stages(config: RunConfig, stages: int, epoch: int) -> int:
    """How many leading stages of a backbone do not train in an epoch, counted from 0.

    Args:
        stages: That the backbone has.

    Raises:
        ConfigError: More stages are to train than there are.
    """
    always, strategy = config.model.frozen_stages, config.strategy
    if strategy.name == "head":
        return stages
    if strategy.name == "two_phase":
        return stages if epoch < strategy.epochs else always
    if strategy.name == "progressive":
        return max(always, stages - epoch // strategy.epochs)
    if strategy.stages is None:
        return always
    if strategy.stages > stages:
        raise ConfigError(
            f"strategy.stages {strategy.stages}: {config.model.name} has {stages} stages"
        )
    return max(always, stages - strategy.stages)


def freeze(network: SliceNet, config: RunConfig, epoch: int) -> None:
    """Freeze what does not train in an epoch, and nothing else.

    Raises:
        ConfigError: There are fewer stages, or no such layer.
    """
    stages = frozen_stages(config, len(network.stages), epoch)
    network.freeze(stages, config.strategy.layers)


def counts_in_words(network: SliceNet, config: RunConfig) -> str:
    """All parameters, and those that train in the first and in the last epoch."""
    found = []
    for epoch in (0, config.all_epochs - 1):
        freeze(network, config, epoch)
        everything, trained = parameter_counts(network)
        found.append(f"{trained / 1e6:.1f} M")
    grows = config.strategy.in_phases
    trained_words = (
        f"{found[0]} trained at first, {found[1]} at last" if grows else f"{found[0]} trained"
    )
    return f"{everything / 1e6:.1f} M parameters, {trained_words}"
