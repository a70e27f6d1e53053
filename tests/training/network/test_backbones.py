from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from slicewise.data.tasks import THREE_CLASS
from slicewise.errors import TrainingError
from slicewise.training.network.backbones import BACKBONES
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import create_network
from slicewise.training.network.start import start_of
from slicewise.zoo.catalogue import CATALOGUE


def build(name: str = "resnet18", weights: Path | None = None, frozen: int = 0):
    config = ModelConfig(name=name, frozen_stages=frozen, weights=weights)
    return create_network(config, THREE_CLASS, weights=start_of(config)).eval()


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_shapes(name: str) -> None:
    network = build(name)
    assert network(torch.rand(2, 1, 64, 64)).shape == (2, 3)
    assert network.features(torch.rand(2, 1, 64, 64)).shape[1] == CATALOGUE[name].features


def test_grey_stem_equals_feeding_grey_three_times(tmp_path: Path) -> None:
    torch.manual_seed(0)
    colour = timm.create_model("resnet18", in_chans=3, num_classes=0, global_pool="").eval()
    save_file(colour.state_dict(), tmp_path / "w.safetensors")
    network = build(weights=tmp_path / "w.safetensors")
    image = torch.rand(1, 1, 64, 64)
    normal = (image - network.mean) / network.std
    torch.testing.assert_close(
        network.features(image), colour(normal.repeat(1, 3, 1, 1)), atol=1e-4, rtol=1e-4
    )


def test_input_norm_of_the_start_is_folded(tmp_path: Path) -> None:
    """Equal channel statistics fold without any error, so the outputs must agree."""
    torch.manual_seed(0)
    network = build("resnetv2_50_stages3")
    state = {k: v for k, v in network.backbone.state_dict().items() if not k.startswith("norm.")}
    kernel = torch.rand(64, 3, 7, 7)
    state["stem.conv.weight"] = kernel
    state |= {
        "stem.norm0.weight": torch.full((3,), 1.5),
        "stem.norm0.bias": torch.full((3,), 0.2),
        "stem.norm0.running_mean": torch.full((3,), -0.1),
        "stem.norm0.running_var": torch.full((3,), 1.6),
        "stem.norm0.num_batches_tracked": torch.tensor(0),
    }
    save_file(state, tmp_path / "w.safetensors")
    started = build("resnetv2_50_stages3", tmp_path / "w.safetensors")
    grey = torch.rand(1, 1, 1, 1)
    found = (grey - started.mean) / started.std
    scale = 1.5 / (1.6 + 1e-5) ** 0.5
    channels = [
        ((float(grey) - m) / s + 0.1) * scale + 0.2
        for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    ]
    assert float(found) == pytest.approx(sum(channels) / 3, abs=0.15)
    torch.testing.assert_close(started.backbone.stem.conv.weight, kernel.sum(1, keepdim=True))


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="safetensors"):
        build(weights=tmp_path / "w.safetensors")
    save_file({"conv1.weight": torch.rand(64, 3, 7, 7)}, tmp_path / "w.safetensors")
    with pytest.raises(TrainingError, match="do not fit resnet18"):
        build(weights=tmp_path / "w.safetensors")


def fine_weights(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Weights in the layout of `resnetv2_50_stages3`; keys of `stem.norm0` changed or left out."""
    state = build("resnetv2_50_stages3").backbone.state_dict()
    kept = {name: value for name, value in state.items() if not name.startswith("norm.")}
    norm = {
        name: torch.ones(3) for name in ("weight", "bias", "running_mean", "running_var")
    } | changes
    kept |= {f"stem.norm0.{name}": value for name, value in norm.items() if value is not None}
    return kept


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        (
            "resnet18",
            {"head": torch.ones(1)},
            "resnet18: conv1.weight, .* and 95 more are missing; head is unknown",
        ),
        (
            "resnet18",
            {"conv1.weight": torch.ones(1)},
            "resnet18: conv1.weight is of another shape",
        ),
        ("resnetv2_50_stages3", {"fc.weight": torch.ones(1)}, "stem.conv.weight is missing"),
        (
            "resnetv2_50_stages3",
            fine_weights(bias=None),
            "stem.norm0.bias is missing",
        ),
        (
            "resnetv2_50_stages3",
            fine_weights(running_var=torch.ones(64)),
            r"stem.norm0.running_var has shape \(64,\)",
        ),
    ],
    ids=["other names", "no kernel", "another network", "part of the norm", "a wide norm"],
)
def test_weights_of_another_network_are_refused(tmp_path, name, weights, message) -> None:
    save_file(weights, tmp_path / "w.safetensors")
    with pytest.raises(TrainingError, match=f"do not fit .*{message}"):
        build(name, tmp_path / "w.safetensors")


@pytest.mark.realdata
def test_pretrained_start_loads_and_sees_something(real_data: Path) -> None:
    path = real_data.parent / "weights" / "resnetv2_50-gluon-stages1-3.safetensors"
    if not path.is_file():
        pytest.skip(f"no {path.name} beside the data")
    network = build("resnetv2_50_stages3", path)
    assert float(network.std) == pytest.approx(0.28, abs=0.01)
    assert float(network.features(torch.rand(1, 1, 64, 64)).std()) > 0
