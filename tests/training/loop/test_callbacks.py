from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from slicewise.errors import TrainingError
from slicewise.training.loop.callbacks import (
    EpochBar,
    EpochLog,
    LastCheckpoint,
    LastingEarlyStopping,
    Milestones,
    average_cycles,
    mean_state,
    plot_curves,
    read_log,
)


def an_epoch(log: EpochLog, number: int, *, validated: bool = True, **metrics: float) -> None:
    trainer = SimpleNamespace(
        current_epoch=number,
        callback_metrics={name: torch.tensor(value) for name, value in metrics.items()},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}, {"lr": 0.2}])],
    )
    log.on_train_epoch_start(trainer, None)
    for index in range(2):
        log.on_train_batch_start(trainer, None, (torch.zeros(3, 1),), index)
        log.on_train_batch_end(trainer, None, None, None, index)
    if validated:
        log.on_validation_end(trainer, None)
    log.on_train_epoch_end(trainer, None)


def test_a_row_holds_the_figures_the_head_rate_and_the_speed(tmp_path):
    log = EpochLog(tmp_path / "log.csv")
    an_epoch(log, 0, train_loss=0.5, val_loss=0.25, something_else=3.0)
    (row,) = read_log(tmp_path / "log.csv")
    assert (row["train_loss"], row["val_loss"], row["lr"]) == ("0.5", "0.25", "0.2")
    assert "something_else" not in row
    assert float(row["images_per_second"]) > 0
    assert 0 <= float(row["data_wait_share"]) <= 1


def test_repeated_epochs_replace_what_came_after(tmp_path):
    log = EpochLog(tmp_path / "log.csv")
    for number in (0, 1, 2):
        an_epoch(log, number, train_loss=1.0)
    an_epoch(EpochLog(tmp_path / "log.csv"), 1, train_loss=2.0)
    rows = read_log(tmp_path / "log.csv")
    assert [(row["epoch"], row["train_loss"]) for row in rows] == [("0", "1.0"), ("1", "2.0")]


def test_figures_of_an_earlier_validation_are_not_repeated(tmp_path):
    log = EpochLog(tmp_path / "log.csv")
    an_epoch(log, 0, val_loss=0.25)
    an_epoch(log, 1, validated=False, val_loss=0.25)
    assert [row["val_loss"] for row in read_log(tmp_path / "log.csv")] == ["0.25", ""]


def test_a_run_killed_while_it_writes_a_row_keeps_the_rows_before(tmp_path, monkeypatch):
    log = EpochLog(tmp_path / "log.csv")
    an_epoch(log, 0, train_loss=1.0)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("csv.DictWriter.writerows", killed)
        with pytest.raises(KeyboardInterrupt):
            an_epoch(log, 1, train_loss=2.0)
    an_epoch(log, 1, train_loss=3.0)
    rows = read_log(tmp_path / "log.csv")
    assert [(row["epoch"], row["train_loss"]) for row in rows] == [("0", "1.0"), ("1", "3.0")]


def test_no_log_no_rows(tmp_path):
    assert read_log(tmp_path / "log.csv") == []


def test_the_bar_counts_epochs_from_one_as_the_messages_do(capsys):
    bar = EpochBar()
    bar._trainer = SimpleNamespace(max_epochs=12)
    assert [bar._get_train_description(number).strip() for number in (0, 11)] == [
        *("Epoch 1/12", "Epoch 12/12"),
    ]
    milestones = Milestones("val_loss", "min")
    metrics = {"val_loss": torch.tensor(0.5)}
    milestones.on_train_epoch_end(SimpleNamespace(callback_metrics=metrics, current_epoch=0), None)
    assert capsys.readouterr().err.startswith("epoch 1: ")


@pytest.mark.parametrize(
    ("finished", "line"), [(0, ""), (4, "going on after epoch 4 of 12\n")], ids=["new", "resumed"]
)
def test_a_resumed_run_says_where_it_goes_on(capsys, finished, line):
    trainer = SimpleNamespace(current_epoch=finished, max_epochs=12)
    Milestones("val_loss", "min").on_train_start(trainer, None)
    assert capsys.readouterr().err == line


HEADER = "epoch,train_loss,val_loss,train_accuracy,lr\n"


def picture_of(folder, text: str) -> Image.Image:
    (folder / "log.csv").write_text(text)
    plot_curves(folder / "log.csv", folder / "curves.png")
    with Image.open(folder / "curves.png") as picture:
        picture.load()
        return picture


def test_curves_are_a_picture_that_changes_with_the_log(tmp_path):
    falling = picture_of(tmp_path, HEADER + "0,1.0,1.2,0.3,0.1\n1,0.5,0.9,0.6,0.05\n")
    rising = picture_of(tmp_path, HEADER + "0,0.5,1.2,0.3,0.1\n1,1.0,0.9,0.6,0.05\n")
    assert (falling.format, falling.width > 2 * falling.height) == ("PNG", True)
    assert falling.size == rising.size
    assert falling.tobytes() != rising.tobytes()


def test_missing_validations_leave_gaps(tmp_path):
    picture_of(tmp_path, HEADER + "0,1.0,,0.3,0.1\n1,0.5,0.9,0.6,0.05\n")


def state(value: float, steps: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.tensor([value, 2 * value]), "num_batches_tracked": torch.tensor(steps)}


def test_weights_are_averaged_and_steps_are_those_of_the_last() -> None:
    mean = mean_state([state(1.0, 10), state(2.0, 20), state(6.0, 30)])
    assert mean["weight"].tolist() == [3.0, 6.0]
    assert mean["weight"].dtype == torch.float32
    assert mean["num_batches_tracked"].item() == 30


def test_a_run_that_ended_before_a_cycle_is_an_error(tmp_path: Path) -> None:
    torch.save({"state_dict": state(1.0, 1)}, tmp_path / "cycle-004.ckpt")
    with pytest.raises(TrainingError, match="after epochs 6, 8"):
        average_cycles(tmp_path, [4, 6, 8])
    for end in (6, 8):
        torch.save({"state_dict": state(float(end), end)}, tmp_path / f"cycle-{end:03d}.ckpt")
    average_cycles(tmp_path, [4, 6, 8])
    kept = torch.load(tmp_path / "average.ckpt", weights_only=True)["state_dict"]
    assert kept["weight"].tolist() == [5.0, 10.0]


def test_a_run_killed_while_it_saves_keeps_the_epoch_before(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"epoch 0")

    def killed(partial: Path) -> None:
        partial.write_bytes(b"epo")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LastCheckpoint(path).on_train_epoch_end(SimpleNamespace(save_checkpoint=killed), None)
    assert path.read_bytes() == b"epoch 0"


@pytest.mark.parametrize("stopped_epoch", [0, 4])
def test_a_stopped_run_stays_stopped(stopped_epoch):
    callback = LastingEarlyStopping("val_loss")
    callback.stopped_epoch = stopped_epoch
    trainer = SimpleNamespace(should_stop=False)
    callback.on_train_start(trainer, None)
    assert trainer.should_stop == (stopped_epoch > 0)
