"""A network as a graph of a bundle, in float32, float16 and whole numbers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from builders import SIZE, spot_batch, trained_network
from builders_training import write_heads
from slicewise.data.tasks import FOUR_CLASS
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.inference.runtime import ort
from slicewise.training.data.dataset import load_slices
from slicewise.training.export import graph as module
from slicewise.training.export.graph import (
    BundleGraph,
    calibration_images,
    onnx_bytes,
    quantized,
    rounded,
    without_origin,
)
from slicewise.training.export.randomise import shuffled_graph
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import SliceNet, create_network

OUTPUTS = ["logits", "cam", "embedding"]


def run(graph: bytes, images: torch.Tensor) -> list[np.ndarray]:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(OUTPUTS, {"image": images.numpy()})


class EvidenceOf(torch.nn.Module):
    """What the places say for each class."""

    def __init__(self, network: SliceNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.evidence(self.network.features(images))


def grad_cam(network: SliceNet, images: torch.Tensor, target: int) -> np.ndarray:
    """Unscaled maps of an independent implementation."""

    class Raw(GradCAM):
        def aggregate_multi_layers(self, per_layer: list[np.ndarray]) -> np.ndarray:
            return per_layer[0][:, 0]

        def compute_cam_per_layer(self, *arguments: object) -> list[np.ndarray]:
            activations, gradients = (
                store[0].cpu().data.numpy()
                for store in (
                    self.activations_and_grads.activations,
                    self.activations_and_grads.gradients,
                )
            )
            weights = self.get_cam_weights(None, None, None, activations, gradients)
            maps = (weights[:, :, None, None] * activations).sum(axis=1)
            return [np.maximum(maps, 0)[:, None]]

    with Raw(model=EvidenceOf(network), target_layers=[network.backbone]) as method:
        targets = [ClassifierOutputTarget(target)] * len(images)
        return method(input_tensor=images, targets=targets)


@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("count", [1, 5])
def test_parity_with_torch(storage: str, count: int) -> None:
    network = rounded(trained_network(), storage)
    images, _ = spot_batch(count)
    with torch.no_grad():
        expected = BundleGraph(network)(images)
    for name, found, wanted in zip(
        OUTPUTS, run(onnx_bytes(network, SIZE, storage), images), expected, strict=True
    ):
        assert np.abs(found - wanted.numpy()).max() < 1e-4, name
        assert found.shape == tuple(wanted.shape)


def test_float16_halves_the_file_and_says_what_rounding_costs() -> None:
    whole = create_network(ModelConfig(name="resnet18"), FOUR_CLASS, weights=None)
    half = onnx_bytes(rounded(whole, "float16"), SIZE, "float16")
    assert len(half) < 0.52 * len(onnx_bytes(rounded(whole, "float32"), SIZE, "float32"))
    kinds = {t.data_type for t in onnx.load_from_string(half).graph.initializer if len(t.dims) > 1}
    assert kinds == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("target", range(4))
def test_heat_map_is_grad_cam(target: int) -> None:
    network = trained_network()
    images, _ = spot_batch(8)
    found = run(onnx_bytes(rounded(network, "float32"), SIZE, "float32"), images)[1][:, target]
    expected = grad_cam(network, images.requires_grad_(), target)
    assert expected.max() > 0, "an empty map proves nothing"
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("pool", ["mean", "evidence"])
def test_resnet_heat_map_is_grad_cam_after_a_few_steps(pool: Literal["mean", "evidence"]) -> None:
    torch.manual_seed(1)
    network = create_network(ModelConfig(name="resnet18", pool=pool), FOUR_CLASS, weights=None)
    network.normalise_by(0.3, 0.25)
    images, targets = spot_batch(16)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(6):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()
    network.eval()
    maps = run(onnx_bytes(rounded(network, "float32"), SIZE, "float32"), images)[1]
    if pool == "mean":
        torch.testing.assert_close(EvidenceOf(network)(images), network(images))
    for target in range(4):
        expected = grad_cam(network, images.clone().requires_grad_(), target)
        if expected.max() > 0:
            assert np.corrcoef(maps[:, target].ravel(), expected.ravel())[0, 1] > 0.999
    assert (maps.max(axis=(0, 2, 3)) > 0).sum() >= 2


def test_heat_map_peaks_on_the_spot() -> None:
    from builders import head_with_spot
    from slicewise.imaging.preprocess import PreprocessSpec, preprocess, to_batch

    graph = onnx_bytes(rounded(trained_network(), "float32"), SIZE, "float32")
    for at in ((0.4, 0.4), (0.6, 0.6), (0.4, 0.6)):
        ready = preprocess(head_with_spot(0, at=at), PreprocessSpec(size=SIZE))
        image = torch.from_numpy(to_batch(ready.image[None]))
        cam = run(graph, image)[1][0, 0]
        row, column = np.unravel_index(cam.argmax(), cam.shape)
        found = ready.placement.to_slice(float(row), float(column), cam.shape[0])
        assert np.hypot(found[0] / 128 - at[0], found[1] / 128 - at[1]) < 0.17


def test_the_file_does_not_say_where_it_was_made() -> None:
    graph = onnx_bytes(rounded(trained_network(), "float16"), SIZE, "float16")
    for word in (b".py", b"stack_trace", b"slicewise"):
        assert word not in graph
    assert without_origin(graph) == graph
    noted = onnx.load_model_from_string(graph)
    noted.graph.node[0].metadata_props.add(key="made in", value="/home/somebody/run.py")
    noted.graph.node[1].doc_string = "/home/somebody"
    assert without_origin(noted.SerializeToString()) == graph


@pytest.fixture(scope="module")
def graphs() -> tuple[bytes, bytes]:
    """The same network whole and in whole numbers."""
    whole = onnx_bytes(rounded(trained_network(), "float32"), SIZE, "float32")
    return whole, quantized(whole, images())


def images() -> np.ndarray:
    return np.round(spot_batch(48)[0].numpy()[:, 0] * 255).astype(np.uint8)


def kernels(graph: bytes) -> list[np.ndarray]:
    stored = onnx.load_model_from_string(graph).graph.initializer
    return [values for t in stored if (values := numpy_helper.to_array(t)).ndim == 4]


def test_answers_stay(graphs: tuple[bytes, bytes]) -> None:
    batch, targets = (part.numpy() for part in spot_batch(64))
    whole, small = (run(graph, torch.from_numpy(batch)) for graph in graphs)
    np.testing.assert_array_equal(small[0].argmax(axis=1), targets)
    for before, after in zip(whole, small, strict=True):
        apart = np.abs(after - before).mean()
        assert 0 < apart < 0.1 * np.abs(before).mean()
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99


def test_a_slice_alone_gets_the_same_answer(graphs: tuple[bytes, bytes]) -> None:
    batch = spot_batch(5)[0].numpy()
    together, alone = (run(graphs[1], torch.from_numpy(part)) for part in (batch, batch[3:4]))
    np.testing.assert_allclose(alone[0][0], together[0][3], atol=1e-5)


def test_kernels_of_the_backbone_use_seven_bits_and_the_rest_stays(
    graphs: tuple[bytes, bytes],
) -> None:
    before, after = (kernels(graph) for graph in graphs)
    small = [values for values in after if values.dtype == np.int8]
    assert len(small) == 3
    assert 60 < max(int(np.abs(values).max()) for values in small) <= 64
    heads = [values.shape for values in after if values.dtype == np.float32]
    assert len(small) + len(heads) == len(before)
    nodes = onnx.load_model_from_string(graphs[1]).graph.node
    (cam,) = (node for node in nodes if "cam" in node.output)
    assert cam.op_type != "DequantizeLinear"


def test_it_is_the_same_bytes_again(graphs: tuple[bytes, bytes]) -> None:
    assert quantized(graphs[0], images()) == graphs[1]


def test_permuting_reaches_whole_numbers(graphs: tuple[bytes, bytes]) -> None:
    permuted = shuffled_graph(graphs[1], 0, "all")
    for before, after in zip(kernels(graphs[1]), kernels(permuted), strict=True):
        assert not np.array_equal(before, after)
        np.testing.assert_array_equal(np.sort(before, axis=None), np.sort(after, axis=None))


def test_ranges_come_from_training_slices(tmp_path, monkeypatch) -> None:
    manifest, spec = write_heads(tmp_path), PreprocessSpec(size=SIZE)
    train = load_slices(manifest.subset("train"), spec, tmp_path / "cache")
    np.testing.assert_array_equal(calibration_images(train), train.images)
    monkeypatch.setattr(module, "CALIBRATION", 3)
    some = calibration_images(train)
    assert len(some) == 3
    assert all(any(np.array_equal(one, each) for each in train.images) for one in some)
