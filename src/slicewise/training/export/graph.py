"""A trained network as the ONNX graph of a bundle: logits, heat maps and embedding in one pass."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxscript.optimizer
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from slicewise.arrays import Array
from slicewise.errors import TrainingError
from slicewise.imaging.batches import batched
from slicewise.imaging.preprocess import to_batch
from slicewise.training.data.dataset import DecodedSlices, Images
from slicewise.training.export.randomise import nodes_for
from slicewise.training.network.model import SliceNet

CALIBRATION = 160
"""Training slices that the ranges of features in eight bits are taken from."""

_BATCH = 8
_SEED = 42
_FEATURES = "embedding"
"""The output that only the backbone is needed for: heads and heat maps stay float32."""

_QUANTIZED = frozenset({"Conv", "Add", "Relu", "MaxPool"})


class BundleGraph(nn.Module):
    """A network that also returns Grad-CAM of every class and the pooled features.

    The gradient of the evidence of class k by feature d, averaged over places, is V[k, d] / (h w),
    with V the evidence kernel of the network: pooled by the mean, every place has it; pooled by
    log-mean-exp, places share it by weights that sum to 1. So Grad-CAM (Selvaraju et al. 2017) is
    one product. Without a head on the surroundings, evidence and logit are the same. Where a norm
    or a hidden layer stands before the last layer, each slice has a gradient of its own.
    """

    def __init__(self, network: SliceNet) -> None:
        """Wrap a network in evaluation mode."""
        super().__init__()
        self.network = network.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 1, H, W) in [0, 1] to logits (N, K), cam (N, K, h, w) and embedding (N, D)."""
        features = self.network.features(image)
        embedding = features.mean(dim=(2, 3))
        area = features.shape[2] * features.shape[3]
        if self.network.scores_places:
            kernel = self.network.evidence_kernel()[:, :, None, None]
            seen = nn.functional.conv2d(features, kernel)
        else:
            each = self.network.gradient(embedding) @ features.flatten(2)
            seen = each.reshape(-1, *each.shape[1:2], *features.shape[2:])
        return self.network.logits(features), torch.relu(seen) / area, embedding


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
    model = _exported(BundleGraph(network), torch.zeros(2, 1, size, size))
    if storage == "float16":
        _store_as_float16(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return without_origin(model.SerializeToString())


def _exported(graph: BundleGraph, example: Tensor) -> onnx.ModelProto:
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
    return program.model_proto


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
        values, name = numpy_helper.to_array(tensor), tensor.name
        if tensor.data_type == TensorProto.FLOAT and values.ndim > 1:
            tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}_float16"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]


def calibration_images(train: DecodedSlices) -> Images:
    """(N, size, size) uint8: training slices, drawn at random."""
    order = np.random.default_rng(_SEED).permutation(len(train.images))
    return train.images[np.sort(order[:CALIBRATION])]


def quantized(graph: bytes, images: Images) -> bytes:
    """A graph with the backbone in eight bits, by scales that are fixed here.

    Kernels get a scale for each output channel, features one for each tensor, from their smallest
    to their largest value on the images (Jacob et al., CVPR 2018; ONNX Runtime's static
    quantisation). Of the eight bits seven are used: on processors without instructions for such
    products, sums of two products of eight bits each overflow, and the answers would be others.

    Args:
        graph: Content of a float32 `model.onnx`.
        images: (N, size, size) uint8, from `calibration_images`.
    """
    from onnxruntime import quantization  # after `ort`, which sets how it may behave
    from onnxruntime.quantization.shape_inference import quant_pre_process

    # The library has no types, so its class is Any to mypy.
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = batched(iter(images), _BATCH)

        def get_next(self) -> dict[str, Array] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"image": to_batch(np.stack(batch))}

    with TemporaryDirectory() as folder:
        whole, folded, small = (
            Path(folder) / f"{name}.onnx" for name in ("whole", "folded", "small")
        )
        whole.write_bytes(graph)
        # Folds batch norms into kernels, so that a kernel is rounded once and with its norm.
        quant_pre_process(whole, folded, skip_symbolic_shape=True)
        backbone = nodes_for(onnx.load(folded).graph, _FEATURES)
        quantization.quantize_static(
            folded,
            small,
            Reader(),
            nodes_to_quantize=[node.name for node in backbone if node.op_type in _QUANTIZED],
            per_channel=True,
            reduce_range=True,
        )
        model = onnx.load(small)
    onnx.checker.check_model(model, full_check=True)
    return without_origin(model.SerializeToString())
