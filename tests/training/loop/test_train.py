"""From a configuration to a bundle that answers."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import lightning as L  # noqa: N812 (Lightning's own name for it)
import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import numpy_helper
from PIL import Image

from builders_public import index_of, row_of, ship
from builders_training import logits_of, register_small, run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import BINARY, FOUR_CLASS
from slicewise.errors import ConfigError, LeakageError, TrainingError
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import load_bundle, pack_bundle, write_bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.rule import DecisionRule
from slicewise.stats.metrics import accuracy
from slicewise.training.config import RunConfig, load_config, save_config
from slicewise.training.data.dataset import load_split
from slicewise.training.export.graph import calibration_images, onnx_bytes, quantized, rounded
from slicewise.training.loop import train as module
from slicewise.training.loop.callbacks import COLUMNS, read_log, trained_network
from slicewise.training.loop.checks import claim
from slicewise.training.loop.measure import summary
from slicewise.training.loop.train import fit, pixel_statistics, prepare, train
from slicewise.training.network.model import SliceNet

QUICK = {"trainer": {"epochs": 1}}


def bundle_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_resnet18_end_to_end(heads, tmp_path):
    config = run_config(heads, model={"name": "resnet18"}, trainer={"epochs": 2})
    bundle = train(config, FOUR_CLASS, "slicewise train quick.yaml")
    folder = config.folder
    assert bundle == folder / "bundle"
    assert load_config(folder / "config.yaml") == config
    with Image.open(folder / "curves.png") as picture:
        assert picture.format == "PNG"
    with (folder / "log.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    manifest = Manifest.read(heads / "manifest.csv")
    assert Manifest.read(folder / "manifest.csv").sha256 == manifest.sha256
    metrics = json.loads((folder / "evaluation/metrics.json").read_text())
    assert (metrics["split"], metrics["n"], metrics["groups"]) == ("test", 8, 4)
    assert metrics["refused"]["seen"]["count"] == 0
    info = load_bundle(bundle).info
    assert info.origin.architecture == "resnet18"
    assert info.evaluation.as_json()["accuracy"] == metrics["accuracy"]
    pack_bundle(bundle, tmp_path / "b.zip")
    rows = manifest.subset("test").rows
    slices = [read_slice(manifest.resolve(row)) for row in rows]
    answers = Classifier.load(tmp_path / "b.zip").predict(slices)
    hits = sum(answer.label == row.label for answer, row in zip(answers, rows, strict=True))
    assert hits / len(rows) == metrics["accuracy"]["value"]


@pytest.mark.parametrize("told", ["by the file", "by pixels", "some by pixels"])
def test_test_slices_of_trained_patients_cost_no_bundle(heads, monkeypatch, told):
    """Allowed where the manifest tells it; what only pixels tell is found when all is trained."""
    manifest = Manifest.read(heads / "manifest.csv")
    test = [row.path for row in manifest.subset("test").rows]
    public = [manifest.subset("train").rows[0].path, *(test[:3] if told[0] == "s" else test)]
    known = {} if told == "by the file" else {"file_sha256": "ab" * 32}
    rows = [row_of(heads / path, n, "figshare:gli_1", **known) for n, path in enumerate(public)]
    if known:
        rows = [row | {"file_sha256": f"{n + 1:x}" * 64} for n, row in enumerate(rows)]
    ship(monkeypatch, index_of(heads / "index.npz", rows))
    bundle = {} if known else {"bundle": {"allow_seen": True}}
    if not known:
        with pytest.raises(LeakageError, match="8 of 8 are known to be"):
            train(run_config(heads, **QUICK), FOUR_CLASS, "x")
    info = load_bundle(train(run_config(heads, **QUICK, **bundle), FOUR_CLASS, "x")).info
    measured = info.evaluation
    some = told == "some by pixels"
    assert (measured.n, measured.allow_seen) == (4 if some else 8, not some)
    assert measured.refused["same_patients"] == (4 if some else 0)  # of two groups
    assert ("But 8 of the 8 slices" in measured.description) != some
    assert any("others of patients that were trained on" in c for c in measured.cautions) != some


def run_of(finished: Path) -> tuple[RunConfig, Manifest]:
    return load_config(finished / "config.yaml"), Manifest.read(finished / "manifest.csv")


def test_a_finished_run_is_left_as_it_is(finished, monkeypatch):
    monkeypatch.setattr(module, "prepare", None)
    monkeypatch.setattr(module, "fit", None)
    before = bundle_bytes(finished / "bundle")
    assert train(run_of(finished)[0], FOUR_CLASS, "x") == finished / "bundle"
    assert bundle_bytes(finished / "bundle") == before


def test_the_report_of_an_older_run_is_given_the_identity_of_its_bundle(finished, tmp_path):
    config, manifest = run_of(finished)
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    path = folder / "evaluation/metrics.json"
    report = json.loads(path.read_text())
    identity = load_bundle(finished / "bundle").identity
    assert report["bundle"]["sha256"] == identity
    path.write_text(json.dumps({**report, "bundle": {**report["bundle"], "sha256": "draft"}}))
    own = Manifest(manifest.rows, finished)
    module.train_manifest(config, FOUR_CLASS, own, folder, "x")
    assert json.loads(path.read_text()) == report
    assert not list(path.parent.glob("*.partial"))


def test_a_finished_run_is_not_given_out_for_another_one(finished):
    config, manifest = run_of(finished)
    with pytest.raises(TrainingError, match="another configuration"):
        train(config.model_copy(update={"seed": 8}), FOUR_CLASS, "x")
    turned = {"glioma": "meningioma", "meningioma": "glioma"}
    rows = (replace(row, label=turned.get(row.label, row.label)) for row in manifest.rows)
    other = replace(manifest, rows=tuple(rows))
    with pytest.raises(TrainingError, match="holds a run on other slices, labels"):
        module.train_manifest(config, FOUR_CLASS, other, finished, "x")


def test_a_run_killed_while_it_writes_the_bundle_is_finished_later(heads, finished):
    config = run_config(heads, **QUICK)
    figures = load_bundle(finished / "bundle").info.evaluation.as_json()
    partial = config.folder / "partial/bundle"
    partial.mkdir(parents=True)
    (partial / "model.onnx").write_bytes(b"half of it")
    bundle = module.train_manifest(
        config,
        FOUR_CLASS,
        Manifest.read(heads / "manifest.csv"),
        config.folder,
        "x",
        metrics=figures,
    )
    assert load_bundle(bundle).info.evaluation.as_json() == figures
    assert not partial.parent.exists()


@pytest.fixture
def trained(finished, tmp_path, monkeypatch) -> RunConfig:
    """A copy of a finished run that may be changed; training again is an error."""
    folder = tmp_path / "runs/quick"
    shutil.copytree(finished, folder)

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "fit", refuse)
    config = load_config(folder / "config.yaml").model_copy(update={"runs": tmp_path / "runs"})
    save_config(config, folder / "config.yaml")
    return config


def with_bundle(config: RunConfig, **values: object) -> RunConfig:
    return config.model_copy(update={"bundle": config.bundle.model_copy(update=values)})


def test_a_changed_bundle_section_is_written_without_training(trained, capsys):
    before = load_bundle(trained.folder / "bundle")
    changed = with_bundle(trained, version="2.2.0", intended_use="Research on phantoms.")
    bundle = load_bundle(train(changed, FOUR_CLASS, "x"))
    assert (bundle.info.version, bundle.info.intended_use) == ("2.2.0", "Research on phantoms.")
    assert bundle.info.decision == before.info.decision
    for name in ("model.onnx", "seen.npz"):
        assert bundle.files[name] == before.files[name]
    report = json.loads((trained.folder / "evaluation/metrics.json").read_text())
    assert report["bundle"]["sha256"] == bundle.identity != before.identity
    assert "bundle.version, bundle.intended_use changed" in capsys.readouterr().err
    assert load_config(trained.folder / "config.yaml") == changed
    assert not (trained.folder / "partial").exists()
    train(changed, FOUR_CLASS, "x")
    assert load_bundle(trained.folder / "bundle").identity == bundle.identity


def test_a_bundle_that_remembers_no_slices_is_made_anew(trained, capsys):
    """As versions before had it: their answers could not be pooled with those of today."""
    before = load_bundle(trained.folder / "bundle")
    others = {name: part for name, part in before.files.items() if name != "trust.npz"}
    rule = before.info.decision.model_copy(update={"acceptance": None})
    shutil.rmtree(trained.folder / "bundle")
    write_bundle(
        trained.folder / "bundle", before.info.model_copy(update={"decision": rule}), others
    )
    after = load_bundle(train(trained, FOUR_CLASS, "x"))
    assert after.files["trust.npz"] == before.files["trust.npz"]
    assert "it remembers no training slices" in capsys.readouterr().err


def test_a_refit_needs_no_start_weights(trained):
    model = trained.model.model_copy(update={"weights": Path("gone.safetensors")})
    config = trained.model_copy(update={"model": model})
    save_config(config, trained.folder / "config.yaml")
    before = load_bundle(trained.folder / "bundle")
    train(config, FOUR_CLASS, "x", refit=True)
    after = load_bundle(trained.folder / "bundle")
    assert after.identity != before.identity
    assert after.files["model.onnx"] == before.files["model.onnx"]


def test_a_refit_that_fails_leaves_the_bundle(trained, monkeypatch):
    before = load_bundle(trained.folder / "bundle").identity

    def fail(*_: object, **__: object) -> None:
        raise TrainingError("no room")

    monkeypatch.setattr(module, "write_product", fail)
    changed = with_bundle(trained, version="2.2.0")
    with pytest.raises(TrainingError, match="no room"):
        train(changed, FOUR_CLASS, "x")
    assert load_bundle(trained.folder / "bundle").identity == before
    assert load_config(trained.folder / "config.yaml") == trained


def test_a_kill_between_report_and_bundle_is_mended_later(trained, monkeypatch, capsys):
    folder, usual = trained.folder, Path.rename
    before = load_bundle(folder / "bundle").identity

    def killed(path: Path, place: Path) -> Path:
        if path.name == "bundle":
            raise KeyboardInterrupt
        return usual(path, place)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            train(trained, FOUR_CLASS, "x", refit=True)
    path = folder / "evaluation/metrics.json"
    assert load_bundle(folder / "bundle").identity == before
    assert json.loads(path.read_text())["bundle"]["sha256"] != before
    train(trained, FOUR_CLASS, "x")
    after = load_bundle(folder / "bundle").identity
    assert json.loads(path.read_text())["bundle"]["sha256"] == after
    assert "its report is of another bundle" in capsys.readouterr().err
    train(trained, FOUR_CLASS, "x")
    assert load_bundle(folder / "bundle").identity == after


def test_a_decision_fitted_elsewhere_is_written_where_it_changed(trained):
    manifest = Manifest.read(trained.data.manifest)
    given = DecisionRule(temperature=1.25, fitted_on="elsewhere")

    def once(decision: DecisionRule) -> str:
        folder = trained.folder
        module.train_manifest(trained, FOUR_CLASS, manifest, folder, "x", decision)
        return load_bundle(folder / "bundle").identity

    first = once(given)
    assert load_bundle(trained.folder / "bundle").info.decision == given
    assert once(given) == first
    assert once(given.model_copy(update={"temperature": 1.5})) != first


def test_a_refit_without_a_checkpoint_names_it(trained):
    (trained.folder / "checkpoints/best.ckpt").unlink()
    with pytest.raises(TrainingError, match=r"best\.ckpt: expected the checkpoint"):
        train(with_bundle(trained, weight_storage="float32"), FOUR_CLASS, "x")


def test_weights_are_stored_otherwise_from_the_checkpoint(trained):
    before = load_bundle(trained.folder / "bundle")
    bundle = load_bundle(train(with_bundle(trained, weight_storage="float32"), FOUR_CLASS, "x"))
    assert (before.info.weight_storage, bundle.info.weight_storage) == ("float16", "float32")
    kernels = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load_model_from_string(bundle.files["model.onnx"]).graph.initializer
        if tensor.name == "network.backbone.first.0.weight"
    ]
    state = torch.load(trained.folder / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    np.testing.assert_array_equal(kernels[0], state["network.backbone.first.0.weight"].numpy())


def test_whole_numbers_are_fitted_on_training_slices_from_the_checkpoint(trained):
    folder = train(with_bundle(trained, weight_storage="int8"), FOUR_CLASS, "x")
    bundle = load_bundle(folder)
    assert bundle.info.weight_storage == "int8"
    manifest = Manifest.read(trained.data.manifest)
    images = calibration_images(load_split(trained, manifest, "train"))
    network = trained_network(trained, FOUR_CLASS, trained.folder)
    whole = onnx_bytes(rounded(network, "float32"), trained.preprocessing.size, "float32")
    assert bundle.files["model.onnx"] == quantized(whole, images)
    card = (folder / "MODEL_CARD.md").read_text()
    assert "whole numbers of eight bits" in card
    assert "stored as" not in card


def test_a_run_of_an_older_version_is_taken_as_it_is(trained):
    path = trained.folder / "config.yaml"
    content = yaml.safe_load(path.read_text())
    del content["bundle"]["operating_point"], content["trainer"]["profile"], content["folds"]
    path.write_text(yaml.safe_dump(content))
    before = load_bundle(trained.folder / "bundle").identity
    assert train(trained, FOUR_CLASS, "x") == trained.folder / "bundle"
    assert load_bundle(trained.folder / "bundle").identity == before


def test_a_tumor_of_an_unknown_type_is_learnt_from_and_not_measured_on(tmp_path, monkeypatch):
    register_small(monkeypatch)
    manifest = write_heads(tmp_path)
    unknown = tuple(
        replace(row, label="tumor") if row.label == "glioma" and row.group.endswith(name) else row
        for row in manifest.rows
        for name in ["3" if row.split == "test" else "0"]
    )
    replace(manifest, rows=unknown).write(tmp_path / "manifest.csv")
    bundle = load_bundle(train(run_config(tmp_path), FOUR_CLASS, "made for a test"))
    used = Manifest.read(tmp_path / "runs/quick/manifest.csv")
    assert {row.split for row in used.rows if row.label == "tumor"} == {"train"}
    assert len(used.rows) == len(unknown) - 2
    assert bundle.info.origin.training_slices == len(used.subset("train").rows)
    assert bundle.info.evaluation.n == len(used.subset("test").rows)


def test_a_leak_is_refused_before_anything_is_trained(heads):
    manifest = Manifest.read(heads / "manifest.csv")
    rows = tuple(replace(row, group="one") for row in manifest.rows)
    config = run_config(heads)
    leaking = replace(manifest, rows=rows)
    with pytest.raises(LeakageError, match="1 groups are in several"):
        module.train_manifest(config, FOUR_CLASS, leaking, config.folder, "x")
    assert not (config.folder / "log.csv").exists()


def test_without_a_test_split_the_figures_say_where_they_come_from(heads):
    manifest = Manifest.read(heads / "manifest.csv")
    rows = tuple(
        replace(row, label="no_tumor" if row.label == "no_tumor" else "tumor")
        for row in manifest.rows
        if row.split != "test"
    )
    replace(manifest, rows=rows).write(heads / "manifest.csv")
    info = load_bundle(train(run_config(heads, **QUICK), BINARY, "x")).info
    assert info.task.classes == ("no_tumor", "tumor")
    assert info.evaluation.description.startswith("Measured on the validation split")
    assert (info.evaluation.split, info.evaluation.allow_seen) == ("val", True)


def test_the_bundle_carries_no_paths():
    report = {
        "accuracy": {"value": 1.0},
        "bundle": {"name": "draft"},
        "command": "slicewise train run.yaml",
        "seen_evaluated": {"paths": ["/home/a.png"]},
        "refused": {"seen": {"count": 1, "paths": ["/home/b.png"], "check": "x"}},
    }
    assert summary(report, "words") == {
        "description": "words",
        "command": "slicewise train run.yaml",
        "accuracy": {"value": 1.0},
        "refused": {"seen": 1},
    }


LAST = {"export": "last"}


class BrokenError(Exception):
    """Stands for a machine that is switched off."""


class Breaking(L.Callback):
    def __init__(self, epoch: int, error: type[BaseException]) -> None:
        self.epoch, self.error = epoch, error

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise self.error


def fitted(folder: Path, name: str = "quick", **sections) -> SliceNet:
    config = run_config(folder, name=name, **sections)
    splits = prepare(config, FOUR_CLASS, Manifest.read(folder / "manifest.csv"))
    claim(config.folder, config)
    return fit(config, FOUR_CLASS, splits, config.folder)


def broken_off(monkeypatch, folder: Path, epoch: int, error: type[BaseException], **sections):
    """Like `fitted`, but an epoch does not begin."""
    usual = module.callbacks
    with monkeypatch.context() as patch:
        patch.setattr(module, "callbacks", lambda *given: [*usual(*given), Breaking(epoch, error)])
        fitted(folder, **sections)


def same(one: SliceNet, other: SliceNet) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def saved_epoch(folder: Path, name: str = "last") -> int:
    path = folder / "checkpoints" / f"{name}.ckpt"
    return torch.load(path, weights_only=True)["epoch"]


def log_of(config_name: str, folder: Path) -> list[dict[str, str]]:
    return read_log(folder / "runs" / config_name / "log.csv")


def test_a_run_leaves_log_curves_configuration_and_checkpoints(heads):
    fitted(heads)
    folder = heads / "runs" / "quick"
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "log.csv",
        "curves.png",
        "checkpoints",
    }
    assert {p.name for p in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    rows = read_log(folder / "log.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert tuple(rows[0]) == COLUMNS
    assert all(float(value) >= 0 for row in rows for value in row.values())
    assert float(rows[-1]["lr"]) == pytest.approx(0.01 * 0.01, rel=0.2)


def test_only_the_figures_of_the_validation_split_stand_in_the_log(heads):
    network = fitted(heads, checkpoint=LAST)
    config = run_config(heads)
    splits = prepare(config, FOUR_CLASS, Manifest.read(heads / "manifest.csv"))
    logits = logits_of(network, splits["val"].images)
    expected = accuracy(logits.argmax(1), splits["val"].possible.argmax(1))
    assert float(log_of("quick", heads)[-1]["val_accuracy"]) == pytest.approx(expected)


def test_same_seed_same_weights_other_seed_other_weights(heads):
    first = fitted(heads, "first", model={"dropout": 0.2})
    assert same(first, fitted(heads, "again", model={"dropout": 0.2}))
    assert not same(first, fitted(heads, "other", model={"dropout": 0.2}, seed=8))


RESUMED = {
    "dropout and mixing": {"model": {"dropout": 0.3}, "augment": {"mixup": 0.4, "cutmix": 1.0}},
    "bf16": {"trainer": {"precision": "bf16"}},
    "plateau": {"scheduler": {"name": "plateau", "patience": 0}, "optimizer": {"lr": 0.05}},
    "onecycle": {"scheduler": {"name": "onecycle"}, "optimizer": {"name": "sgd"}},
    "best": {"checkpoint": {"export": "best"}},
    "stage by stage": {
        "strategy": {"name": "progressive", "epochs": 1},
        "optimizer": {"stage_lr_decay": 0.5},
    },
    "average": {
        "trainer": {"epochs": 2},
        "scheduler": {"cycles": 2, "cycle_epochs": 1},
        "checkpoint": {"export": "average"},
        "early_stopping": {"patience": 9},
    },
    "validated every second epoch": {"trainer": {"validate_every": 2}},
}


@pytest.mark.parametrize("sections", RESUMED.values(), ids=RESUMED.keys())
def test_a_run_that_broke_off_ends_with_the_same_weights(heads, monkeypatch, sections):
    trainer = {"epochs": 4, **sections.get("trainer", {})}
    sections = {"checkpoint": LAST, **sections, "trainer": trainer}
    whole = fitted(heads, "whole", **sections)
    with pytest.raises(BrokenError):
        broken_off(monkeypatch, heads, 3, BrokenError, name="parts", **sections)
    assert len(log_of("parts", heads)) == 3
    assert same(whole, fitted(heads, "parts", **sections))
    compared = [[row["epoch"], row["train_loss"]] for row in log_of("parts", heads)]
    assert compared == [[row["epoch"], row["train_loss"]] for row in log_of("whole", heads)]


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import pytest
from builders_training import register_small, run_config
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.training.loop import train
from slicewise.training.loop.checks import claim
from slicewise.training.loop.callbacks import EpochLog

def killed(self, trainer, module):
    if trainer.current_epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

def killed_while_it_writes(self, path, *rest, **options):
    if self.current_epoch == 2 and path.name.startswith("."):
        path.write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    usual(self, path, *rest, **options)

usual = train.L.Trainer.save_checkpoint
if sys.argv[3] == "validation":
    EpochLog.on_validation_end = killed
else:
    train.L.Trainer.save_checkpoint = killed_while_it_writes
register_small(pytest.MonkeyPatch())
folder = Path(sys.argv[2])
config = run_config(folder, name="killed", trainer={"epochs": 4}, checkpoint={"export": "last"})
splits = train.prepare(config, FOUR_CLASS, Manifest.read(folder / "manifest.csv"))
claim(config.folder, config)
train.fit(config, FOUR_CLASS, splits, config.folder)
"""


