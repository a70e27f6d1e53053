"""What a network starts from: a file, published weights in a cache, a bundle."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import load, save_file

import builders_training
from builders_training import run_config, write_heads
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.tasks import FOUR_CLASS, THREE_CLASS
from slicewise.errors import ConfigError, TrainingError
from slicewise.inference.bundle import load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.training.loop.train import train
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import SliceNet, create_network
from slicewise.training.network.start import PUBLISHED, start_in_words, start_of


def begun(size: int = 64, task=FOUR_CLASS, **keys) -> SliceNet:
    config = ModelConfig(**keys)
    return create_network(config, task, weights=start_of(config), size=size).eval()


def published(name: str, path: Path, **options) -> timm.models.ResNet:
    torch.manual_seed(3)
    network = timm.create_model(name, **options).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.clone().contiguous() for k, v in network.state_dict().items()}, path)
    return network


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face on a machine without internet."""

    def fetch(*_: object, **__: object) -> str:
        raise OSError("no internet")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    return tmp_path / "hub"


def in_cache(cache: Path, source: str) -> Path:
    folder = cache / f"models--{source.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    return folder / "snapshots" / "abc" / PUBLISHED


@pytest.mark.parametrize(
    ("name", "timm_name"),
    [("mobilenet_v2", "mobilenetv2_100"), ("resnet18", "resnet18"), ("test_vit", "test_vit")],
)
def test_published_weights_come_from_the_cache(cache: Path, name: str, timm_name: str) -> None:
    colour = published(timm_name, in_cache(cache, timm.get_pretrained_cfg(timm_name).hf_hub_id))
    for channels in (1, 3):
        if name == "test_vit":
            network = begun(160, name=name, pretrained=True, channels=channels)
            assert torch.equal(network.before[0].weight, colour.norm.weight)
            torch.testing.assert_close(network.backbone.pos_embed, colour.pos_embed)
        else:
            network = begun(name=name, pretrained=True, channels=channels)
            image = torch.rand(1, 1, 64, 64)
            normal = ((image - network.mean) / network.std).expand(-1, 3, -1, -1)
            wanted = colour.forward_features(normal)
            torch.testing.assert_close(network.features(image), wanted, atol=1e-4, rtol=1e-4)
        assert not network.needs_statistics
        assert network.mean.numel() == channels


def test_an_empty_cache_without_internet_says_what_to_do(cache: Path, capsys) -> None:
    told = r"timm/resnet18.a1_in1k: .* the cache .*hub; .* slicewise models fetch resnet18"
    with pytest.raises(TrainingError, match=told):
        begun(name="resnet18", pretrained=True)
    assert capsys.readouterr().err == "fetching the weights timm/resnet18.a1_in1k\n"


@pytest.mark.parametrize("size", [64, 96])
def test_weights_of_a_transformer_fit_other_sizes(tmp_path: Path, size: int) -> None:
    file = tmp_path / "vit.safetensors"
    published("test_vit", file)
    network = begun(size, name="test_vit", weights=file)
    side = size // 16
    assert network.features(torch.rand(1, 1, size, size)).shape[2:] == (side, side)


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("test_vit", {"norm.weight": None}, "fc_norm.weight is missing"),
        ("test_vit", {"more": torch.ones(2)}, "more is unknown"),
        ("test_resnet", {"bn1.weight": torch.ones(7)}, "bn1.weight is of another shape"),
        ("resnet18", {"conv1.weight": torch.ones(7)}, "conv1.weight is of another shape"),
        ("custom_cnn", {"0.0.weight": torch.ones(1)}, "missing; 0.0.weight .* of another shape"),
    ],
)
def test_weights_that_do_not_fit_name_their_keys(tmp_path: Path, name, changes, told) -> None:
    file = tmp_path / "w.safetensors"
    known = {} if name == "custom_cnn" else timm.create_model(name).state_dict()
    kept = {k: v for k, v in {**known, **changes}.items() if v is not None}
    save_file({k: v.contiguous() for k, v in kept.items()}, file)
    with pytest.raises(TrainingError, match=f"do not fit {name}: .*({told})"):
        begun(160, name=name, weights=file)


def test_one_start_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected one of .*; got weights, pretrained"):
        begun(name="resnet18", weights=tmp_path / "a.safetensors", pretrained=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a finished run that keeps its weights."""
    folder = tmp_path_factory.mktemp("kept")
    write_heads(folder)
    bundle = {"weights": True, "licences": {"weights": "CC-BY-NC-SA-4.0"}}
    return train(run_config(folder, bundle=bundle), FOUR_CLASS, "slicewise train")


def test_a_bundle_that_keeps_its_weights_is_gone_on_from(kept: Path) -> None:
    network = begun(32, name="small", start=kept)
    found = Classifier(load_bundle(kept))
    images = torch.rand(3, 1, 32, 32)
    wanted = found.run(images.numpy()).logits
    torch.testing.assert_close(network(images), torch.from_numpy(wanted), atol=1e-4, rtol=1e-4)
    assert not network.needs_statistics


def test_the_last_layer_starts_anew_for_other_classes(kept: Path) -> None:
    state = load(load_bundle(kept).files["weights.safetensors"])
    network = begun(32, THREE_CLASS, name="small", start=kept)
    assert network.head.out_features == 3
    assert torch.equal(network.backbone.first[0].weight, state["backbone.first.0.weight"])
    reordered = replace(FOUR_CLASS, classes=FOUR_CLASS.classes[::-1])
    again = begun(32, reordered, name="small", start=kept)
    assert not torch.equal(again.head.weight, state["head.weight"])


def test_a_run_from_a_bundle_says_so_and_remembers_what_that_has_seen(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = builders_training.head_image
    monkeypatch.setattr(builders_training, "head_image", lambda kind, seed: draw(kind, seed + 500))
    write_heads(tmp_path, per_group=1)
    config = run_config(tmp_path, model={"start": str(kept)}, trainer={"epochs": 1})
    info = load_bundle(train(config, FOUR_CLASS, "slicewise train")).info
    assert info.origin.started_from == "the bundle quick 0.1.0"
    assert info.licences == {"model": "MIT", "weights": "CC-BY-NC-SA-4.0"}
    counts = [
        len(Fingerprints.load(BytesIO(load_bundle(bundle).files["seen.npz"])))
        for bundle in (kept, config.folder / "bundle")
    ]
    assert counts == [24, 24 + 12]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"name": "resnet18"}, "expected a bundle of resnet18, as model.name says; got one of sm"),
        ({"name": "small", "hidden": 8}, "do not fit small: before.1.weight, .* missing"),
    ],
)
def test_a_bundle_of_another_network_is_refused(kept: Path, keys, told: str) -> None:
    with pytest.raises((ConfigError, TrainingError), match=told):
        begun(32, start=kept, **keys)


def test_a_bundle_without_weights_says_how_to_keep_them(finished: Path) -> None:
    with pytest.raises(TrainingError, match=r"weights.safetensors; .*bundle.weights: true"):
        begun(32, name="small", start=finished / "bundle")


@pytest.mark.parametrize(
    ("keys", "words", "licences"),
    [
        ({}, "random initialisation", {}),
        ({"weights": "a/b.safetensors"}, "the weights of b.safetensors", {}),
        (
            {"name": "swin_t", "pretrained": True},
            "the weights timm/swin_tiny_patch4_window7_224.ms_in1k that timm publishes (mit)",
            {"start weights": "mit"},
        ),
    ],
)
def test_the_start_in_words(keys, words: str, licences) -> None:
    assert start_in_words(ModelConfig(**keys)) == (words, licences)
