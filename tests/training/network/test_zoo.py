"""Networks of the catalogue and of timm: one step, export, heat maps, and what is refused.

Four kinds of heads run with every change; `make zoo` runs every network of the catalogue.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from builders import make_slice
from builders_training import run_config, write_heads
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import ConfigError
from slicewise.inference.classifier import Classifier
from slicewise.inference.runtime import ort
from slicewise.training.export.graph import BundleGraph, onnx_bytes, rounded
from slicewise.training.export.randomise import shuffled_graph
from slicewise.training.loop.train import train
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import SliceNet, create_network, parameter_counts
from slicewise.zoo.catalogue import CATALOGUE

OUTPUTS = ["logits", "cam", "embedding"]
SMALL = {  # what runs with every change, by name of the model
    "resnet18": {},
    "test_convnext": {"channels": 3},
    "swin_t": {},
    "test_vit": {"hidden": 16, "dropout": 0.1},
}


def made(name: str, size: int = 64, **keys: Any) -> SliceNet:
    torch.manual_seed(0)
    config = ModelConfig(**{"name": name, "frozen_stages": 0, **keys})
    return create_network(config, FOUR_CLASS, weights=None, size=size)


def stepped(name: str, size: int = 64, **keys: Any) -> SliceNet:
    """After one step of training, with a last layer that tells the classes apart."""
    network = made(name, size, **keys)
    torch.nn.init.normal_(network.head.weight, std=0.5)
    network.normalise_by(0.5, 0.3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=1e-3)
    images = torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(1))
    torch.nn.functional.cross_entropy(network(images), torch.arange(4)).backward()
    optimizer.step()
    first = next(name for name in before if name.startswith("backbone."))
    for name in (first, "head.weight"):
        assert not torch.equal(network.state_dict()[name], before[name]), "no gradient reaches it"
    return network.eval()


def grad_cam(network: SliceNet, images: torch.Tensor, target: int) -> np.ndarray:
    """(N, h, w) unscaled maps of pytorch-grad-cam at the last feature map."""

    class Raw(GradCAM):
        def compute_cam_per_layer(self, images, targets, eigen_smooth):
            seen = self.activations_and_grads
            activations, gradients = (
                store[0].detach().numpy() for store in (seen.activations, seen.gradients)
            )
            layer = self.target_layers[0]
            weights = self.get_cam_weights(images, layer, targets, activations, gradients)
            return [np.maximum((weights[..., None, None] * activations).sum(1), 0)[:, None]]

        def aggregate_multi_layers(self, per_layer):
            return per_layer[0][:, 0]

    with Raw(model=network, target_layers=[network.layout]) as method:
        targets = [ClassifierOutputTarget(target)] * len(images)
        return method(input_tensor=images.clone().requires_grad_(), targets=targets)


def require_exact(network: SliceNet, size: int) -> bytes:
    """The graph of a network: it agrees with torch on three inputs, its maps with Grad-CAM."""
    graph = onnx_bytes(rounded(network, "float32"), size, "float32")
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    images = torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(2))
    found = session.run(OUTPUTS, {"image": images.numpy()})
    with torch.no_grad():
        expected = [part.numpy() for part in BundleGraph(network)(images)]
    for name, mine, theirs in zip(OUTPUTS, found, expected, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, atol=1e-4 * np.abs(theirs).max(), err_msg=name)
    assert np.ptp(found[0], axis=1).min() > 1e-3, "a head that says nothing"
    filled = 0
    for target in range(4):
        wanted = grad_cam(network, images, target)
        np.testing.assert_allclose(found[1][:, target], wanted, atol=2e-4 * expected[1].max())
        filled += int((wanted.max(axis=(1, 2)) > 0).sum())
    assert filled >= 4, "empty maps prove nothing"
    return graph


@pytest.mark.parametrize("name", SMALL)
def test_a_step_and_a_graph_whose_heat_maps_are_grad_cam(name: str) -> None:
    network = stepped(name, **SMALL[name])
    graph = require_exact(network, 64)
    assert shuffled_graph(graph, 0, "head") != graph


@pytest.mark.trials
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_network_at_its_own_size(name: str) -> None:
    size = CATALOGUE[name].size
    require_exact(stepped(name, size), size)


@pytest.mark.trials
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_network_with_a_hidden_layer_and_three_channels(name: str) -> None:
    require_exact(stepped(name, 96, channels=3, hidden=32, head_norm=True), 96)


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_a_run_of_a_transformer_gives_a_bundle_that_answers(tmp_path: Path, storage: str) -> None:
    write_heads(tmp_path)
    model = {"name": "test_vit", "hidden": 8}
    config = run_config(
        tmp_path, model=model, trainer={"epochs": 1}, bundle={"weight_storage": storage}
    )
    bundle = train(config, FOUR_CLASS, "slicewise train")
    answer = Classifier.load(bundle).answers([make_slice()])[0]
    assert answer.cam.shape == (4, 2, 2)
    assert answer.prediction.label in FOUR_CLASS.classes


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_says_what_the_networks_are(name: str) -> None:
    row = CATALOGUE[name]
    with torch.device("meta"):
        network = create_network(
            ModelConfig(name=name), FOUR_CLASS, weights=None, size=row.size
        ).eval()
        features = network.features(torch.empty(1, 1, row.size, row.size))
    assert parameter_counts(network)[0] == row.parameters
    assert features.shape[1] == row.features
    assert abs(row.size / row.stride - features.shape[2]) < 1
    layers = {type(layer).__name__ for layer in network.before}
    kinds = {"linear head": set(), "Jacobian of the norm after pooling": {"LayerNorm"}}
    assert layers - {"BatchNorm1d"} == kinds.get(row.heat_map, {"Dropout", "Linear", "ReLU"})
    with pytest.raises(ConfigError, match=f"{name} has {row.stages} stages"):
        create_network(ModelConfig(name=name, frozen_stages=99), FOUR_CLASS, weights=None)


@pytest.mark.parametrize("name", ["resnet18", "test_vit", "test_convnext", "custom_cnn"])
def test_stages_are_all_of_a_backbone(name: str) -> None:
    network, stages = made(name), 0
    while any(p.requires_grad for p in network.backbone.parameters()):
        stages += 1
        network = made(name, frozen_stages=stages)
    assert stages == {"resnet18": 5, "test_vit": 7, "test_convnext": 5, "custom_cnn": 5}[name]
    assert all(p.requires_grad for p in network.head.parameters())


def test_three_channels_are_grey_three_times() -> None:
    network = made("resnet18", channels=3).eval()
    network.mean.copy_(torch.tensor([0.2, 0.3, 0.4]).reshape(3, 1, 1))
    image = torch.rand(1, 1, 64, 64)
    colour = (image.repeat(1, 3, 1, 1) - network.mean) / network.std
    torch.testing.assert_close(network.features(image), network.backbone(colour))


@pytest.mark.parametrize(
    ("name", "size", "told"),
    [
        ("resnet81", 64, r"'resnet81': expected one of .*; nearest: resnet18"),
        ("custom", 64, "nearest: custom_cnn"),
        ("vit_b_16", 100, "size 100: vit_b_16 reads multiples of 16; nearest: 96"),
        ("swin_t", 226, "size 226: swin_t reads multiples of 4; nearest: 224"),
        (
            "vit_tiny_patch16_224",
            100,
            "size 100: vit_tiny_patch16_224 reads multiples of 16; nearest: 96",
        ),
        ("mobilenetv3_small_050", 64, "gradient of its head is not known"),
        ("ghostnet_050", 64, "gradient of its head is not known"),
        ("test_vit4", 64, "something else"),
        ("inception_next_atto", 64, "something else"),
        ("poolformer_s12", 64, "something else"),
        ("xcit_nano_12_p16_224", 64, "something else"),
        ("mixer_s32_224", 224, "something else"),
        ("deit_tiny_distilled_patch16_224", 64, "cannot be built with a mean over its last"),
    ],
)
def test_what_cannot_be_explained_or_built_is_refused(name: str, size: int, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        made(name, size)


def test_a_network_whose_parts_timm_does_not_know_is_one_stage() -> None:
    network = made("rdnet_tiny", frozen_stages=1)
    assert not any(p.requires_grad for p in network.backbone.parameters())


@pytest.mark.parametrize("name", ["test_convnext", "medical_cnn", "resnet50_gap"])
def test_evidence_needs_a_linear_head(name: str) -> None:
    with pytest.raises(ConfigError, match=f"evidence: expected a linear layer .* {name} has"):
        made(name, pool="evidence")