@pytest.mark.parametrize("within", ["validation", "checkpoint"])
def test_a_killed_process_is_taken_up_by_another_one(heads, within):
    """Killed within the third epoch; the second is the last that was saved."""
    tests = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", KILLED, tests, str(heads), within]
    found = subprocess.run(words, capture_output=True, check=False)
    assert found.returncode == -signal.SIGKILL
    assert saved_epoch(heads / "runs/killed") == 1
    drafts = [path.name for path in (heads / "runs/killed").rglob(".*")]
    assert len(drafts) == (1 if within == "checkpoint" else 0)
    sections = {"trainer": {"epochs": 4}, "checkpoint": LAST}
    whole = fitted(heads, "whole", **sections)
    assert same(whole, fitted(heads, "killed", **sections))
    kept = {path.name for path in (heads / "runs/killed/checkpoints").iterdir()}
    assert kept == {"best.ckpt", "last.ckpt"}


def test_the_last_checkpoint_is_of_the_last_epoch_and_the_best_of_the_best(heads):
    """The score does not rise in every epoch, so that the two differ."""
    sections = {"trainer": {"epochs": 5}, "optimizer": {"lr": 0.05}}
    fitted(heads, **sections)
    scores = [float(row["val_macro_auroc"]) for row in log_of("quick", heads)]
    best = int(np.argmax(scores))
    folder = heads / "runs" / "quick"
    assert best < 4
    assert (saved_epoch(folder, "best"), saved_epoch(folder)) == (best, 4)


