"""Parity on real slices: the exported graph against torch and against pytorch-grad-cam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from slicewise.data.tasks import THREE_CLASS
from slicewise.imaging.preprocess import PreprocessSpec, preprocess, to_batch
from slicewise.imaging.read import read_slice
from slicewise.inference.runtime import ort
from slicewise.training.export.graph import BundleGraph, onnx_bytes, rounded
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import SliceNet, create_network

CLASSES = ("glioma", "meningioma", "pituitary")
SIZE = 96
EACH = 6


@pytest.fixture(scope="module")
def images(real_data: Path) -> torch.Tensor:
    paths = [
        p for name in CLASSES for p in sorted((real_data / "figshare" / name).iterdir())[:EACH]
    ]
    spec = PreprocessSpec(size=SIZE)
    pixels = [preprocess(read_slice(str(path)).pixels, spec).image for path in paths]
    return torch.from_numpy(to_batch(np.stack(pixels)))


@pytest.fixture(scope="module")
def network(images: torch.Tensor) -> SliceNet:
    torch.manual_seed(0)
    network = create_network(ModelConfig(name="resnet18"), THREE_CLASS, weights=None)
    network.normalise_by(0.25, 0.25)
    targets = torch.arange(3).repeat_interleave(EACH)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(8):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()
    return rounded(network, "float16")


@pytest.mark.realdata
def test_graph_agrees_with_torch_and_grad_cam(network: SliceNet, images: torch.Tensor) -> None:
    session = ort.InferenceSession(
        onnx_bytes(network, SIZE, "float16"), providers=["CPUExecutionProvider"]
    )
    found = session.run(["logits", "cam", "embedding"], {"image": images.numpy()})
    with torch.no_grad():
        expected = BundleGraph(network)(images)
    for mine, theirs in zip(found, expected, strict=True):
        assert np.abs(mine - theirs.numpy()).max() < 1e-4
    maps = 0
    with GradCAM(model=network, target_layers=[network.backbone]) as method:
        for i in range(len(images)):
            for target in range(3):
                if found[1][i, target].max() == 0:
                    continue
                maps += 1
                scaled = method(images[i : i + 1], [ClassifierOutputTarget(target)])[0]
                mine = torch.nn.functional.interpolate(
                    torch.from_numpy(found[1][None, None, i, target]),
                    (SIZE, SIZE),
                    mode="bilinear",
                )[0, 0].numpy()
                assert np.corrcoef(mine.ravel(), scaled.ravel())[0, 1] > 0.999
    assert maps >= len(images), "most maps are empty: the test would prove nothing"
