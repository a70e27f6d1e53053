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
    ],
)
def test_wrong_keys_and_values_are_named(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({**MINIMAL, **change}, "x")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="expected keys and values, got list"):
        load_config(tmp_path / "list.yaml")