def test_checkpoints_in_between_are_kept_where_wanted(heads):
    fitted(heads, trainer={"epochs": 4}, checkpoint={"every": 2})
    kept = {path.name for path in (heads / "runs/quick/checkpoints").iterdir()}
    assert kept == {"best.ckpt", "last.ckpt", "epoch-001.ckpt", "epoch-003.ckpt"}


def test_the_average_is_that_of_the_ends_of_all_cycles(heads):
    kept = fitted(heads, **RESUMED["average"])
    assert len(log_of("quick", heads)) == 4
    folder = heads / "runs/quick/checkpoints"
    ends = [torch.load(folder / f"cycle-{end:03d}.ckpt", weights_only=True) for end in (2, 3, 4)]
    for name, value in kept.state_dict().items():
        parts = [end["state_dict"][f"network.{name}"] for end in ends]
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.stack(parts).mean(0))
        else:
            assert torch.equal(value, parts[-1])
    assert not same(kept, fitted(heads, "last", trainer={"epochs": 4}, checkpoint=LAST))


def test_a_run_killed_before_its_average_was_written_gets_it(heads):
    kept = fitted(heads, **RESUMED["average"])
    (heads / "runs/quick/checkpoints/average.ckpt").unlink()
    assert same(kept, fitted(heads, **RESUMED["average"]))


