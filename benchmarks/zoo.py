"""Every network of the zoo as a graph: how long one slice takes, how large the file is, parity.

    python -m benchmarks.zoo [NAME ...]

Weights are random, which changes no time. One thread of ONNX Runtime, one slice at the network's
own size, heat maps of four classes included; the median of 30 passes and the fastest. Parity is the
largest difference from torch over three inputs, as a share of the largest value of that output.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import torch

from slicewise.data.tasks import FOUR_CLASS
from slicewise.inference.classifier import OUTPUTS
from slicewise.inference.runtime import session_of
from slicewise.training.export.graph import BundleGraph, onnx_bytes, rounded
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import SliceNet, create_network
from slicewise.zoo.catalogue import CATALOGUE

PASSES = 30


def measured(name: str) -> str:
    """A row of the table."""
    size = CATALOGUE[name].size
    torch.manual_seed(0)
    network = create_network(ModelConfig(name=name), FOUR_CLASS, weights=None, size=size)
    network.normalise_by(0.5, 0.3)
    torch.nn.init.normal_(network.head.weight, std=0.5)  # so that no map is empty
    graph = onnx_bytes(rounded(network, "float32"), size, "float32")
    session = session_of(name, graph, 1)
    images = torch.rand(3, 1, size, size)
    found = session.run(list(OUTPUTS), {"image": images.numpy()})
    parity, one, took = _parity(network, images, found), images[:1].numpy(), []
    for _ in range(PASSES):
        began = time.perf_counter()
        session.run(list(OUTPUTS), {"image": one})
        took.append(1000 * (time.perf_counter() - began))
    times = f"{statistics.median(took):.0f} ({min(took):.0f})"
    return f"| `{name}` | {size} | {times} | {len(graph) / 1e6:.0f} | {parity:.0e} |"


def _parity(network: SliceNet, images: torch.Tensor, found: list[np.ndarray]) -> float:
    with torch.no_grad():
        wanted = [part.numpy() for part in BundleGraph(network)(images)]
    pairs = zip(found, wanted, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def main(names: list[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| `model.name` | size | ms a slice (fastest) | MB | parity |\n|---|---|---|---|---|")
    for name in names or CATALOGUE:
        print(measured(name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
