"""Which part of a network trains in which epoch, at which rate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from builders_training import run_config
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import ConfigError
from slicewise.training.config import RunConfig
from slicewise.training.loop.module import optimizer_and_schedule
from slicewise.training.loop.train import fit, prepare, train
from slicewise.training.network.model import SliceNet, create_network, parameter_counts
from slicewise.training.network.strategy import counts_in_words, freeze, frozen_stages
from slicewise.zoo.catalogue import CATALOGUE

DOCS = Path(__file__).parents[3] / "docs"


def config(name: str = "resnet18", **sections: Any) -> RunConfig:
    trainer = {"epochs": 12, **sections.pop("trainer", {})}
    model = {"name": name, **sections.pop("model", {})}
    return run_config(Path("nowhere"), model=model, trainer=trainer, **sections)


def made(settings: RunConfig, device: str = "cpu") -> SliceNet:
    with torch.device(device):
        return create_network(settings.model, FOUR_CLASS, weights=None, size=64)


@pytest.mark.parametrize(
    ("strategy", "always", "expected"),
    [
        ({"name": "full"}, 0, [0, 0, 0]),
        ({"name": "full"}, 2, [2, 2, 2]),
        ({"name": "head"}, 0, [5, 5, 5]),
        ({"name": "partial", "stages": 2}, 0, [3, 3, 3]),
        ({"name": "partial", "stages": 4}, 3, [3, 3, 3]),
        ({"name": "two_phase", "epochs": 6}, 0, [5, 0, 0]),
        ({"name": "two_phase", "epochs": 11}, 1, [5, 5, 1]),
        ({"name": "progressive", "epochs": 2}, 0, [5, 2, 0]),
        ({"name": "progressive", "epochs": 4}, 4, [5, 4, 4]),
    ],
)
def test_stages_that_do_not_train(strategy, always: int, expected: list[int]) -> None:
    settings = config(strategy=strategy, model={"frozen_stages": always})
    assert [frozen_stages(settings, 5, epoch) for epoch in (0, 6, 11)] == expected


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_docs_have_its_trainable_parameters(name: str) -> None:
    counts = []
    for strategy in ({"name": "head"}, *({"name": "partial", "stages": n} for n in (1, 2))):
        settings = config(name, strategy=strategy)
        network = made(settings, "meta")
        freeze(network, settings, 0)
        counts.append(parameter_counts(network)[1])
    row = " | ".join(f"{count:,}" for count in (*counts, CATALOGUE[name].parameters))
    assert f"| `{name}` | {row} |" in (DOCS / "models.md").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("name", "trained"), [("medical_cnn", "0.2 M"), ("resnet50_gap", "0.5 M"), ("swin_t", "27.5 M")]
)
def test_a_run_is_told_what_trains(name: str, trained: str) -> None:
    settings = config(name)
    assert counts_in_words(made(settings, "meta"), settings).endswith(f"{trained} trained")


def test_a_run_in_phases_is_told_both_counts() -> None:
    settings = config("resnet50_gap", strategy={"name": "two_phase"})
    told = "24.0 M parameters, 0.5 M trained at first, 24.0 M at last"
    assert counts_in_words(made(settings, "meta"), settings) == told


@pytest.mark.parametrize(
    ("name", "layers", "trained"),
    [
        ("resnet18", ["layer4"], {"layer4"}),
        ("resnet18", ["layer4.1", "bn1"], {"layer4", "bn1"}),
        ("efficientnet_b0", ["blocks.6", "conv_head"], {"blocks", "conv_head"}),
        ("custom_cnn", ["4"], {"4"}),
    ],
)
def test_layers_that_train_by_name(name: str, layers: list[str], trained: set[str]) -> None:
    settings = config(name, strategy={"name": "partial", "layers": layers})
    network = made(settings).train()
    freeze(network, settings, 0)
    found = {n for n, p in network.backbone.named_parameters() if p.requires_grad}
    assert {n.partition(".")[0] for n in found} == trained
    assert all(n.startswith(tuple(layers)) for n in found)
    norms = {
        n for n, m in network.backbone.named_modules()
        if isinstance(m, torch.nn.BatchNorm2d) and m.training
    }  # fmt: skip
    assert norms == {n for n in norms if n.startswith(tuple(layers))}
    freeze(network, config(name), 0)
    assert all(p.requires_grad for p in network.parameters())
    assert all(m.training for m in network.modules())


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ({"name": "partial"}, "strategy: name partial: expected stages or layers"),
        ({"name": "partial", "stages": 1, "layers": ["a"]}, "expected stages or layers"),
        ({"name": "head", "stages": 1}, "name head: expected neither stages nor layers"),
        ({"name": "two_phase", "epochs": 12}, "two_phase: expected strategy.epochs below the 12"),
        ({"name": "halves"}, "strategy.name: expected one of 'full', 'head'"),
        ({"name": "partial", "stages": 6}, "strategy.stages 6: resnet18 has 5 stages"),
        ({"name": "partial", "layers": ["layer5"]}, "strategy.layers 'layer5'.*nearest: layer"),
    ],
)
def test_a_strategy_that_cannot_be_is_refused(strategy, told: str) -> None:
    def used() -> None:
        settings = config(strategy=strategy)
        freeze(made(settings, "meta"), settings, 0)

    with pytest.raises(ConfigError, match=told):
        used()


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_each_stage_has_its_rate(decay: float) -> None:
    rates = {"lr": 0.1, "backbone_lr_scale": 0.4, "stage_lr_decay": decay}
    settings = config(optimizer=rates, scheduler={"name": "none"})
    network = made(settings)
    optimizer, _ = optimizer_and_schedule(network, settings, 12)
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == len(list(network.parameters()))
    for back, part in enumerate(("layer4", "layer3", "layer2", "layer1", "conv1")):
        for parameter in network.backbone.get_submodule(part).parameters():
            assert found[id(parameter)] == pytest.approx(0.04 * decay**back)
    assert found[id(network.head.weight)] == 0.1


@pytest.mark.parametrize(
    ("strategy", "moved"),
    [
        ({"name": "head"}, [set(), set(), set()]),
        ({"name": "partial", "layers": ["second"]}, [{"second"}] * 3),
        ({"name": "two_phase", "epochs": 2}, [set(), set(), {"first", "second"}]),
        ({"name": "progressive", "epochs": 1}, [set(), {"second"}, {"first", "second"}]),
    ],
)
def test_what_a_strategy_freezes_stays_in_every_epoch(
    heads: Path, strategy, moved: list[set[str]], capsys
) -> None:
    """Weights and batch-norm statistics, by the checkpoints of a run of three epochs."""
    settings = run_config(
        heads,
        strategy=strategy,
        trainer={"epochs": 3},
        checkpoint={"every": 1},
        bundle={"weights": True},
    )
    bundle = train(settings, FOUR_CLASS, "slicewise train")
    kept = settings.folder / "checkpoints"
    states = [
        torch.load(kept / f"epoch-{epoch:03d}.ckpt", weights_only=True)["state_dict"]
        for epoch in range(3)
    ]
    torch.manual_seed(settings.seed)
    start = create_network(settings.model, FOUR_CLASS, weights=None, size=32).state_dict()
    before = {f"network.{key}": value for key, value in start.items()}
    for state, expected in zip(states, moved, strict=True):
        changed = {key for key, value in state.items() if not torch.equal(value, before[key])}
        parts = {found[1] for key in changed if (found := re.match(r"network.backbone.(\w+)", key))}
        assert parts == expected
        assert "network.head.weight" in changed
        before = state
    frozen_for_good = strategy["name"] in ("head", "partial")
    assert ("THE FROZEN PART IS RANDOM" in capsys.readouterr().err) == frozen_for_good
    assert load_file(bundle / "weights.safetensors").keys() == start.keys()


def test_the_card_says_what_was_trained(heads: Path) -> None:
    settings = run_config(heads, strategy={"name": "two_phase", "epochs": 1})
    bundle = train(settings, FOUR_CLASS, "slicewise train")
    card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "All weights were trained afterwards, at first the head alone." in card


def test_a_head_on_start_weights_is_no_surprise(heads: Path, capsys) -> None:
    bundle = train(
        run_config(heads, bundle={"weights": True}, trainer={"epochs": 1}), FOUR_CLASS, "train"
    )
    settings = run_config(
        heads, name="second", model={"start": str(bundle)}, strategy={"name": "head"}
    )
    splits = prepare(settings, FOUR_CLASS, Manifest.read(heads / "manifest.csv"))
    settings.folder.mkdir(parents=True)
    network = fit(settings, FOUR_CLASS, splits, settings.folder)
    start = load_file(bundle / "weights.safetensors")
    for name, value in network.state_dict().items():
        assert torch.equal(value, start[name]) == (not name.startswith("head.")), name
    assert "RANDOM" not in capsys.readouterr().err
