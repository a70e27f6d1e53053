"""What watches the epochs of a run: its log and curves, early stopping, and its checkpoints."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 (Lightning's own name for it)
import torch
from lightning.pytorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    ModelCheckpoint,
    RichProgressBar,
)
from torch import Tensor

from slicewise.data.tasks import Task
from slicewise.errors import TrainingError
from slicewise.files import whole
from slicewise.reports.plots import drawing, grid, line_style
from slicewise.training.config import RunConfig
from slicewise.training.network.model import SliceNet, create_network

LOG_NAME = "log.csv"
CHECKPOINTS = "checkpoints"
AVERAGE = "average.ckpt"
LAST = "last.ckpt"
_PREFIX = "network."
COLUMNS = (
    *("epoch", "train_loss", "train_accuracy"),
    *("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_auroc"),
    *("lr", "epoch_seconds", "images_per_second", "data_wait_share"),
)
PANELS = (
    ("loss", ("train_loss", "val_loss")),
    ("score", ("train_accuracy", "val_accuracy", "val_balanced_accuracy", "val_macro_auroc")),
    ("learning rate", ("lr",)),
)


class EpochLog(L.Callback):
    """Appends one row an epoch to `log.csv`, with speed and the share of time spent on data."""

    def __init__(self, path: Path) -> None:
        """Write to `path`; rows of epochs that are repeated after a resume are replaced."""
        self._path = path
        self._began = self._batch_ended = self._waited = 0.0
        self._images, self._validated = 0, False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began = self._batch_ended = time.perf_counter()
        self._waited, self._images, self._validated = 0.0, 0, False

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._waited += time.perf_counter() - self._batch_ended
        self._images += len(batch[0])

    def on_train_batch_end(self, *_: Any) -> None:
        self._batch_ended = time.perf_counter()

    def on_validation_end(self, *_: Any) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trained = self._batch_ended - self._began
        measured = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self._validated or not name.startswith("val_")
        }
        row = {
            **measured,
            "epoch": trainer.current_epoch,
            "lr": trainer.optimizers[0].param_groups[-1]["lr"],
            "epoch_seconds": round(time.perf_counter() - self._began, 2),
            "images_per_second": round(self._images / trained, 2),
            "data_wait_share": round(self._waited / trained, 4),
        }
        kept = [r for r in read_log(self._path) if int(r["epoch"]) < trainer.current_epoch]
        with (
            whole(self._path) as draft,
            draft.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows([*kept, row])


class EpochBar(RichProgressBar):
    """Lightning's bar on stderr, which counts the epochs from one, as every message does."""

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})

    def _get_train_description(self, current_epoch: int) -> str:
        text = f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}"
        return text.ljust(len(self.validation_description))  # else the two bars flicker


class Milestones(L.Callback):
    """Says on stderr when an epoch is the best so far and when a run stops early."""

    def __init__(self, monitor: str, mode: str) -> None:
        """Watch one quantity; `mode` is `min` or `max`."""
        self._monitor, self._sign = monitor, 1 if mode == "max" else -1
        self._best: float | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch:
            announce(f"going on after epoch {trainer.current_epoch} of {trainer.max_epochs}")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        value = trainer.callback_metrics.get(self._monitor)
        if value is None:
            return
        if self._best is None or self._sign * (float(value) - self._best) > 0:
            self._best = float(value)
            announce(
                f"epoch {trainer.current_epoch + 1}: {self._monitor} {self._best:.4f}, best so far"
            )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.should_stop and trainer.current_epoch < (trainer.max_epochs or 0):
            announce(
                f"stopped early after epoch {trainer.current_epoch}: {self._monitor} got no better"
            )

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best}  # a resumed run goes on comparing with it

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = state_dict["best"]


def announce(text: str) -> None:
    """One line for the person who watches a run, on stderr."""
    print(text, file=sys.stderr, flush=True)


def read_log(path: Path) -> list[dict[str, str]]:
    """Rows of a log, none where it does not exist yet."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def plot_curves(log: Path, picture: Path) -> None:
    """Draw loss, scores and learning rate over the epochs of a `log.csv`."""
    rows = read_log(log)
    with drawing(picture, 13, 3.8) as figure:
        for axes, (title, names) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            for index, name in enumerate(names):
                known = [row for row in rows if row.get(name)]
                epochs = [int(row["epoch"]) + 1 for row in known]
                values = [float(row[name]) for row in known]
                axes.plot(epochs, values, marker=".", label=name, **line_style(index))
            axes.set(title=title, xlabel="epoch")
            grid(axes)
            if len(names) > 1:
                axes.legend(frameon=False)


class LastCheckpoint(Checkpoint):
    """Keeps the state after every epoch in one file, replaced in one step."""

    def __init__(self, path: Path) -> None:
        """A run that is killed while it writes leaves the epoch before."""
        self._path = path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
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
        network = create_network(config.model, task, weights=None, size=config.preprocessing.size)
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
    if missing := [str(end) for end in ends if not _path(folder, end).is_file()]:
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
