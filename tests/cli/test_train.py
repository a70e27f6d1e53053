"""`slicewise train` and `slicewise evaluate` on a few synthetic heads."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from builders_training import register_small, run_values, write_heads
from slicewise.cli.main import app
from slicewise.errors import BundleError, ConfigError, ManifestError
from slicewise.inference.bundle import load_bundle
from slicewise.text import figure_text


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register_small(patch)
        yield
    torch.use_deterministic_algorithms(False)


def write_config(folder: Path, **sections) -> Path:
    path = folder / f"{sections.get('name', 'quick')}.yaml"
    values = run_values(folder, trainer={"epochs": 1}, **sections)
    path.write_text(yaml.safe_dump(values))
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, _small: None) -> Path:
    """A folder with heads, a configuration and the run that it made."""
    folder = tmp_path_factory.mktemp("project")
    write_heads(folder)
    result = run("train", write_config(folder))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"bundle: {folder / 'runs/quick/bundle'}\n")
    (folder / "told.txt").write_text(result.stdout)
    return folder


def test_the_figures_are_told_with_their_intervals(project):
    lines = (project / "told.txt").read_text().splitlines()
    report = json.loads((project / "runs/quick/evaluation/metrics.json").read_text())
    assert lines[1] == f"report: {project / 'runs/quick/evaluation'}"
    assert lines[2] == "test: 8 slices in 4 groups; 95 % intervals resample groups"
    figures = dict(line.strip().split("  ", 1) for line in lines[3:])
    assert figures["accuracy"].strip() == figure_text(report["accuracy"])
    assert figures["tumor sensitivity"].strip() == figure_text(report["tumor"]["sensitivity"])


@pytest.fixture
def untold(monkeypatch) -> None:
    """Bundles that are only names are told by their names."""
    monkeypatch.setattr(
        "slicewise.training.crossval.folds.headlines", lambda bundle: f"bundle: {bundle}"
    )


def test_the_bundle_is_whole_and_says_how_it_was_made(project):
    bundle = load_bundle(project / "runs/quick/bundle")
    card = bundle.files["MODEL_CARD.md"].decode()
    assert "```\nslicewise train quick.yaml\n```" in card
    assert str(project) not in card
    assert str(project) not in json.dumps(bundle.info.model_dump(mode="json"))


def test_the_report_of_a_run_names_its_bundle(project):
    run_folder = project / "runs/quick"
    report = json.loads((run_folder / "evaluation/metrics.json").read_text())
    assert report["bundle"]["sha256"] == load_bundle(run_folder / "bundle").identity


def test_the_command_can_be_pasted(project, monkeypatch, untold):
    asked = []
    monkeypatch.setattr("slicewise.training.crossval.folds.require_folds", lambda *given: None)
    monkeypatch.setattr(
        "slicewise.training.crossval.folds.train_fold",
        lambda *given, refit: asked.append(given[-1]) or Path("x"),
    )
    path = Path(shutil.copy(project / "quick.yaml", project / "my run.yaml"))
    run("train", path, "--fold", "a b", "--weights", project / "start 1.safetensors")
    assert shlex.split(asked[0]) == [
        *("slicewise", "train", "my run.yaml"),
        *("--weights", "start 1.safetensors", "--fold", "a b"),
    ]


def test_the_same_command_again_changes_nothing(project):
    before = load_bundle(project / "runs/quick/bundle").identity
    assert run("train", project / "quick.yaml").exit_code == 0
    assert load_bundle(project / "runs/quick/bundle").identity == before


def test_an_unknown_fold_is_named(project):
    result = run("train", project / "quick.yaml", "--fold", "z")
    assert isinstance(result.exception, ConfigError)
    assert "fold 'z': the manifest has a, b, c" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--folds"], [("cross_validate", "--folds")]),
        (
            ["--fold", "a", "--fold", "c"],
            [("train_fold", "a", "--fold a"), ("train_fold", "c", "--fold c")],
        ),
        ([], [("train", "")]),
    ],
    ids=["all folds", "two folds", "none"],
)
def test_folds_are_asked_for(project, monkeypatch, untold, options, expected):
    asked = []

    def record(name: str):
        last = name.split(".")[-1]

        def called(config, task, *rest, refit):
            assert not refit
            asked.append((last, *rest[:-1], rest[-1].partition("quick.yaml")[2].strip()))
            return Path(last)

        monkeypatch.setattr(f"slicewise.training.{name}", called)

    for name in ("crossval.folds.cross_validate", "crossval.folds.train_fold", "loop.train.train"):
        record(name)
    result = run("train", project / "quick.yaml", *options)
    assert asked == expected
    assert result.stdout.splitlines() == [f"bundle: {call[0]}" for call in expected]


def test_files_replace_those_of_the_configuration(project, monkeypatch, untold):
    asked = []
    monkeypatch.setattr(
        "slicewise.training.loop.train.train",
        lambda config, task, command, refit: asked.append((config, command)) or Path("x"),
    )
    files = ("--weights", project / "start.safetensors", "--boxes", project / "boxes.csv")
    run("train", project / "quick.yaml", *files)
    ((config, command),) = asked
    assert config.model.weights == project / "start.safetensors"
    assert config.data.boxes == project / "boxes.csv"
    assert command == "slicewise train quick.yaml --weights start.safetensors --boxes boxes.csv"


@pytest.mark.parametrize("start", [{"pretrained": True}, {"start": "runs/first/bundle"}])
def test_weights_of_the_command_stand_for_any_other_start(project, monkeypatch, untold, start):
    asked = []
    monkeypatch.setattr(
        "slicewise.training.loop.train.train",
        lambda config, task, command, refit: asked.append(config.model) or Path("x"),
    )
    path = write_config(project, name="begun", model=start)
    run("train", path, "--weights", project / "start.safetensors")
    (model,) = asked
    assert (model.pretrained, model.start) == (False, None)
    assert model.weights == project / "start.safetensors"


@pytest.mark.parametrize(
    ("sections", "error", "message"),
    [
        ({"optimiser": {}}, ConfigError, "nearest known key: optimizer"),
        ({"data": {"task": "six_class"}}, ConfigError, "task 'six_class'"),
        ({"data": {"manifest": "gone.csv"}}, ManifestError, "gone.csv"),
        ({"model": {"name": "resnet9"}}, ConfigError, "model.name 'resnet9'"),
    ],
)
def test_a_wrong_configuration_is_named(project, sections, error, message):
    result = run("train", write_config(project, name="wrong", **sections))
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert result.exit_code == 1


def test_evaluate_measures_the_test_split(project):
    bundle = project / "runs/quick/bundle"
    out = project / "out"
    words = ("evaluate", project / "manifest.csv", "--bundle", bundle, "--out", out)
    result = run(*words, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report == json.loads((out / "metrics.json").read_text())
    own = load_bundle(bundle).info.evaluation.as_json()
    assert (report["accuracy"], report["n"]) == (own["accuracy"], 8)
    assert {path.name for path in out.iterdir()} >= {"predictions.csv", "roc.png"}


def test_evaluate_refuses_what_the_model_has_seen(project):
    bundle = project / "runs/quick/bundle"
    words = ("evaluate", project / "manifest.csv", "--bundle", bundle, "--out", project / "seen")
    refused = run(*words, "--split", "train")
    assert refused.exit_code == 1
    assert "--allow-seen" in str(refused.exception)
    allowed = run(*words, "--split", "train", "--allow-seen")
    assert allowed.exit_code == 0
    assert "16 slices in 8 groups" in allowed.stdout


def test_evaluate_needs_a_bundle_that_is_one(project):
    result = run(
        "evaluate", project / "manifest.csv", "--bundle", project, "--out", project / "none"
    )
    assert isinstance(result.exception, BundleError)


def test_one_fold_and_all_folds_are_not_asked_for_together(tmp_path):
    done = CliRunner().invoke(app, ["train", str(tmp_path / "run.yaml"), "--folds", "--fold", "1"])
    assert done.exit_code == 2
    assert "not both" in done.output
