from __future__ import annotations

from pathlib import Path

import pytest
import yaml

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
        ({"trainer": {"epochs": 0}}, "trainer.epochs: expected at least 1; got 0"),
        ({"name": "../x"}, "name: "),
        ({"loss": {"name": "hinge"}}, "loss.name: .*cross_entropy"),
        ({"name": "Run 1"}, "name: .*got 'Run 1'"),
        ({"preprocessing": {"sise": 64}}, "nearest known key: preprocessing.size"),
        ({"augment": {"rotation": 5}}, "nearest known key: augment.rotate"),
        ({"data": {}}, "data.manifest: expected a value; got none"),
        ({"bundle": {"version": "1"}}, "bundle.version: .*got '1'"),
        ({"folds": {"column": "f", "count": 5}}, "^x: folds: expected column or count, not both$"),
        ({"folds": 5}, "folds: expected names with values; got 5"),
        ({"folds": {"count": 1}}, "folds.count: expected at least 2; got 1"),
        (
            {"bundle": {"operating_point": "yuden"}},
            "bundle.operating_point: rule 'yuden': expected one of .*; nearest: youden_j",
        ),
        (
            {"bundle": {"operating_point": {"rule": "target_sensitivity"}}},
            "rule target_sensitivity: expected it with value; got none$",
        ),
        (
            {"bundle": {"operating_point": {"rule": "youden_j", "value": 0.9}}},
            "rule youden_j: expected it alone; got value$",
        ),
        (
            {"bundle": {"operating_point": {"rule": "cost", "missed": 5, "prevalence": 0.3}}},
            "rule cost: expected it with missed, false_alarm, prevalence; got missed, prevalence$",
        ),
        (
            {"bundle": {"operating_point": {"rule": "cost", "mised": 5}}},
            "unknown key bundle.operating_point.mised; "
            "nearest known key: bundle.operating_point.missed",
        ),
        (
            {"bundle": {"operating_point": {"rule": "target_sensitivity", "value": 95}}},
            "bundle.operating_point.value: expected at most 1; got 95",
        ),
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


@pytest.mark.parametrize(
    "sections",
    [
        {"folds": {"count": 5}},
        {"folds": {"column": "site"}},
        {"bundle": {"operating_point": {"rule": "target_sensitivity", "value": 0.95}}},
        {"bundle": {"operating_point": "youden_j", "calibration": "bias_corrected"}},
    ],
    ids=str,
)
def test_what_is_written_is_read_as_the_same(tmp_path: Path, sections: dict) -> None:
    config = parse_config({**MINIMAL, **sections}, "x")
    save_config(config, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml") == config


def test_a_rule_by_its_name_and_as_a_section_are_the_same() -> None:
    by_name = parse_config({**MINIMAL, "bundle": {"operating_point": "youden_j"}}, "x")
    as_section = parse_config({**MINIMAL, "bundle": {"operating_point": {"rule": "youden_j"}}}, "x")
    assert by_name == as_section == parse_config(MINIMAL, "x")


def test_folds_that_are_dealt_need_no_column() -> None:
    assert parse_config(MINIMAL, "x").folds.column == "fold"
    dealt = parse_config({**MINIMAL, "folds": {"count": 5}}, "x").folds
    assert (dealt.column, dealt.count, dealt.name) == (None, 5, "fold")


def test_every_mistake_is_told_at_once() -> None:
    wrong = {**MINIMAL, "seed": -1, "optimizer": {"lr": 0}, "model": {"nmae": "x"}}
    with pytest.raises(ConfigError) as caught:
        parse_config(wrong, "x")
    assert all(key in str(caught.value) for key in ("seed: ", "optimizer.lr: ", "model.nmae;"))


@pytest.mark.parametrize("factor", [0, -1, "much"])
def test_a_weight_of_a_source_is_above_0(factor: object) -> None:
    data = {**MINIMAL["data"], "source_weights": {"site": factor}}
    with pytest.raises(ConfigError, match=r"data\.source_weights\.site: "):
        parse_config({**MINIMAL, "data": data}, "x")


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


SHIPPED = [
    path
    for folder, names in (("docs/configs", "*.yaml"), ("models/four_class", "train*.yaml"))
    for path in sorted(Path(folder).glob(names))
    if "manifest" in (yaml.safe_load(path.read_text()).get("data") or {})
]


def test_there_are_configurations_to_begin_with() -> None:
    assert len(SHIPPED) >= 5


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_configurations_that_ship_are_valid(path: Path) -> None:
    from slicewise.data.tasks import parse_task

    assert len(parse_task(load_config(path).data.task).classes) >= 2
