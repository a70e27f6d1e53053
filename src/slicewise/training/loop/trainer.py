"""How epochs are driven and watched: Lightning's trainer, its callbacks, device and precision."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import lightning as L  # noqa: N812 (Lightning's own name for it)
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import SimpleProfiler

from slicewise.errors import TrainingError
from slicewise.training.config import RunConfig, TrainerConfig
from slicewise.training.loop.averaging import CycleEnds
from slicewise.training.loop.callbacks import (
    EpochBar,
    EpochLog,
    LastCheckpoint,
    LastingEarlyStopping,
    Milestones,
)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

LOG_NAME = "log.csv"
CHECKPOINTS = "checkpoints"


def callbacks(config: RunConfig, folder: Path) -> list[L.Callback]:
    """What watches the epochs: early stopping, log, bar and checkpoints.

    Args:
        folder: Where log and checkpoints go.
    """
    stopping, checkpoints = config.early_stopping, folder / CHECKPOINTS
    watching: list[L.Callback] = [
        LastingEarlyStopping(
            stopping.monitor,
            stopping.min_delta,
            stopping.patience,
            mode=stopping.mode,
        ),
        EpochLog(folder / LOG_NAME),
        Milestones(stopping.monitor, stopping.mode),
        _best_checkpoint(config, checkpoints),
    ]
    if _bar_wanted():
        watching.append(EpochBar())
    if config.checkpoint.every:
        watching.append(
            ModelCheckpoint(
                checkpoints,
                filename="epoch-{epoch:03d}",
                save_top_k=-1,
                every_n_epochs=config.checkpoint.every,
                save_on_train_epoch_end=True,
                auto_insert_metric_name=False,
            )
        )
    if config.checkpoint.export == "average":
        watching.append(CycleEnds(checkpoints, config.cycle_ends))
    return [*watching, LastCheckpoint(checkpoints / "last.ckpt")]


def trainer_of(config: RunConfig, folder: Path, watching: Iterable[L.Callback]) -> L.Trainer:
    """Lightning's trainer as a run is configured.

    Args:
        folder: Where a profile goes.
        watching: From `callbacks`.

    Raises:
        TrainingError: The device is not on this machine, or cannot do the precision.
    """
    settings = config.trainer
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    profiler = SimpleProfiler(dirpath=folder, filename="profile") if settings.profile else None
    accelerator, precision = device_and_precision(settings)
    return L.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=config.all_epochs,
        precision=precision,
        gradient_clip_val=settings.gradient_clip or None,
        check_val_every_n_epoch=settings.validate_every,
        callbacks=list(watching),
        deterministic=settings.deterministic,
        logger=False,
        profiler=profiler,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=_bar_wanted(),
        default_root_dir=folder,
        use_distributed_sampler=False,
    )


def _bar_wanted() -> bool:
    """A bar in a log would be a line for every step; `Milestones` tells a log enough."""
    return sys.stderr.isatty()


def _best_checkpoint(config: RunConfig, checkpoints: Path) -> ModelCheckpoint:
    stopping = config.early_stopping
    return ModelCheckpoint(
        checkpoints,
        filename="best",
        monitor=stopping.monitor,
        mode=stopping.mode,
        save_top_k=1,
        enable_version_counter=False,
    )


def device_and_precision(settings: TrainerConfig) -> tuple[str, Precision]:
    """What computes, and in which numbers.

    Raises:
        TrainingError: The device is not on this machine, or cannot do the precision.
    """
    device = _device(settings.device)
    return device, _precision(settings.precision, device)


def _device(wanted: str) -> str:
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(name for name, there in available.items() if there)
    if not available[wanted]:
        there = ", ".join(name for name, yes in available.items() if yes)
        raise TrainingError(f"trainer.device {wanted}: not on this machine; available: {there}")
    return wanted


def _precision(wanted: str, device: str) -> Precision:
    if wanted == "auto":
        wanted = {"cuda": "bf16", "cpu": "bf16", "mps": "fp32"}[device]
    if wanted == "fp16" and device != "cuda":
        raise TrainingError(f"trainer.precision fp16: expected device cuda, got {device}; use bf16")
    kinds: dict[str, Precision] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    return kinds[wanted]
