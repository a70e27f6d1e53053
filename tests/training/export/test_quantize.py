"""Whole numbers: the answers stay, the size does not, and the heads are left alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from builders import SIZE, spot_batch, trained_network
from builders_training import write_heads
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.inference.runtime import ort
from slicewise.training.data.dataset import load_slices
from slicewise.training.export import quantize
from slicewise.training.export.graph import onnx_bytes, rounded
from slicewise.training.export.quantize import calibration_images, quantized
from slicewise.training.export.randomise import shuffled_graph

OUTPUTS = ["logits", "cam", "embedding"]


@pytest.fixture(scope="module")
def graphs() -> tuple[bytes, bytes]:
    """The same network whole and in whole numbers."""
    whole = onnx_bytes(rounded(trained_network(), "float32"), SIZE, "float32")
    return whole, quantized(whole, images())


def images() -> np.ndarray:
    return np.round(spot_batch(48)[0].numpy()[:, 0] * 255).astype(np.uint8)


def run(graph: bytes, batch: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(OUTPUTS, {"image": batch})


def kernels(graph: bytes) -> list[np.ndarray]:
    stored = onnx.load_model_from_string(graph).graph.initializer
    return [values for t in stored if (values := numpy_helper.to_array(t)).ndim == 4]


def test_answers_stay(graphs: tuple[bytes, bytes]) -> None:
    batch, targets = (part.numpy() for part in spot_batch(64))
    whole, small = (run(graph, batch) for graph in graphs)
    np.testing.assert_array_equal(small[0].argmax(axis=1), targets)
    for before, after in zip(whole, small, strict=True):
        apart = np.abs(after - before).mean()
        assert 0 < apart < 0.1 * np.abs(before).mean()
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99


def test_a_slice_alone_gets_the_same_answer(graphs: tuple[bytes, bytes]) -> None:
    batch = spot_batch(5)[0].numpy()
    together, alone = run(graphs[1], batch), run(graphs[1], batch[3:4])
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
    monkeypatch.setattr(quantize, "CALIBRATION", 3)
    some = calibration_images(train)
    assert len(some) == 3
    assert all(any(np.array_equal(one, each) for each in train.images) for one in some)
