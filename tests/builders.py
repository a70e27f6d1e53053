"""Small things that tests are made of: slices, networks and bundles, all built in code."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from slicewise.arrays import Array
from slicewise.imaging.preprocess import PreprocessSpec, preprocess, to_batch
from slicewise.imaging.slice import Slice
from slicewise.inference.bundle import (
    CARD_NAME,
    MODEL_NAME,
    Bundle,
    BundleInfo,
    Origin,
    Preprocessing,
    TaskInfo,
    load_bundle,
    write_bundle,
)
from slicewise.inference.rule import (
    STUDY_RULES,
    Acceptance,
    Conformal,
    DecisionRule,
    OperatingPoint,
    OutOfDistribution,
)
from slicewise.training.export.graph import onnx_bytes, rounded
from slicewise.training.network.backbones import Backbone
from slicewise.training.network.model import SliceNet

CLASSES = ("glioma", "meningioma", "no_tumor", "pituitary")
SIZE = 64


def head_pixels(side: int = 128, seed: int = 0, centre: tuple[float, float] = (0.5, 0.5)) -> Array:
    """(side, side) float32: a textured bright disc on black, seen as a head."""
    y, x = np.mgrid[0:side, 0:side] / side
    noise = np.random.default_rng(seed).normal(0, 0.05, (side, side))
    disc = np.hypot(y - centre[0], x - centre[1]) < 0.35
    return np.where(disc, 0.6 + noise, 0.0).astype(np.float32) * 1000


SPOTS = ((0.12, 1500.0), (0.05, 1500.0), (0.0, 0.0), (0.12, 0.0))
"""Radius (share of the side) and value of the spot that stands for each class."""


def head_with_spot(
    kind: int, side: int = 128, seed: int = 0, at: tuple[float, float] = (0.5, 0.5)
) -> Array:
    """A head with the spot of class `kind`: large bright, small bright, none, large dark."""
    radius, value = SPOTS[kind]
    y, x = np.mgrid[0:side, 0:side] / side
    spot = np.hypot(y - at[0], x - at[1]) < radius
    return np.where(spot, value, head_pixels(side, seed)).astype(np.float32)


def make_slice(pixels: Array | None = None, **known: Any) -> Slice:
    """A slice from an array; a textured disc where none is given."""
    values = head_pixels() if pixels is None else np.asarray(pixels, dtype=np.float32)
    return Slice(values, **{"source": "slice.png", **known})


class _Small(nn.Module):
    """Three convolutions down to an eighth of the side; the last map is not all positive."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 8, 16, 16)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in pairwise(widths)
            )
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(images)
        return features


@lru_cache(maxsize=2)
def trained_network(classes: int = 4) -> SliceNet:
    """A small network after a few steps on heads whose class is the kind of spot."""
    torch.manual_seed(0)
    network = SliceNet(Backbone(_Small(), 16, 0.3, 0.25, ()), classes, dropout=0.0)
    images, targets = spot_batch(64, classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()
    return network.eval()


def spot_batch(count: int, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 1, SIZE, SIZE) images in [0, 1] and their classes."""
    targets = np.arange(count) % classes
    spec = PreprocessSpec(size=SIZE)
    places = np.random.default_rng(0).uniform(0.38, 0.62, (count, 2))
    images = [
        preprocess(head_with_spot(int(k), seed=i, at=tuple(places[i])), spec).image
        for i, k in enumerate(targets)
    ]
    return torch.from_numpy(to_batch(np.stack(images))), torch.from_numpy(targets)


def decision_rule(threshold: float = 0.4, temperature: float = 1.5) -> DecisionRule:
    point = OperatingPoint(
        threshold=threshold, rule="youden_j", sensitivity=0.9, specificity=0.8, n=40, groups=20
    )
    return DecisionRule(temperature=temperature, operating_point=point)


def fitted_rule(
    threshold: float = 0.4,
    *,
    smallest: dict[str, float] | None = None,
    confidence: float = 0.8,
    review_above: float = 0.0,
    reject_above: float = 2.0,
) -> DecisionRule:
    """A rule with every limit in it; the numbers measured beside them are made up."""
    fitted = {"n": 40, "groups": 20}
    return decision_rule(threshold).model_copy(
        update={
            "conformal": Conformal(
                coverage=0.95, smallest=smallest or dict.fromkeys(CLASSES, 0.3), **fitted
            ),
            "acceptance": Acceptance(
                confidence=confidence, target=0.99, accuracy=0.99, coverage=0.7, **fitted
            ),
            "out_of_distribution": OutOfDistribution(
                method="made up",
                review_above=review_above,
                reject_above=reject_above,
                reviewed=0.03,
                rejected=0.01,
                fitted_on_kinds=("noise",),
                **fitted,
            ),
        }
    )


def bundle_info(**changes: Any) -> BundleInfo:
    """A valid description; `files` is filled in when it is written."""
    values: dict[str, Any] = {
        "name": "tiny",
        "version": "0.1.0",
        "task": TaskInfo(name="four_class", classes=CLASSES, negative_class="no_tumor"),
        "preprocessing": Preprocessing(size=SIZE, channels=("grey",)),
        "study": STUDY_RULES,
        "decision": decision_rule(),
        "evaluation": {},
        "origin": Origin(
            run_id="tiny-0",
            architecture="small",
            started_from="random initialisation",
            manifest_sha256="0" * 64,
            training_slices=64,
            training_groups=64,
            created="2026-01-01T00:00:00+00:00",
            slicewise_version="0.1.0",
        ),
        "weight_storage": "float32",
        "licences": {"model": "MIT"},
        "intended_use": "Tests.",
        "files": {},
    }
    return BundleInfo(**{**values, **changes})


@lru_cache(maxsize=2)
def tiny_graph(classes: int = 4) -> bytes:
    return onnx_bytes(rounded(trained_network(classes), "float32"), SIZE, "float32")


def write_tiny_bundle(folder: Path, extra: dict[str, bytes] | None = None, **changes: Any) -> str:
    """Write a real small bundle and return its identity."""
    info = bundle_info(**changes)
    graph = tiny_graph(len(info.task.classes))
    files = {MODEL_NAME: graph, CARD_NAME: b"# tiny\n", **(extra or {})}
    return write_bundle(folder, info, files)


def tiny_bundle(folder: Path, **changes: Any) -> Bundle:
    """A loaded small bundle."""
    write_tiny_bundle(folder, **changes)
    return load_bundle(folder)