def state_of_the_process() -> dict[str, object]:
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "chance": (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()),
        "levels": [logging.getLogger(name).level for name in ("lightning.pytorch", "torch.onnx")],
        "warnings": list(warnings.filters),
        "ctrl_c": signal.getsignal(signal.SIGINT),
    }


@pytest.fixture
def hosted(monkeypatch):
    """A process with settings of its own, which are as they were after the test."""
    logger, threads = logging.getLogger("lightning.pytorch"), torch.get_num_threads()
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    torch.set_num_threads(2)
    yield state_of_the_process()
    torch.set_num_threads(threads)


def test_a_run_leaves_its_process_as_it_was(heads, hosted):
    train(run_config(heads, **QUICK), FOUR_CLASS, "x")
    assert state_of_the_process() == hosted


def test_ctrl_c_is_an_error_that_says_how_to_go_on(heads, monkeypatch, hosted):
    with pytest.raises(TrainingError, match="interrupted; run the same command again") as caught:
        broken_off(monkeypatch, heads, 1, KeyboardInterrupt)
    ended = caught.value.__cause__
    assert ended is not None
    assert isinstance(ended.__context__, KeyboardInterrupt)  # the command line looks for it
    assert saved_epoch(heads / "runs/quick") == 0
    assert state_of_the_process() == hosted


