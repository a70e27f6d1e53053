from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lightning as L  # noqa: N812 (Lightning's own name for it)
import numpy as np
import pytest
import torch

from builders_training import logits_of, run_config, write_heads
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import ConfigError, TrainingError
from slicewise.stats.metrics import accuracy
from slicewise.training.config import RunConfig
from slicewise.training.loop import run
from slicewise.training.loop.log import COLUMNS, read_log
from slicewise.training.loop.run import LastingEarlyStopping, fit, pixel_statistics, prepare
from slicewise.training.network.model import SliceNet

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
    return fit(config, FOUR_CLASS, splits, config.folder)


def broken_off(monkeypatch, folder: Path, epoch: int, error: type[BaseException], **sections):
    """Like `fitted`, but an epoch does not begin."""
    usual = run.callbacks
    with monkeypatch.context() as patch:
        patch.setattr(run, "callbacks", lambda *given: [*usual(*given), Breaking(epoch, error)])
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
from slicewise.training.loop import run
from slicewise.training.loop.log import EpochLog

def killed(self, trainer, module):
    if trainer.current_epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

EpochLog.on_validation_end = killed
register_small(pytest.MonkeyPatch())
folder = Path(sys.argv[2])
config = run_config(folder, name="killed", trainer={"epochs": 4}, checkpoint={"export": "last"})
splits = run.prepare(config, FOUR_CLASS, Manifest.read(folder / "manifest.csv"))
run.fit(config, FOUR_CLASS, splits, config.folder)
"""


def test_a_killed_process_is_taken_up_by_another_one(heads):
    """Killed within the third epoch; the second is the last that was saved."""
    tests = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", KILLED, tests, str(heads)]
    found = subprocess.run(words, capture_output=True, check=False)
    assert found.returncode == -signal.SIGKILL
    assert saved_epoch(heads / "runs/killed") == 1
    sections = {"trainer": {"epochs": 4}, "checkpoint": LAST}
    whole = fitted(heads, "whole", **sections)
    assert same(whole, fitted(heads, "killed", **sections))


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


def test_ctrl_c_is_an_error_that_says_how_to_go_on(heads, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(TrainingError, match="interrupted; run the same command again"):
            broken_off(monkeypatch, heads, 1, KeyboardInterrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert saved_epoch(heads / "runs/quick") == 0


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


@pytest.mark.parametrize("stopped_epoch", [0, 4])
def test_a_stopped_run_stays_stopped(stopped_epoch):
    callback = LastingEarlyStopping("val_loss")
    callback.stopped_epoch = stopped_epoch
    trainer = SimpleNamespace(should_stop=False)
    callback.on_train_start(trainer, None)
    assert trainer.should_stop == (stopped_epoch > 0)


def test_a_finished_run_is_not_trained_again(heads, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    first = fitted(heads)
    monkeypatch.setattr(run.SliceModule, "training_step", refuse)
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
    before = run.create_network(config.model, FOUR_CLASS, weights=None).backbone
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


def test_a_missing_test_split_is_fine(heads):
    manifest = without(heads, lambda row: row.split == "test")
    assert set(prepare(run_config(heads), FOUR_CLASS, manifest)) == {"train", "val"}


def test_a_label_that_is_no_class_is_named_before_anything_is_decoded(tmp_path):
    manifest = write_heads(tmp_path, classes=("glioma", "abscess"))
    with pytest.raises(TrainingError, match=r"labels abscess are none of .*four_class: glioma"):
        prepare(run_config(tmp_path), FOUR_CLASS, manifest)
    assert not (tmp_path / "runs").exists()


def test_a_validation_split_of_one_class_cannot_choose_an_epoch_by_auroc(heads):
    manifest = without(heads, lambda row: row.split == "val" and row.label != "glioma")
    config = run_config(heads)
    splits = prepare(config, FOUR_CLASS, manifest)
    with pytest.raises(TrainingError, match=r"val_macro_auroc: expected .* at least two classes"):
        fit(config, FOUR_CLASS, splits, config.folder)
    by_loss = run_config(heads, name="loss", early_stopping={"monitor": "val_loss"})
    fit(by_loss, FOUR_CLASS, splits, by_loss.folder)


def test_a_device_that_is_not_there_is_named(heads):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(TrainingError, match=r"trainer.device cuda: .*available: .*cpu"):
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
