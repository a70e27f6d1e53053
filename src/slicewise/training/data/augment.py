"""Augmentation of whole batches: numbers are drawn in one place, then applied without chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

Preset = Literal["none", "light", "standard", "strong"]

_STRENGTHS = (
    *("flip", "rotate", "shift", "zoom", "shear"),
    *("brightness", "contrast", "gamma", "noise", "blur", "erase"),
)
PRESETS: dict[str, tuple[float, ...]] = {
    "none": (0.0,) * len(_STRENGTHS),
    "light": (0.5, 7.5, 0.04, 0.05, 0.0, 0.05, 0.05, 0.0, 0.0, 0.0, 0.0),
    "standard": (0.5, 15.0, 0.08, 0.15, 5.0, 0.1, 0.15, 0.2, 0.02, 0.0, 0.0),
    "strong": (0.5, 20.0, 0.12, 0.2, 10.0, 0.15, 0.25, 0.35, 0.04, 0.3, 0.25),
}
"""Strengths in the order of `_STRENGTHS`."""


class AugmentConfig(BaseModel):
    """Strengths; whatever is not given comes from the preset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Preset = "standard"
    flip: float = Field(0, ge=0, le=1, description="Share of images mirrored left to right.")
    rotate: float = Field(0, ge=0, le=180, description="Largest turn, degrees.")
    shift: float = Field(0, ge=0, le=0.5, description="Largest shift, share of the side.")
    zoom: float = Field(0, ge=0, lt=1, description="Largest change of scale.")
    shear: float = Field(0, ge=0, le=45, description="Largest shear, degrees.")
    brightness: float = Field(0, ge=0, le=1, description="Largest addition.")
    contrast: float = Field(0, ge=0, lt=1, description="Largest change of the factor.")
    gamma: float = Field(0, ge=0, le=2, description="Largest |log| of the exponent.")
    noise: float = Field(0, ge=0, le=1, description="Largest standard deviation.")
    blur: float = Field(0, ge=0, le=1, description="Share of images blurred by 3 x 3.")
    erase: float = Field(0, ge=0, le=1, description="Share of images with a blank border strip.")
    mixup: float = Field(0, ge=0, description="Alpha of the beta distribution; 0 is off.")
    cutmix: float = Field(0, ge=0, description="Alpha of the beta distribution; 0 is off.")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        preset = given.get("preset", "standard")
        values = PRESETS.get(preset) if isinstance(preset, str) else None
        return {**dict(zip(_STRENGTHS, values, strict=True)), **given} if values else given


@dataclass(frozen=True, slots=True)
class AugmentDraw:
    """The numbers for one batch of N images; all (N,) but `shift` (N, 2) and `erase` (N, 4)."""

    flip: Tensor
    angle: Tensor
    shift: Tensor
    scale: Tensor
    shear: Tensor
    brightness: Tensor
    contrast: Tensor
    gamma: Tensor
    noise_sigma: Tensor
    noise_seed: int
    blur: Tensor
    erase: Tensor


@dataclass(frozen=True, slots=True)
class MixDraw:
    """How images of one batch are blended: partner (N,), share of the image itself, and a box."""

    partner: Tensor
    share: float
    box: tuple[int, int, int, int] | None = None


