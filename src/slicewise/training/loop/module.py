"""The Lightning module: one step of training, one pass of validation, optimizer and losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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

from slicewise.arrays import Floats
from slicewise.errors import TrainingError
from slicewise.inference.decision import probabilities_of
from slicewise.stats.metrics import accuracy, balanced_accuracy, macro_auroc
from slicewise.training.config import LossConfig, OptimizerConfig, RunConfig, SchedulerConfig
from slicewise.training.data.augment import AugmentDraw, apply, draw, draw_mix, mix, warp
from slicewise.training.data.dataset import Images, Possible
from slicewise.training.network.model import SliceNet

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
    """Backbone and head with their own rates; no decay on norms and biases."""
    groups = []
    for part in (network.backbone, network.head, network.surroundings):
        trained = [p for p in part.parameters() if p.requires_grad] if part is not None else []
        scale = config.backbone_lr_scale if part is network.backbone else 1.0
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


def loss(logits: Tensor, possible: Tensor, weights: Tensor, config: LossConfig) -> Tensor:
    """(N,) loss of each slice of a batch.

    Where a label leaves several classes open, their joint probability counts.

    Args:
        logits: (N, K).
        possible: (N, K) bool, which classes the label leaves open; at least one in each row.
        weights: (K,) class weights; several open classes share their mean.
        config: Which loss; focal is Lin et al. 2017.
    """
    log_p = F.log_softmax(logits, dim=1)
    log_joint = log_p.masked_fill(~possible, -torch.inf).logsumexp(dim=1)
    share = (possible * weights).sum(dim=1) / possible.sum(dim=1)
    hard = share * _term(log_joint, config)
    smooth = (weights * _term(log_p, config)).mean(dim=1)
    return (1 - config.label_smoothing) * hard + config.label_smoothing * smooth


def tumor_loss(logits: Tensor, possible: Tensor, negative: int) -> Tensor:
    """(N,) loss of each slice in telling tumor from none, whatever the type; see `loss`."""
    index = torch.arange(logits.shape[1], device=logits.device)
    side = (index == negative) == possible[:, negative, None]
    return -F.log_softmax(logits, dim=1).masked_fill(~side, -torch.inf).logsumexp(dim=1)


def region_loss(scores: Tensor, regions: Tensor, possible: Tensor, negative: int | None) -> Tensor:
    """Of each slice: how far from the tumor its evidence lies.

    Without a negative class: minus the log of the share of the true class's evidence, a softmax
    over places, that lies in the region. With one, every place is a small picture of its own: it
    shows the tumor's class inside the region and no tumor elsewhere; both sides count alike.

    Args:
        scores: (N, K, h, w) class scores of every place.
        regions: (N, 1, H, W) in [0, 1], 1 inside of the tumor; all 0 where no place is known.
        possible: (N, K) bool, which classes the label leaves open.
        negative: Index of the class without a tumor; None where there is none.

    Returns:
        (N,) losses; 0 where a slice has a tumor but no region.
    """
    cover = F.adaptive_avg_pool2d(regions, (scores.shape[2], scores.shape[3])).flatten(1)
    peak = cover.amax(dim=1, keepdim=True)
    cover = cover / peak.clamp(min=1e-6)
    flat = scores.flatten(2)
    known = peak[:, 0] > 0
    if negative is None:
        evidence = flat.masked_fill(~possible[:, :, None], -torch.inf).logsumexp(dim=1)
        inside = (F.log_softmax(evidence, dim=1) + cover.clamp(min=1e-6).log()).logsumexp(dim=1)
        return torch.where(known, -inside, 0.0)
    log_p = F.log_softmax(flat, dim=1)
    tumor = -log_p.masked_fill(~possible[:, :, None], -torch.inf).logsumexp(dim=1)
    inside, outside = (cover > 0.5).float(), (cover < 0.1).float()
    healthy = possible[:, negative]
    hot = (tumor * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
    cold = (-log_p[:, negative] * outside).sum(dim=1) / outside.sum(dim=1).clamp(min=1)
    return torch.where(healthy, cold, torch.where(known, 0.5 * (hot + cold), 0.0))


def _term(log_p: Tensor, config: LossConfig) -> Tensor:
    return -log_p * (1 - log_p.exp()) ** config.focal_gamma if config.name == "focal" else -log_p


def slice_weights(
    possible: Possible, sources: Sequence[str], balance: float, factors: Mapping[str, float]
) -> Floats:
    """(N,) weights of slices, all 1 where balance is 0 and there are no factors.

    Slices that leave the same classes open share a total weight of their number. Of it each source
    has a part that goes with its number of slices to the power of `1 - balance`. Then come the
    factors, which change totals.

    Args:
        possible: (N, K) which classes each label leaves open.
        sources: (N) names of data sets.
        balance: In [0, 1].
        factors: By source; 1 where it is not named.
    """
    names, weights = np.asarray(sources), np.ones(len(sources))
    for kind in np.unique(possible, axis=0):
        inside = (possible == kind).all(axis=1)
        _, of, counts = np.unique(names[inside], return_inverse=True, return_counts=True)
        wanted = 1 / counts[of] ** balance
        weights[inside] = wanted / wanted.mean()
    return weights * [factors.get(source, 1.0) for source in sources]


def tumor_weights(
    possible: Possible,
    sources: Sequence[str],
    balance: float,
    factors: Mapping[str, float],
    negative: int,
) -> Floats:
    """(N,) weights of slices for `tumor_loss`: 0 in a source with one side only.

    Such a source would teach how it looks rather than what a tumor is. In the others both sides
    count alike. Sources share the total, the number of their slices, as in `slice_weights`.

    Args:
        negative: Index of the class without a tumor.
    """
    names, healthy = np.asarray(sources), possible[:, negative]
    weights = np.zeros(len(names))
    for source in set(names[healthy]) & set(names[~healthy]):
        inside = names == source
        for side in (inside & healthy, inside & ~healthy):
            weights[side] = inside.sum() / (2 * side.sum())
    both = weights > 0
    one = np.ones((both.sum(), 1), dtype=np.bool_)
    weights[both] *= slice_weights(one, names[both].tolist(), balance, factors)
    return weights


def class_weights(possible: Possible, kind: str, weights: Floats) -> Tensor:
    """(K,) weights of classes: ones, or inverse to the total weight of their slices.

    With the latter, slices count 1 in the mean, and all classes alike.

    Args:
        possible: (N, K) which classes each label leaves open; those with several do not count.
        kind: `none` or `balanced`.
        weights: (N,) of the slices.
    """
    classes = possible.shape[1]
    if kind == "none":
        return torch.ones(classes)
    told = possible.sum(axis=1) == 1
    totals = (possible * weights[:, None])[told].sum(axis=0)
    there = totals > 0
    balanced = np.where(there, totals.sum() / (classes * np.where(there, totals, 1)), 0.0)
    return torch.from_numpy(balanced).float()
