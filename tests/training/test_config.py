from __future__ import annotations

from pathlib import Path

import pytest

from slicewise.errors import ConfigError
from slicewise.training.config import load_config, parse_config, save_config

MINIMAL = {"name": "run", "data": {"manifest": "m.csv"}}


def test_defaults_fill_in_and_survive_writing(tmp_path: Path) -> None:
    config = parse_config(MINIMAL, "x")
    save_config(config, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml") == config
    assert config.folder == Path("runs/run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimiser": {"lr": 1}}, "unknown key optimiser; nearest known key: optimizer"),
        ({"trainer": {"epoch": 3}}, "unknown key trainer.epoch; nearest known key: trainer.epochs"),
        ({"trainer": {"epochs": 0}}, r"trainer.epochs: .*greater than or equal to 1 \(got 0\)"),
        ({"name": "../x"}, "name: "),
        ({"loss": {"name": "hinge"}}, "loss.name: .*cross_entropy"),
        ({"name": "Run 1"}, r"name: .*\(got 'Run 1'\)"),
        ({"preprocessing": {"sise": 64}}, "nearest known key: preprocessing.size"),
        ({"augment": {"rotation": 5}}, "nearest known key: augment.rotate"),
        ({"data": {}}, "data.manifest: Field required"),
        ({"bundle": {"version": "1"}}, r"bundle.version: .*\(got '1'\)"),
        (
            {"trainer": {"validate_every": 2, "epochs": 1}},
            "^x: trainer.validate_every is larger than trainer.epochs$",
        ),
        (
            {"scheduler": {"name": "plateau"}, "trainer": {"validate_every": 2}},
            "^x: scheduler plateau needs trainer.validate_every 1$",
        ),
    ],
)
def test_wrong_keys_and_values_are_named(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({**MINIMAL, **change}, "x")


def test_every_mistake_is_told_at_once() -> None:
    wrong = {**MINIMAL, "seed": -1, "optimizer": {"lr": 0}, "model": {"nmae": "x"}}
    with pytest.raises(ConfigError) as caught:
        parse_config(wrong, "x")
    assert all(key in str(caught.value) for key in ("seed: ", "optimizer.lr: ", "model.nmae;"))


def test_a_preset_fills_what_is_not_given() -> None:
    config = parse_config({**MINIMAL, "augment": {"preset": "light", "rotate": 3}}, "x")
    assert (config.augment.rotate, config.augment.flip, config.augment.erase) == (3, 0.5, 0)


@pytest.mark.parametrize(
    ("monitor", "mode"), [("val_loss", "min"), ("val_accuracy", "max"), ("val_macro_auroc", "max")]
)
def test_losses_fall_and_scores_rise(monitor: str, mode: str) -> None:
    config = parse_config({**MINIMAL, "early_stopping": {"monitor": monitor}}, "x")
    assert config.early_stopping.mode == mode


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="expected keys and values, got list"):
        load_config(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"broken\.yaml: cannot be read as YAML"):
        load_config(tmp_path / "broken.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_config(tmp_path / "bytes.yaml")


@pytest.mark.parametrize(
    "path", sorted([*Path("docs/configs").glob("*.yaml"), Path("models/four_class/train.yaml")]),
    ids=str,
)  # fmt: skip
def test_configurations_that_ship_are_valid(path: Path) -> None:
    from slicewise.data.tasks import parse_task

    assert len(parse_task(load_config(path).data.task).classes) >= 2