def draw(config: AugmentConfig, count: int, generator: torch.Generator) -> AugmentDraw:
    """Draw the numbers for `count` images."""

    def uniform(limit: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * limit

    def chance(share: float) -> Tensor:
        return torch.rand(count, generator=generator) < share

    edge = torch.randint(0, 4, (count,), generator=generator)
    depth = torch.rand(count, generator=generator) * 0.15
    erased = torch.where(chance(config.erase), depth, 0.0)
    return AugmentDraw(
        flip=chance(config.flip),
        angle=uniform(math.radians(config.rotate)),
        shift=uniform(2 * config.shift, 2),
        scale=1 + uniform(config.zoom),
        shear=uniform(math.tan(math.radians(config.shear))),
        brightness=uniform(config.brightness),
        contrast=1 + uniform(config.contrast),
        gamma=uniform(config.gamma).exp(),
        noise_sigma=uniform(config.noise).abs(),
        noise_seed=int(torch.randint(0, 2**31, (1,), generator=generator)),
        blur=chance(config.blur),
        erase=F.one_hot(edge, 4) * erased[:, None],
    )


def apply(images: Tensor, numbers: AugmentDraw) -> Tensor:
    """Apply drawn numbers to (N, C, H, W) float images in [0, 1]; the result is in [0, 1]."""
    warped = warp(images, numbers)
    blurred = torch.where(_each(numbers.blur, images), F.avg_pool2d(warped, 3, 1, 1), warped)
    erased = blurred * _border_mask(numbers.erase, images.shape[-2], images.shape[-1]).to(images)
    lit = erased.clamp(0, 1) ** _each(numbers.gamma, images)
    lit = lit * _each(numbers.contrast, images) + _each(numbers.brightness, images)
    source = torch.Generator().manual_seed(numbers.noise_seed)
    noise = torch.randn(images.shape, generator=source).to(images)
    return (lit + noise * _each(numbers.noise_sigma, images)).clamp(0, 1)


def draw_mix(
    config: AugmentConfig, count: int, side: int, generator: torch.Generator
) -> MixDraw | None:
    """Draw a mixup (Zhang 2018) or CutMix (Yun 2019) of a batch; None where both are off."""
    use_cutmix = config.cutmix > 0 and (
        config.mixup == 0 or torch.rand(1, generator=generator).item() < 0.5
    )
    alpha = config.cutmix if use_cutmix else config.mixup
    if alpha == 0:
        return None
    partner = torch.randperm(count, generator=generator)
    share = _beta(alpha, generator)
    if not use_cutmix:
        return MixDraw(partner, share)
    half = int(side * math.sqrt(1 - share) / 2)
    row, column = (int(v) for v in torch.randint(0, side, (2,), generator=generator))
    top, left = max(0, row - half), max(0, column - half)
    box = (top, left, min(side, row + half), min(side, column + half))
    area = (box[2] - box[0]) * (box[3] - box[1])
    return MixDraw(partner, 1 - area / side**2, box)


def mix(images: Tensor, numbers: MixDraw) -> Tensor:
    """Blend (N, C, H, W) images with their partners; losses are to be blended by `share` alike."""
    if numbers.box is None:
        return numbers.share * images + (1 - numbers.share) * images[numbers.partner]
    top, left, bottom, right = numbers.box
    pasted = images.clone()
    pasted[:, :, top:bottom, left:right] = images[numbers.partner][:, :, top:bottom, left:right]
    return pasted


def _beta(alpha: float, generator: torch.Generator) -> float:
    """One Beta(alpha, alpha) number by Joehnk's method, from the generator given."""
    while True:
        u, v = (torch.rand(2, generator=generator, dtype=torch.float64) ** (1 / alpha)).tolist()
        if 0 < u + v <= 1:
            return float(u / (u + v))


def warp(images: Tensor, numbers: AugmentDraw) -> Tensor:
    """The change of place alone, for what lies over (N, C, H, W) images; 0 outside of them."""
    cos, sin = numbers.angle.cos() / numbers.scale, numbers.angle.sin() / numbers.scale
    mirror = torch.where(numbers.flip, -1.0, 1.0)
    theta = torch.stack(
        [
            torch.stack([cos * mirror, -sin + numbers.shear, numbers.shift[:, 0]], dim=1),
            torch.stack([sin * mirror, cos, numbers.shift[:, 1]], dim=1),
        ],
        dim=1,
    ).to(images)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _border_mask(erase: Tensor, height: int, width: int) -> Tensor:
    """(N, 1, H, W): 0 in the strips along top, bottom, left and right that are blanked."""
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    keep_rows = (rows >= erase[:, :1]) & (rows <= 1 - erase[:, 1:2])
    keep_columns = (columns >= erase[:, 2:3]) & (columns <= 1 - erase[:, 3:4])
    return (keep_rows[:, None, :, None] & keep_columns[:, None, None, :]).float()


def _each(values: Tensor, images: Tensor) -> Tensor:
    """(N,) numbers drawn on the CPU, shaped to act on (N, C, H, W) images where these are."""
    return values[:, None, None, None].to(images.device)
