"""Networks that have forgotten what they learnt: their weights permuted, for tests of heat maps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from slicewise.errors import TrainingError
from slicewise.inference.bundle import MODEL_NAME, Bundle
from slicewise.inference.classifier import Classifier

PARTS = ("head", "late", "all")
"""What is permuted: the head of the maps; it and the last third of their layers; everything."""

MAP = "cam"
"""The output whose layers are counted."""

_LAYERS = {"Conv", "Gemm", "MatMul"}
_RELABELS = {"Cast", "DequantizeLinear", "Identity", "Reshape", "Transpose", "Unsqueeze", "Squeeze"}
_LATE = 2 / 3
_KINDS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.INT8,
    onnx.TensorProto.INT32,
}


def shuffled_classifiers(bundle: Bundle, seed: int = 0) -> dict[str, Classifier]:
    """The model of a bundle with each of `PARTS` permuted, to check its heat maps."""
    graph = bundle.files[MODEL_NAME]
    return {
        part: Classifier(
            replace(bundle, files={**bundle.files, MODEL_NAME: shuffled_graph(graph, seed, part)})
        )
        for part in PARTS
    }


def shuffled_graph(model: bytes, seed: int, part: str) -> bytes:
    """The same graph with the values of its weights permuted, each tensor within itself.

    This keeps the distribution of every weight and bias and loses what they have learnt (Adebayo
    et al., NeurIPS 2018, cascading randomisation from the output). Tensors of equal content, such
    as the two copies of a head's matrix in a bundle, are permuted alike.

    Args:
        model: Content of `model.onnx`.
        part: One of `PARTS`.

    Raises:
        TrainingError: If there is no such part, or the graph has no layer.
    """
    if part not in PARTS:
        raise TrainingError(f"part {part!r}: expected one of {', '.join(PARTS)}")
    proto = onnx.load_model_from_string(model)
    first = _first_layers(nodes_for(proto.graph, MAP), proto.graph.initializer)
    weights = list(_weights(proto.graph))
    last = max((first[t.name] for t in weights if t.name in first), default=0)
    if not last:
        raise TrainingError("the graph has no layer whose weights could be permuted")
    begin = {"head": last, "late": int(_LATE * last), "all": 0}[part]
    everything = part == "all"
    chosen = [tensor for tensor in weights if everything or first.get(tensor.name, -1) >= begin]
    contents = {_content(tensor) for tensor in chosen}
    for tensor in weights:
        if _content(tensor) in contents:
            tensor.CopyFrom(_permuted(tensor, seed))
    return bytes(proto.SerializeToString())


def _weights(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Tensors of more than one value that some node reads; not the whole numbers of shapes."""
    read = set(_first_layers(graph.node, graph.initializer))
    for tensor in graph.initializer:
        if tensor.name in read and tensor.data_type in _KINDS and int(np.prod(tensor.dims)) > 1:
            yield tensor


def nodes_for(graph: onnx.GraphProto, output: str) -> list[onnx.NodeProto]:
    """The nodes that an output needs, in their order."""
    needed, found = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            found.append(node)
    return found[::-1]


def _first_layers(
    nodes: Iterable[onnx.NodeProto], stored: Iterable[onnx.TensorProto]
) -> dict[str, int]:
    """From a stored tensor to the number of the layer that computes with it first."""
    names = {tensor.name: tensor.name for tensor in stored}
    layers = 0
    found: dict[str, int] = {}
    for node in nodes:
        if node.op_type in _RELABELS and node.input[0] in names:
            names[node.output[0]] = names[node.input[0]]
            continue
        layers += node.op_type in _LAYERS
        for name in node.input:
            if name in names:
                found.setdefault(names[name], layers)
    return found


def _content(tensor: onnx.TensorProto) -> bytes:
    return hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).digest()


def _permuted(tensor: onnx.TensorProto, seed: int) -> onnx.TensorProto:
    """The order is drawn from the seed and the content, so that copies stay copies."""
    values = numpy_helper.to_array(tensor)
    generator = np.random.default_rng([seed, *_content(tensor)])
    permuted = generator.permutation(values.ravel()).reshape(values.shape)
    return numpy_helper.from_array(permuted, tensor.name)
