"""Weights averaged over the ends of learning-rate cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L  # noqa: N812 (Lightning's own name for it)
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor


class CycleEnds(Checkpoint):
    """Keeps the weights at the end of every cycle, and in the end their mean.

    Averaged weights of one trajectory generalise better than its last ones (Izmailov et al., UAI
    2018). Statistics of batch norm are averaged like weights.
    """

    def __init__(self, folder: Path, ends: Sequence[int]) -> None:
        """Write `cycle-N.ckpt` and `average.ckpt`.

        Args:
            folder: Where to.
            ends: How many epochs have passed at the end of each cycle.
        """
        self._folder = folder
        self._ends = list(ends)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save at the end of a cycle."""
        passed = trainer.current_epoch + 1
        if passed in self._ends:
            self._write(self._path(passed), pl_module.state_dict())

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the mean; not where a run was interrupted."""
        if all(self._path(end).is_file() for end in self._ends):
            kept = [torch.load(self._path(end), weights_only=True) for end in self._ends]
            self._write(self._folder / "average.ckpt", mean_state([k["state_dict"] for k in kept]))

    def _path(self, end: int) -> Path:
        return self._folder / f"cycle-{end:03d}.ckpt"

    def _write(self, path: Path, state: Mapping[str, Tensor]) -> None:
        partial = path.with_suffix(".partial")
        torch.save({"state_dict": dict(state)}, partial)
        partial.replace(path)


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Weights of several states of one network, averaged; what counts steps is that of the last.

    Args:
        states: At least one, with the same names and shapes.
    """
    last = states[-1]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in last.items()
    }
