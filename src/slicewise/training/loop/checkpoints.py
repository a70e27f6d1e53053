"""What watches the epochs of a run, and its checkpoints: what is kept of its weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L  # noqa: N812 (Lightning's own name for it)
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from torch import Tensor

from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.files import whole
from slicewise.training.config import RunConfig
from slicewise.training.loop.log import LOG_NAME, EpochBar, EpochLog, Milestones
from slicewise.training.network.model import SliceNet, create_network

CHECKPOINTS = "checkpoints"
AVERAGE = "average.ckpt"
LAST = "last.ckpt"
_PREFIX = "network."


class LastCheckpoint(Checkpoint):
    """Keeps the state after every epoch in one file, replaced in one step."""

    def __init__(self, path: Path) -> None:
        """A run that is killed while it writes leaves the epoch before."""
        self._path = path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save, after the best checkpoint and early stopping have noted this epoch."""
        with whole(self._path) as draft:
            trainer.save_checkpoint(draft)


class CycleEnds(Checkpoint):
    """Keeps the weights at the end of every cycle, in `cycle-N.ckpt`."""

    def __init__(self, folder: Path, ends: Sequence[int]) -> None:
        self._folder = folder
        self._ends = frozenset(ends)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        passed = trainer.current_epoch + 1
        if passed in self._ends:
            _write(_path(self._folder, passed), pl_module.state_dict())


class LastingEarlyStopping(EarlyStopping):
    """Early stopping that is not forgotten when a run that it ended is taken up again."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once where the run had been stopped."""
        if self.stopped_epoch:
            trainer.should_stop = True


def callbacks(config: RunConfig, folder: Path) -> list[L.Callback]:
    """What watches the epochs: early stopping, log, bar and, the last epoch last, checkpoints."""
    stopping, kept = config.early_stopping, folder / CHECKPOINTS
    monitor, mode = stopping.monitor, stopping.mode
    watching = [
        LastingEarlyStopping(monitor, stopping.min_delta, stopping.patience, mode=mode),
        EpochLog(folder / LOG_NAME),
        Milestones(monitor, mode),
        ModelCheckpoint(
            kept, filename="best", monitor=monitor, mode=mode, enable_version_counter=False
        ),
    ]
    if sys.stderr.isatty():  # in a log, a bar would be a line for every step
        watching.append(EpochBar())
    if config.checkpoint.every:
        often = ModelCheckpoint(
            kept,
            filename="epoch-{epoch:03d}",
            save_top_k=-1,
            every_n_epochs=config.checkpoint.every,
            save_on_train_epoch_end=True,
            auto_insert_metric_name=False,
        )
        watching.append(often)
    if config.checkpoint.export == "average":
        watching.append(CycleEnds(kept, config.cycle_ends))
    return [*watching, LastCheckpoint(kept / LAST)]


def trained_network(config: RunConfig, task: Task, folder: Path) -> SliceNet:
    """The network of the checkpoint that a run exports, in evaluation mode.

    The checkpoint holds every weight and the normalisation, so no start weights are needed.

    Raises:
        TrainingError: There is no such checkpoint, or it does not fit the configuration.
    """
    path = folder / CHECKPOINTS / f"{config.checkpoint.export}.ckpt"
    if not path.is_file():
        raise TrainingError(f"{path}: expected the checkpoint of a finished run; there is none")
    with torch.random.fork_rng(()):  # its first weights are drawn, and not wanted
        network = create_network(config.model, task, weights=None)
    network = network.to(memory_format=torch.channels_last)
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    try:
        network.load_state_dict({name.removeprefix(_PREFIX): part for name, part in state.items()})
    except RuntimeError as error:
        raise TrainingError(
            f"{path}: expected the weights of {config.model.name}: {error}"
        ) from error
    return network.eval()


def average_cycles(folder: Path, ends: Sequence[int]) -> None:
    """Write `average.ckpt`: the mean of the weights at the ends of all cycles.

    Averaged weights of one trajectory generalise better than its last ones (Izmailov et al., UAI
    2018). Statistics of batch norm are averaged like weights.

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
    """Weights of several states of one network, averaged; whole numbers are those of the last."""
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
