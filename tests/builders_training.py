"""Synthetic heads on disk, a manifest of them, and small runs over it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from builders import CLASSES, SPOTS
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.training.config import RunConfig, parse_config
from slicewise.training.network.backbones import BACKBONES, Backbone, Weights
from slicewise.training.network.model import SliceNet

SPLIT_CYCLE = ("train", "val", "train", "test")


def head_image(kind: int, seed: int, side: int = 64) -> np.ndarray:
    """(side, side) uint8: a head of coarse texture, different for every seed, with a spot."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray((255 * rng.random((14, 14))).astype(np.uint8))
    texture = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    inside = (x / 0.75) ** 2 + (y / 0.9) ** 2 < 1
    radius, value = SPOTS[kind]
    place = rng.uniform(-0.25, 0.25, 2)
    spot = np.hypot(y - place[0], x - place[1]) < 2 * radius
    head = np.where(inside, 40 + 0.5 * texture, 0)
    return np.where(spot, value / 6, head).clip(0, 255).astype(np.uint8)


def write_heads(
    folder: Path, groups: int = 4, classes: Sequence[str] = CLASSES, per_group: int = 2
) -> Manifest:
    """Write PNGs and `manifest.csv`: `groups` groups of each class, dealt to splits and folds."""
    rows = []
    for kind, label in enumerate(classes):
        for number in range(groups * per_group):
            group = number // per_group
            seed = 1000 * kind + number
            rows.append(_row(folder, kind, label, seed, group))
    manifest = Manifest(tuple(rows), folder)
    manifest.write(folder / "manifest.csv")
    return manifest


def _row(folder: Path, kind: int, label: str, seed: int, group: int) -> ManifestRow:
    path = folder / label / f"{seed}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(head_image(kind, seed)).save(path)
    return ManifestRow(
        path=f"{label}/{path.name}",
        label=label,
        source="even" if group % 2 == 0 else "odd",
        patient_id="",
        group=f"{label}-{group}",
        split=SPLIT_CYCLE[group % len(SPLIT_CYCLE)],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        width=64,
        height=64,
        extra={"fold": "abc"[group % 3]},
    )


class SmallFeatures(nn.Module):
    """Two strided convolutions, fast to train and to export."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, images):
        return self.second(self.first(images))


def small_backbone(weights: Weights | None, inputs: int) -> Backbone:
    assert weights is None
    assert inputs == 1
    module = SmallFeatures()
    return Backbone(module, 16, None, None, (module.first, module.second))


def register_small(monkeypatch: Any) -> None:
    """Make `small` a name of a model while a test runs."""
    monkeypatch.setitem(BACKBONES, "small", small_backbone)


def run_values(folder: Path, **sections: Any) -> dict[str, Any]:
    """What a YAML of a quick run over `folder/manifest.csv` holds; sections are merged in."""
    values: dict[str, Any] = {
        "name": "quick",
        "seed": 7,
        "runs": str(folder / "runs"),
        "data": {"manifest": str(folder / "manifest.csv"), "batch_size": 8},
        "preprocessing": {"size": 32},
        "model": {"name": "small"},
        "augment": {"preset": "light"},
        "optimizer": {"lr": 0.01},
        "scheduler": {"warmup_epochs": 0.5},
        "trainer": {"epochs": 2, "device": "cpu", "precision": "fp32", "threads": 1},
    }
    for name, given in sections.items():
        own = values.get(name)
        values[name] = {**own, **given} if isinstance(own, dict) else given
    return values


def run_config(folder: Path, **sections: Any) -> RunConfig:
    """A quick run over `folder/manifest.csv`."""
    return parse_config(run_values(folder, **sections), "test")


@torch.no_grad()
def logits_of(network: SliceNet, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """(N, K) float32 logits of (N, S, S) uint8 images, in full precision."""
    parts = [
        network(torch.from_numpy(np.array(images[i : i + batch_size]))[:, None].float() / 255)
        for i in range(0, len(images), batch_size)
    ]
    return torch.cat(parts).numpy()
