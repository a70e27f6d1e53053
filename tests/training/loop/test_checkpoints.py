"""What is kept of the weights, and their mean by plain numbers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from slicewise.errors import TrainingError
from slicewise.training.loop.checkpoints import (
    LastCheckpoint,
    LastingEarlyStopping,
    average_cycles,
    mean_state,
)


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
