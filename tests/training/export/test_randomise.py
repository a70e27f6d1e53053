"""Permuted networks: the same values elsewhere, the wanted part only, copies kept alike."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from builders import CLASSES, spot_batch, tiny_bundle, tiny_graph
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import TrainingError
from slicewise.inference.bundle import MODEL_NAME, bundled_model
from slicewise.inference.classifier import Classifier
from slicewise.training.export.graph import onnx_bytes, rounded
from slicewise.training.export.randomise import PARTS, shuffled_classifiers, shuffled_graph
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import create_network


def tensors(model: bytes) -> dict[str, np.ndarray]:
    graph = onnx.load_model_from_string(model).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def changed(part: str, seed: int = 0) -> set[str]:
    before, after = tensors(tiny_graph()), tensors(shuffled_graph(tiny_graph(), seed, part))
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.parametrize("part", PARTS)
def test_values_are_kept_and_only_moved(part) -> None:
    before, after = tensors(tiny_graph()), tensors(shuffled_graph(tiny_graph(), 0, part))
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert after[name].shape == values.shape
        assert after[name].dtype == values.dtype
        assert Counter(after[name].ravel().tolist()) == Counter(values.ravel().tolist())


def test_parts_grow_from_the_output() -> None:
    head, late, everything = (changed(part) for part in PARTS)
    assert any("head.weight" in name for name in head)
    assert not any("backbone" in name for name in head)
    assert head < late < everything
    assert any("layers.0" in name for name in everything - late)


def test_copies_of_a_tensor_stay_copies() -> None:
    before, after = tensors(tiny_graph()), tensors(shuffled_graph(tiny_graph(), 0, "head"))
    head = next(name for name in before if name.endswith("head.weight"))
    twins = [name for name, values in before.items() if values.size == before[head].size
             and np.array_equal(values.ravel(), before[head].ravel())]  # fmt: skip
    assert len(twins) == 2
    assert np.array_equal(after[twins[0]].ravel(), after[twins[1]].ravel())


def test_the_seed_decides() -> None:
    assert shuffled_graph(tiny_graph(), 1, "all") == shuffled_graph(tiny_graph(), 1, "all")
    assert shuffled_graph(tiny_graph(), 1, "all") != shuffled_graph(tiny_graph(), 2, "all")


def all_moved(graph: bytes, kind: type[np.generic]) -> int:
    """How many tensors of one kind there are; every one of them is another when permuted."""
    before, after = tensors(graph), tensors(shuffled_graph(graph, 0, "all"))
    stored = [name for name, values in before.items() if values.dtype == kind and values.ndim > 1]
    assert not any(np.array_equal(before[name], after[name]) for name in stored)
    return len(stored)


def test_whole_numbers_are_permuted_too() -> None:
    assert all_moved((bundled_model() / MODEL_NAME).read_bytes(), np.int8) > 40


def test_weights_stored_as_float16_are_permuted_too() -> None:
    torch.manual_seed(0)
    network = create_network(ModelConfig(name="resnet18"), FOUR_CLASS, weights=None).eval()
    assert all_moved(onnx_bytes(rounded(network, "float16"), 64, "float16"), np.float16) > 15


def test_classifiers_of_the_parts(tmp_path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    images = spot_batch(8)[0].numpy()
    own = Classifier(bundle).run(images)
    found = {part: network.run(images) for part, network in shuffled_classifiers(bundle).items()}
    assert tuple(found) == PARTS
    assert np.allclose(found["head"].embedding, own.embedding)
    assert not np.allclose(found["head"].logits, own.logits)
    assert not np.allclose(found["all"].embedding, own.embedding)
    assert found["all"].cam.shape == own.cam.shape
    assert found["all"].logits.shape == (8, len(CLASSES))


def test_what_cannot_be_permuted_is_refused() -> None:
    with pytest.raises(TrainingError, match="part 'tail': expected one of head, late, all"):
        shuffled_graph(tiny_graph(), 0, "tail")
    empty = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    with pytest.raises(TrainingError, match="no layer"):
        shuffled_graph(empty.SerializeToString(), 0, "all")
