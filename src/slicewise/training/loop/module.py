"""The Lightning module: one step of training, one pass of validation, and the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import lightning as L  # noqa: N812 (Lightning's own name for it)
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from torch import Tensor
from torch.optim.lr_scheduler import (
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from slicewise.errors import TrainingError
from slicewise.inference.decision import probabilities_of
from slicewise.stats.metrics import accuracy, balanced_accuracy, macro_auroc
from slicewise.training.config import OptimizerConfig, RunConfig, SchedulerConfig
from slicewise.training.data.augment import AugmentDraw, apply, draw, draw_mix, mix, warp
from slicewise.training.data.dataset import Images
from slicewise.training.loop.losses import loss, region_loss, tumor_loss
from slicewise.training.network.model import SliceNet
from slicewise.training.network.strategy import freeze

Batch = tuple[Tensor, Tensor, Tensor]


class SliceModule(L.LightningModule):
    """Trains a `SliceNet` on uint8 batches; augmentation runs on whole batches on the device."""

    class_weights: Tensor
    slice_weights: Tensor
    tumor_weights: Tensor | None

    def __init__(
        self,
        network: SliceNet,
        config: RunConfig,
        class_weights: Tensor,
        slice_weights: Tensor,
        regions: Images | None = None,
        tumor: tuple[int, Tensor] | None = None,
    ) -> None:
        """Take (K,) and (N,) weights in the loss, and regions as in `LabelledSlices`.

        Args:
            tumor: Index of the class without a tumor and (N,) weights, for `tumor_loss`.
        """
        super().__init__()
        self.network = network
        self.config = config
        self._regions = regions
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.register_buffer("slice_weights", slice_weights, persistent=False)
        self._negative, weights = tumor or (0, None)
        self.register_buffer("tumor_weights", weights, persistent=False)
        self._seen: list[tuple[Tensor, Tensor]] = []

    def on_train_epoch_start(self) -> None:
        """Freeze what the strategy does not train in this epoch."""
        freeze(self.network, self.config, self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Augment, predict, and return the loss.

        Raises:
            TrainingError: The loss is no longer a finite number.
        """
        images, possible, positions = batch
        # Fresh numbers for every batch, the same ones after a resume.
        state = np.random.SeedSequence((self.config.seed, self.current_epoch, batch_idx))
        seed = int(state.generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout draws from the global generator
        numbers = draw(self.config.augment, len(images), generator)
        pixels = apply(images.float() / 255, numbers)
        regions = self._warped_regions(positions, numbers)
        blend = draw_mix(self.config.augment, len(images), images.shape[-1], generator)
        if blend is not None:
            pixels = mix(pixels, blend)
        features = self.network.features(pixels.contiguous(memory_format=torch.channels_last))
        logits = self.network.logits(features).float()
        scores = None if regions is None else self.network.scores(features).float()

        def of(order: Tensor) -> Tensor:
            """Mean loss where the slices are taken for others of the batch."""
            own = loss(logits, possible[order], self.class_weights, self.config.loss)
            if scores is not None and regions is not None:
                places = region_loss(scores, regions[order], possible[order], self.network.negative)
                own = own + self.config.loss.region * places
            own = own * self.slice_weights[positions[order]]
            if self.tumor_weights is not None:
                sides = tumor_loss(logits, possible[order], self._negative)
                weights = self.tumor_weights[positions[order]]
                own = own + self.config.loss.tumor * sides * weights
            return own.mean()

        value = of(torch.arange(len(images), device=images.device))
        if blend is not None:
            value = blend.share * value + (1 - blend.share) * of(blend.partner)
        if not math.isfinite(value.item()):
            raise TrainingError(
                f"the loss became {value.item()} in epoch {self.current_epoch}, batch {batch_idx}; "
                "a lower optimizer.lr or a gradient_clip may help"
            )
        main = possible if blend is None or blend.share >= 0.5 else possible[blend.partner]
        hits = main.gather(1, logits.argmax(1, keepdim=True)).float().mean()
        self.log("train_loss", value, on_epoch=True, on_step=False, prog_bar=True)
        self.log("train_accuracy", hits, on_epoch=True, on_step=False)
        return value

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect logits of one batch."""
        images, possible, _ = batch
        pixels = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        logits = self.network(pixels).float()
        self._seen.append((logits.cpu(), possible.int().argmax(1).cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log loss, accuracy and AUROC of the whole validation split."""
        logits = torch.cat([part for part, _ in self._seen])
        targets = torch.cat([part for _, part in self._seen])
        self._seen.clear()
        self.log("val_loss", F.cross_entropy(logits, targets), prog_bar=True)
        true, predicted = targets.numpy(), logits.argmax(1).numpy()
        present = np.unique(true).tolist()
        self.log("val_accuracy", accuracy(predicted, true), prog_bar=True)
        self.log("val_balanced_accuracy", balanced_accuracy(predicted, true, present))
        if len(present) > 1:
            auroc = macro_auroc(probabilities_of(logits.numpy(), None), true, present)
            self.log("val_macro_auroc", auroc, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """The optimizer and schedule of the configuration."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, scheduler = optimizer_and_schedule(self.network, self.config, steps)
        if scheduler is None:
            return optimizer
        plan: dict[str, Any] = {"scheduler": scheduler, "interval": "step"}
        if isinstance(scheduler, ReduceLROnPlateau):
            watched = self.config.early_stopping.monitor
            never = 2**31  # the module steps it: Lightning would do so after the epoch is saved
            plan |= {"interval": "epoch", "monitor": watched, "frequency": never}
        return {"optimizer": optimizer, "lr_scheduler": plan}

    def on_train_epoch_end(self) -> None:
        """Step a plateau schedule, before the epoch is saved."""
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics[self.config.early_stopping.monitor])

    def _warped_regions(self, positions: Tensor, numbers: AugmentDraw) -> Tensor | None:
        """(N, 1, S, S) in [0, 1] the tumor regions of a batch, moved as its images are."""
        if self._regions is None:
            return None
        chosen = torch.from_numpy(self._regions[positions.cpu().numpy()])
        return warp(chosen[:, None].to(positions.device).float() / 255, numbers)


def optimizer_and_schedule(
    network: SliceNet, config: RunConfig, steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler | ReduceLROnPlateau | None]:
    """What changes the weights, and how its rate changes over so many batches of all epochs.

    Raises:
        TrainingError: The schedule cannot be spread over so many steps.
    """
    freeze(network, config, config.all_epochs - 1)  # all that ever trains has its place
    optimizer = _optimizer(network, config.optimizer)
    epoch_steps = max(1, steps // config.all_epochs)
    mode = config.early_stopping.mode
    try:
        return optimizer, _scheduler(optimizer, config.scheduler, steps, epoch_steps, mode)
    except ZeroDivisionError:
        raise TrainingError(
            f"scheduler {config.scheduler.name}: cannot be spread over {steps} steps; expected "
            "other trainer.epochs or data.batch_size"
        ) from None


def _optimizer(network: SliceNet, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Stages of the backbone and head with their own rates; no decay on norms and biases."""
    groups = []
    for part, scale in _rates(network, config):
        trained = [p for p in part if p.requires_grad]
        for matrix, decay in ((True, config.weight_decay), (False, 0.0)):
            if chosen := [p for p in trained if (p.ndim > 1) is matrix]:
                rate = config.lr * scale
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    if config.name == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(groups, lr=config.lr, momentum=momentum, nesterov=momentum > 0)
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "adamax": torch.optim.Adamax,
    }
    return kinds[config.name](groups, lr=config.lr)


def _rates(network: SliceNet, config: OptimizerConfig) -> Iterator[tuple[Sequence[Tensor], float]]:
    """Parameters with the share of `optimizer.lr` that is theirs, the head's last."""
    rest, rate = list(network.backbone.parameters()), config.backbone_lr_scale
    if config.stage_lr_decay < 1:
        stages = [list(stage.parameters()) for stage in network.stages]
        for back, stage in enumerate(reversed(stages)):
            yield stage, rate * config.stage_lr_decay**back
        known = {id(p) for stage in stages for p in stage}
        rest = [p for p in rest if id(p) not in known]
    yield rest, rate
    for part in (network.before, network.head, network.surroundings):
        yield list(part.parameters()) if part is not None else [], 1.0


def _scheduler(
    optimizer: torch.optim.Optimizer,
    config: SchedulerConfig,
    steps: int,
    epoch_steps: int,
    mode: Literal["min", "max"],
) -> LRScheduler | ReduceLROnPlateau | None:
    """Built over steps, except plateau, which watches the validation."""
    if config.name == "none":
        return None
    if config.name == "plateau":
        return ReduceLROnPlateau(optimizer, mode, config.factor, config.patience)
    if config.name == "step":
        return StepLR(optimizer, config.step_epochs * epoch_steps, config.factor)
    if config.name == "onecycle":
        peaks = [float(group["lr"]) for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=0.1)
    warmup = round(config.warmup_epochs * epoch_steps)
    cycle = config.cycle_epochs * epoch_steps
    first = steps - config.cycles * cycle

    def share(step: int) -> float:
        """Of the highest rate (Loshchilov and Hutter, ICLR 2017)."""
        if step < warmup:
            return (step + 1) / warmup
        if step < first or not config.cycles:
            return _cosine((step - warmup) / max(1, first - warmup), config.final_share)
        begun = (min(step, steps - 1) - first) % cycle  # the last rate stays where all is done
        return config.cycle_share * _cosine(begun / cycle, config.final_share)

    return LambdaLR(optimizer, share)


def _cosine(progress: float, final: float) -> float:
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
