"""A few synthetic heads, a small network, and one finished run that many tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from builders_training import register_small, run_config, write_heads
from slicewise.data.tasks import FOUR_CLASS
from slicewise.training.loop.train import train


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register_small(patch)
        yield


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """A folder with 32 heads, 8 of each class in 4 groups, and their `manifest.csv`."""
    write_heads(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, _small: None) -> Path:
    """The folder of a finished run over `heads`, stored as float16; not to be written to."""
    folder = tmp_path_factory.mktemp("finished")
    write_heads(folder)
    config = run_config(
        folder,
        trainer={"epochs": 3},
        bundle={"weight_storage": "float16", "version": "2.1.0", "licences": {"weights": "MIT"}},
    )
    train(config, FOUR_CLASS, "slicewise train quick.yaml")
    return config.folder
