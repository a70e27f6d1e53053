"""A trained network as the ONNX graph of a bundle: logits, heat maps and embedding in one pass."""

from __future__ import annotations

import copy
import logging
import warnings

import onnx
import onnxscript.optimizer
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from slicewise.errors import TrainingError
from slicewise.training.network.model import SliceNet


class BundleGraph(nn.Module):
    """A network that also returns Grad-CAM of every class and the pooled features.

    The gradient of the evidence of class k by feature d, averaged over places, is V[k, d] / (h w),
    with V the evidence kernel of the network: pooled by the mean, every place has it; pooled by
    log-mean-exp, places share it by weights that sum to 1. So Grad-CAM (Selvaraju et al. 2017) is
    one product. Without a head on the surroundings, evidence and logit are the same.
    """

    def __init__(self, network: SliceNet) -> None:
        """Wrap a network in evaluation mode."""
        super().__init__()
        self.network = network.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 1, H, W) in [0, 1] to logits (N, K), cam (N, K, h, w) and embedding (N, D)."""
        features = self.network.features(image)
        embedding = features.mean(dim=(2, 3))
        kernel = self.network.evidence_kernel()[:, :, None, None]
        area = features.shape[2] * features.shape[3]
        cam = torch.relu(nn.functional.conv2d(features, kernel)) / area
        return self.network.logits(features), cam, embedding


def rounded(network: SliceNet, storage: str) -> SliceNet:
    """A copy whose weights hold only what the storage type can hold."""
    twin = copy.deepcopy(network).cpu().float().eval()
    if storage == "float16":
        with torch.no_grad():
            for parameter in twin.parameters():
                if parameter.ndim > 1:
                    parameter.copy_(parameter.half().float())
    return twin


def onnx_bytes(network: SliceNet, size: int, storage: str) -> bytes:
    """The ONNX file of a network whose weights were rounded to the storage type.

    Args:
        size: Side of the input, pixels.
        storage: `float32` or `float16`; the arithmetic is float32 either way.
    """
    program = _export(BundleGraph(network), torch.zeros(2, 1, size, size))
    model = program.model_proto
    if storage == "float16":
        _store_as_float16(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return without_origin(model.SerializeToString())


def _export(graph: BundleGraph, example: Tensor) -> torch.onnx.ONNXProgram:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                external_data=False,
                verbose=False,
                optimize=False,
                input_names=["image"],
                output_names=["logits", "cam", "embedding"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            )
    finally:
        logger.setLevel(level)
    if program is None:
        raise TrainingError("the network could not be exported to ONNX")
    # Constants are folded, but no batch norm into a kernel: that would round the weights twice.
    onnxscript.optimizer.fold_constants(program.model)
    onnxscript.optimizer.remove_unused_nodes(program.model)
    return program


def without_origin(content: bytes) -> bytes:
    """An ONNX file without notes on where its nodes were made: they name folders of a machine.

    One without such notes comes back as it is.
    """
    model = onnx.load_model_from_string(content)
    graph = model.graph
    parts = (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info)
    if not any(part.metadata_props or part.doc_string for part in parts):
        return content
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]
    return bytes(model.SerializeToString())


def _store_as_float16(graph: onnx.GraphProto) -> None:
    """Keep float32 kernels and matrices as float16; they are cast back when a session starts."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.ndim < 2:
            continue
        name = tensor.name
        stored = numpy_helper.from_array(values.astype("float16"), f"{name}_float16")
        tensor.CopyFrom(stored)
        casts.append(helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
