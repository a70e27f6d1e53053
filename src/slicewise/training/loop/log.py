"""What a run says while it trains: its log, its curves, and lines for who watches it."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 (Lightning's own name for it)
from lightning.pytorch.callbacks import RichProgressBar

from slicewise.files import whole
from slicewise.reports.plots import drawing, grid, line_style

LOG_NAME = "log.csv"
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
        """Say where a run goes on that was interrupted."""
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
        """Say why the run ended before its last epoch, if it did."""
        if trainer.should_stop and trainer.current_epoch < (trainer.max_epochs or 0):
            announce(
                f"stopped early after epoch {trainer.current_epoch}: {self._monitor} got no better"
            )

    def state_dict(self) -> dict[str, Any]:
        """The best value, so that a resumed run goes on comparing with it."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best value of the interrupted run."""
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