def test_early_stopping_stops_and_stays_stopped(heads):
    sections = {
        "trainer": {"epochs": 20},
        "early_stopping": {"monitor": "val_loss", "patience": 2, "min_delta": 10},
        "checkpoint": LAST,
    }
    first = fitted(heads, **sections)
    assert len(log_of("quick", heads)) == 3
    assert same(first, fitted(heads, **sections))
    assert len(log_of("quick", heads)) == 3


def test_a_finished_run_is_not_trained_again(heads, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    first = fitted(heads)
    monkeypatch.setattr(module.SliceModule, "training_step", refuse)
    assert same(first, fitted(heads))


def test_another_configuration_in_the_same_folder_is_refused(heads):
    fitted(heads)
    with pytest.raises(TrainingError, match="another configuration"):
        fitted(heads, optimizer={"lr": 0.02})
    assert len(log_of("quick", heads)) == 2


def test_epochs_without_validation_have_no_figures_of_it(heads):
    fitted(heads, trainer={"epochs": 3, "validate_every": 2})
    rows = log_of("quick", heads)
    assert [bool(row["val_loss"]) for row in rows] == [False, True, False]
    assert all(row["train_loss"] for row in rows)


def test_plateau_lowers_the_rate_where_torch_would(heads):
    fitted(
        heads,
        trainer={"epochs": 6},
        scheduler={"name": "plateau", "patience": 0, "factor": 0.5},
        optimizer={"lr": 0.05},
    )
    rows = log_of("quick", heads)
    twin = torch.optim.SGD([torch.zeros(1)], lr=0.05)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(twin, "max", 0.5, 0)
    expected = []
    for row in rows:
        expected.append(twin.param_groups[0]["lr"])
        schedule.step(float(row["val_macro_auroc"]))
    assert [float(row["lr"]) for row in rows] == pytest.approx(expected)
    assert expected[-1] < 0.05


def test_frozen_stages_keep_their_weights(heads):
    sections = {"model": {"frozen_stages": 1}, "optimizer": {"lr": 0.1}}
    after = fitted(heads, checkpoint=LAST, **sections).backbone
    config = run_config(heads, **sections)
    torch.manual_seed(0)
    L.seed_everything(config.seed, verbose=False)
    before = module.create_network(config.model, FOUR_CLASS, weights=None).backbone
    assert torch.equal(before.first[0].weight, after.first[0].weight)
    assert not torch.equal(before.second[0].weight, after.second[0].weight)


def test_diverging_is_an_error(heads):
    with pytest.raises(TrainingError, match=r"loss became nan in epoch .*optimizer\.lr"):
        fitted(heads, optimizer={"lr": 1e30}, trainer={"epochs": 3})


def test_where_the_time_of_a_step_goes(heads):
    fitted(heads, trainer={"epochs": 1, "profile": True})
    (profile,) = (heads / "runs/quick").glob("*profile*.txt")
    assert "optimizer_step" in profile.read_text()


def test_progress_does_not_mix_with_the_answer(heads, capfd):
    fitted(heads)
    out, progress = capfd.readouterr()
    assert out == ""
    assert "epoch 1: " in progress
    assert "\x1b" not in progress
    assert all(line.split()[0] for line in progress.splitlines()), "a bar in a log"


def without(folder: Path, unwanted) -> Manifest:
    manifest = Manifest.read(folder / "manifest.csv")
    kept = tuple(row for row in manifest.rows if not unwanted(row))
    return Manifest(kept, manifest.folder)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_split_is_named_each_time(heads, split):
    manifest = without(heads, lambda row: row.split == split)
    for _ in range(2):
        with pytest.raises(TrainingError, match=f"split '{split}': expected at least .*got 0"):
            prepare(run_config(heads), FOUR_CLASS, manifest)


def test_one_slice_is_too_few_to_train_on(heads):
    first = Manifest.read(heads / "manifest.csv").subset("train").rows[0]
    manifest = without(heads, lambda row: row.split == "train" and row.path != first.path)
    with pytest.raises(TrainingError, match=r"split 'train': expected at least 2 .*got 1"):
        prepare(run_config(heads), FOUR_CLASS, manifest)


def test_the_test_split_is_counted_but_not_read(heads, capsys):
    manifest = Manifest.read(heads / "manifest.csv")
    for row in manifest.subset("test").rows:
        Path(manifest.resolve(row)).unlink()
    assert set(prepare(run_config(heads), FOUR_CLASS, manifest)) == {"train", "val"}
    assert "slices: 16 train, 8 val, 8 test" in capsys.readouterr().err


def test_a_label_of_the_test_split_that_is_no_class_is_named_before_anything_is_decoded(heads):
    manifest = Manifest.read(heads / "manifest.csv")
    rows = tuple(
        replace(row, label="abscess") if row.split == "test" else row for row in manifest.rows
    )
    with pytest.raises(TrainingError, match="labels abscess are none of"):
        prepare(run_config(heads), FOUR_CLASS, replace(manifest, rows=rows))
    assert not (heads / "runs").exists()


def test_an_unknown_type_that_is_taken_for_one_is_trained_as_it(heads):
    manifest = Manifest.read(heads / "manifest.csv")
    paths = [row.path for row in manifest.subset("train").rows if row.label == "glioma"][:2]

    def row_of(row, taken):
        if row.path not in paths:
            return row
        return replace(row, label="tumor", extra={"taken_as": taken[paths.index(row.path)]})

    def prepared(*taken):
        rows = tuple(row_of(row, taken) for row in manifest.rows)
        train = prepare(run_config(heads), FOUR_CLASS, replace(manifest, rows=rows))["train"]
        order = [row.path for row in train.manifest.rows]
        return [train.possible[order.index(path)].tolist() for path in paths]

    either, meningioma = [True, True, False, True], [False, True, False, False]
    assert prepared("meningioma", "") == [meningioma, either]
    with pytest.raises(TrainingError, match="a class that label tumor leaves open; got 'no_tumor'"):
        prepared("no_tumor", "")


def test_keys_of_the_loss_reach_the_training_slices(heads):
    """Nearly at rest, the loss goes with the weights of its terms and of a source."""

    def value(name: str, tumor: float, factor: float = 1.0) -> float:
        still = {"optimizer": {"lr": 1e-12}, "augment": {"preset": "none"}, **QUICK}
        weights = {"even": factor, "odd": 3.0}  # every training slice is of `even`
        fitted(heads, name, loss={"tumor": tumor}, data={"source_weights": weights}, **still)
        return float(log_of(name, heads)[0]["train_loss"])

    plain = value("plain", 0.0)
    added = value("once", 1.0) - plain
    assert 0.3 < added < 1.5  # of two sides that weigh alike, log 2 where nothing is known
    assert value("twice", 2.0) - plain == pytest.approx(2 * added, rel=1e-3)
    assert value("half", 2.0, 0.5) == pytest.approx((plain + 2 * added) / 2, rel=1e-3)


def test_a_missing_test_split_is_fine(heads):
    manifest = without(heads, lambda row: row.split == "test")
    assert set(prepare(run_config(heads), FOUR_CLASS, manifest)) == {"train", "val"}


def test_a_label_that_is_no_class_is_named_before_anything_is_decoded(tmp_path):
    manifest = write_heads(tmp_path, classes=("glioma", "abscess"))
    with pytest.raises(TrainingError, match=r"labels abscess are none of .*four_class: glioma"):
        prepare(run_config(tmp_path), FOUR_CLASS, manifest)
    assert not (tmp_path / "runs").exists()


def test_a_validation_split_of_one_class_can_choose_an_epoch_by_its_loss(heads):
    manifest = without(heads, lambda row: row.split == "val" and row.label != "glioma")
    manifest.write(heads / "manifest.csv")
    fitted(heads, early_stopping={"monitor": "val_loss"})


def test_a_device_that_is_not_there_is_named(heads):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(ConfigError, match=r"trainer.device cuda: .*available: .*cpu"):
        fitted(heads, trainer={"device": "cuda"})


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"name": "resnet9000"}}, "model.name 'resnet9000': expected one of"),
        ({"model": {"frozen_stages": 3}}, "small has 2 stages"),
    ],
)
def test_an_impossible_model_is_named(heads, sections, message):
    with pytest.raises(ConfigError, match=message):
        fitted(heads, **sections)


def test_pixel_statistics():
    images = np.random.default_rng(0).integers(0, 256, (300, 5, 5), dtype=np.uint8)
    mean, std = pixel_statistics(images)
    assert mean == pytest.approx((images / 255).mean())
    assert std == pytest.approx((images / 255).std())


def test_the_network_is_normalised_by_the_training_split(heads):
    network = fitted(heads)
    manifest = Manifest.read(heads / "manifest.csv")
    config: RunConfig = run_config(heads)
    images = prepare(config, FOUR_CLASS, manifest)["train"].images
    assert (float(network.mean), float(network.std)) == pytest.approx(pixel_statistics(images))
