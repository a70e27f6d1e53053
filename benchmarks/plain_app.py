"""The Flask app that people write around such a model today, to be measured beside the service.

Flask, torch and pytorch-grad-cam as their documents show them: the model is loaded once, in
evaluation mode, and each request runs it, takes Grad-CAM at the last feature map and answers with
the overlay as base64 PNG. It has the same backbone, input size and number of threads as the
service, and its weights, read out of the bundle's graph. A backbone of whole numbers has none that
torch could compute with: then they are drawn at random, which takes as long. Flask's own server
answers each connection in a thread, and pytorch-grad-cam hangs its hooks on the one model that all
threads share: with `--lock` only one thread at a time uses it, which is what a careful author adds.

    python -m benchmarks.plain_app --port 5000 --threads 1 [--lock] [--bundle B]
"""

from __future__ import annotations

import argparse
import base64
import io
import threading
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import torch
from flask import Flask, jsonify, request
from onnx import numpy_helper
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from torch import Tensor
from torchvision import transforms

from slicewise.data.tasks import Task
from slicewise.inference.bundle import MODEL_NAME, Bundle, bundled_model, load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.training.network.backbones import Weights
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import SliceNet, create_network

_STORED = "_float16"
Pool: TypeAlias = Literal["mean", "evidence"]


def torch_network(bundle: Bundle) -> SliceNet:
    """The network of a bundle in torch, with the weights that its graph holds.

    Where these are whole numbers, random ones stand in for them: the answers are others, the work
    is the same.

    Raises:
        ValueError: The bundle's graph has weights, and says something else on the same picture.
    """
    if bundle.info.weight_storage == "int8":
        torch.manual_seed(0)
        graph = onnx.load_model_from_string(bundle.files[MODEL_NAME]).graph
        pooled = any(node.op_type == "ReduceLogSumExp" for node in graph.node)
        return _network(bundle, "evidence" if pooled else "mean", {})
    size = bundle.info.preprocessing.size
    picture = np.random.default_rng(0).random((1, 1, size, size), dtype=np.float32)
    expected = Classifier(bundle).run(picture).logits
    weights, heads = _weights(bundle)
    pools: tuple[Pool, ...] = ("mean", "evidence")
    for pool, head in product(pools, heads):
        network = _network(bundle, pool, {**weights, "head.weight": head})
        with torch.no_grad():
            found = network(torch.from_numpy(picture)).numpy()
        if np.allclose(found, expected, atol=1e-3):
            return network
    raise ValueError("the network in torch does not say what the bundle says")


def _weights(bundle: Bundle) -> tuple[Weights, list[Tensor]]:
    """Weights by name, and what may be the head's: where it was folded it has lost its name."""
    graph = onnx.load_model_from_string(bundle.files[MODEL_NAME]).graph
    stored = {
        tensor.name.removesuffix(_STORED).removeprefix("network."): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in graph.initializer
    }
    count = len(bundle.classes)
    kernels = [t.flatten(1) for t in stored.values() if t.ndim == 4 and len(t) == count]
    heads = [stored["head.weight"]] if "head.weight" in stored else kernels
    return stored, heads


def _network(bundle: Bundle, pool: Pool, weights: Weights) -> SliceNet:
    info = bundle.info
    task = Task(info.task.name, info.task.classes, info.task.negative_class)
    config = ModelConfig(name=info.origin.architecture, pool=pool)
    network = create_network(config, task, weights=None, size=info.preprocessing.size)
    known = network.state_dict()
    network.load_state_dict({k: v for k, v in weights.items() if k in known}, strict=False)
    return network.eval()


def create_app(bundle: Bundle, *, lock: bool = False) -> Flask:
    """The app, with its model loaded.

    Args:
        bundle: Whose weights to use.
        lock: Let one thread at a time use the model.
    """
    app = Flask(__name__)
    alone = threading.Lock() if lock else nullcontext()
    model = torch_network(bundle)
    classes, size = bundle.classes, bundle.info.preprocessing.size
    transform = transforms.Compose(
        [transforms.Grayscale(), transforms.Resize((size, size)), transforms.ToTensor()]
    )

    @app.get("/health")
    def health() -> Any:
        return jsonify(status="healthy")

    @app.post("/predict")
    def predict() -> Any:
        image = Image.open(request.files["file"].stream)
        tensor = transform(image).unsqueeze(0)
        with alone, GradCAM(model=model, target_layers=[model.backbone]) as cam:
            grey = cam(input_tensor=tensor, targets=None)[0]
            probabilities = torch.softmax(cam.outputs.detach(), dim=1)[0]
        index = int(probabilities.argmax())
        base = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
        heat = np.asarray(Image.fromarray(grey).resize(image.size, Image.Resampling.BILINEAR))
        overlay = show_cam_on_image(base, heat, use_rgb=True)
        buffer = io.BytesIO()
        Image.fromarray(overlay).save(buffer, format="PNG")
        return jsonify(
            label=classes[index],
            confidence=float(probabilities[index]),
            probabilities={name: float(p) for name, p in zip(classes, probabilities, strict=True)},
            heatmap=base64.b64encode(buffer.getvalue()).decode("ascii"),
        )

    return app


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain_app")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lock", action="store_true")
    parser.add_argument("--bundle", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    app = create_app(load_bundle(given.bundle or bundled_model()), lock=given.lock)
    app.run(host="127.0.0.1", port=given.port, threaded=True)


if __name__ == "__main__":
    main()
