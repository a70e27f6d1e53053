"""A graph whose convolutions compute with whole numbers of eight bits: smaller and faster."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from slicewise.arrays import Array
from slicewise.imaging.batches import batched
from slicewise.imaging.preprocess import to_batch
from slicewise.training.data.dataset import DecodedSlices, Images
from slicewise.training.export.graph import without_origin

CALIBRATION = 160
"""Training slices that the ranges of the features are taken from."""

BATCH = 8
SEED = 42

_FEATURES = "embedding"
"""The output that only the backbone is needed for: heads and heat maps stay float32."""

_QUANTIZED = frozenset({"Conv", "Add", "Relu", "MaxPool"})


def calibration_images(train: DecodedSlices) -> Images:
    """(N, size, size) uint8: training slices, drawn at random."""
    order = np.random.default_rng(SEED).permutation(len(train.images))
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
            self._batches = batched(iter(images), BATCH)

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
        quantization.quantize_static(
            folded,
            small,
            Reader(),
            nodes_to_quantize=_backbone(onnx.load(folded).graph),
            per_channel=True,
            reduce_range=True,
        )
        model = onnx.load(small)
    onnx.checker.check_model(model, full_check=True)
    return without_origin(model.SerializeToString())


def _backbone(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that the features need and that have a form for whole numbers."""
    needed, found = {_FEATURES}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            if node.op_type in _QUANTIZED:
                found.append(node.name)
    return found
