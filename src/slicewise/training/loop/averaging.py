"""Weights averaged over the ends of learning-rate cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L  # noqa: N812 (Lightning's own name for it)
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from slicewise.errors import TrainingError
from slicewise.files import whole

AVERAGE = "average.ckpt"


class CycleEnds(Checkpoint):
    """Keeps the weights at the end of every cycle, in `cycle-N.ckpt`."""

    def __init__(self, folder: Path, ends: Sequence[int]) -> None:
        """Watch the epochs.

        Args:
            folder: Where to write.
            ends: How many epochs have passed at the end of each cycle.
        """
        self._folder = folder
        self._ends = frozenset(ends)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save at the end of a cycle."""
        passed = trainer.current_epoch + 1
        if passed in self._ends:
            _write(_path(self._folder, passed), pl_module.state_dict())


def average_cycles(folder: Path, ends: Sequence[int]) -> None:
    """Write `average.ckpt`: the mean of the weights at the ends of all cycles.

    Averaged weights of one trajectory generalise better than its last ones (Izmailov et al., UAI
    2018). Statistics of batch norm are averaged like weights.

    Args:
        ends: How many epochs have passed at the end of each cycle.

    Raises:
        TrainingError: The run ended before a cycle did.
    """
    missing = [str(end) for end in ends if not _path(folder, end).is_file()]
    if missing:
        raise TrainingError(
            f"checkpoint.export average: expected weights after epochs {', '.join(missing)}; the "
            "run ended before"
        )
    kept = [
        torch.load(_path(folder, end), map_location="cpu", weights_only=True)["state_dict"]
        for end in ends
    ]
    _write(folder / AVERAGE, mean_state(kept))


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Weights of several states of one network, averaged; whole numbers are those of the last.

    Args:
        states: At least one, with the same names and shapes.
    """
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[-1].items()
    }


def _path(folder: Path, end: int) -> Path:
    return folder / f"cycle-{end:03d}.ckpt"


def _write(path: Path, state: Mapping[str, Tensor]) -> None:
    with whole(path) as draft:
        torch.save({"state_dict": dict(state)}, draft)
