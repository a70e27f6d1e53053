"""What is wrong with a run is reported before any pixel is read, and leaves no folder behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from builders_training import run_config
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import FOUR_CLASS, THREE_CLASS, Task
from slicewise.errors import (
    BundleError,
    ConfigError,
    LeakageError,
    ManifestError,
    TrainingError,
)
from slicewise.training.config import RunConfig
from slicewise.training.crossval.folds import cross_validate, require_folds
from slicewise.training.loop import train as train_module
from slicewise.training.loop.checks import claim
from slicewise.training.loop.train import fit, prepare, train

Started = Callable[[RunConfig], Path]


@pytest.fixture
def unread(monkeypatch) -> None:
    """Pixels that are asked for, of a file or of the cache, end the test."""

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("a pixel was read")

    monkeypatch.setattr(train_module, "load_split", refuse)
    monkeypatch.setattr("slicewise.imaging.read.read_slices", refuse)


def refused(
    folder: Path, error: type[Exception], message: str, task: Task = FOUR_CLASS, **sections: object
) -> None:
    """Training ends with this error, and leaves everything as it was."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(error, match=message):
        train(run_config(folder, **sections), task, "x")
    assert sorted(folder.rglob("*")) == before


def changed(folder: Path, change: Callable[[ManifestRow], ManifestRow | None]) -> None:
    """Write the manifest anew, each row as a change leaves it."""
    manifest = Manifest.read(folder / "manifest.csv")
    rows = tuple(row for row in map(change, manifest.rows) if row is not None)
    replace(manifest, rows=rows).write(folder / "manifest.csv")


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("sections", "error", "message"),
    [
        ({"model": {"name": "resnet9000"}}, ConfigError, "model.name 'resnet9000': expected one"),
        ({"model": {"frozen_stages": 3}}, ConfigError, "frozen_stages 3: small has 2 stages"),
        (
            {"model": {"name": "resnet18", "weights": "gone.safetensors"}},
            TrainingError,
            r"gone\.safetensors: expected a safetensors file",
        ),
        ({"trainer": {"precision": "fp16"}}, TrainingError, "precision fp16: expected device cuda"),
        (
            {"scheduler": {"name": "onecycle"}, "trainer": {"epochs": 5}},
            TrainingError,
            "scheduler onecycle: cannot be spread over 10 steps",
        ),
        (
            {"model": {"hidden": 8}, "loss": {"region": 0.1}},
            ConfigError,
            "loss.region: expected a linear layer right behind the pooling; small has more",
        ),
        ({"strategy": {"name": "partial", "stages": 3}}, ConfigError, "small has 2 stages"),
        ({"model": {"start": "gone"}}, BundleError, "gone: no such bundle"),
        ({"model": {"name": "vit_b_16"}, "preprocessing": {"size": 40}}, ConfigError, "multiples"),
        (
            {"model": {"weights": "a.safetensors", "pretrained": True}},
            ConfigError,
            "expected one of weights, pretrained and start",
        ),
        (
            {"loss": {"region": 0.1}, "data": {"boxes": "gone.csv"}},
            ManifestError,
            r"gone\.csv",
        ),
        (
            {"data": {"source_weights": {"odd": 2, "evne": 0.5}}},
            ConfigError,
            "data.source_weights 'evne': expected a source of the manifest; nearest: even",
        ),
    ],
    ids=[
        *("name", "stages", "weights", "precision", "schedule", "region", "last stages", "start"),
        *("size", "two starts", "boxes", "source"),
    ],
)
def test_a_wrong_configuration_is_reported_first(heads, sections, error, message):
    refused(heads, error, message, **sections)


@pytest.mark.usefixtures("unread")
def test_a_device_that_is_not_there_is_reported_first(heads):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    refused(heads, ConfigError, "trainer.device cuda: not on this", trainer={"device": "cuda"})


@pytest.mark.usefixtures("unread")
def test_start_weights_of_another_network_are_reported_first(heads):
    save_file({"conv1.weight": torch.ones(64, 3, 7, 7)}, heads / "other.safetensors")
    model = {"name": "resnet18", "weights": str(heads / "other.safetensors")}
    refused(heads, TrainingError, r"do not fit resnet18: (?s:.*)bn1\.weight", model=model)


@pytest.mark.usefixtures("unread")
def test_evidence_without_a_negative_class_is_reported_first(heads):
    changed(heads, lambda row: None if row.label == "no_tumor" else row)
    refused(heads, ConfigError, "model.pool evidence", THREE_CLASS, model={"pool": "evidence"})


@pytest.mark.usefixtures("unread")
def test_tumor_against_none_needs_a_source_of_both(heads):
    none = "no_tumor"
    changed(heads, lambda row: replace(row, source="sick" if row.label != none else "healthy"))
    refused(heads, ConfigError, r"loss\.tumor: expected a source with", loss={"tumor": 1})
    changed(heads, lambda row: replace(row, source="any" if row.split == "val" else row.source))
    refused(heads, ConfigError, r"loss\.tumor: expected a source with", loss={"tumor": 1})
    changed(heads, lambda row: None if row.label == none else row)
    refused(heads, ConfigError, r"loss\.tumor: .*three_class", THREE_CLASS, loss={"tumor": 1})


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: None if row.split == "val" else row, "split 'val': expected at least 1"),
        (
            lambda row: replace(row, label="abscess") if row.split == "val" else row,
            "labels abscess are none of",
        ),
        (
            lambda row: None if (row.split, row.label) == ("train", "glioma") else row,
            "split 'train' has no slices of glioma",
        ),
        (
            lambda row: None if row.split == "val" and row.label != "glioma" else row,
            "val_macro_auroc: expected validation slices of at least two classes",
        ),
    ],
    ids=["no validation", "label", "class", "one class"],
)
def test_slices_that_do_not_suffice_are_reported_first(heads, change, message):
    changed(heads, change)
    refused(heads, TrainingError, message)


def leaking(kind: str) -> Callable[[ManifestRow], ManifestRow]:
    """The first test slice and others belong together, by what a manifest may say of it."""

    def change(row: ManifestRow) -> ManifestRow:
        if Path(row.path).stem not in {"0", "2", "6", "7"}:  # 6 and 7 are tested on
            return row
        if kind == "index":
            return replace(row, extra={**row.extra, "public_group": "figshare:gli_1"})
        if kind == "dicom":
            return replace(row, patient_id="dicom_0123456789ab")
        if kind == "name":
            return replace(row, patient_id="7", source="even")
        return replace(row, sha256="ab" * 32)

    return change


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("index", "2 by the index or DICOM"),
        ("dicom", "2 by the index or DICOM"),
        ("name", "2 by the patient's name"),
        ("file", "2 the same file"),
    ],
)
def test_test_slices_of_patients_that_are_trained_on_are_reported_first(heads, kind, why):
    changed(heads, leaking(kind))
    message = rf"quick: expected no test slice .* 2 of 8 are known to be \({why}\).*`slicewise data"
    refused(heads, LeakageError, message)
    with pytest.raises(AssertionError, match="a pixel was read"):
        train(run_config(heads, bundle={"allow_seen": True}), FOUR_CLASS, "x")
    message = r"fold-[ac]: expected no test slice .*bundle\.allow_seen: true"
    with pytest.raises(LeakageError, match=message):
        cross_validate(run_config(heads), FOUR_CLASS, "x")


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("split", ["train", "val"])
def test_files_that_are_not_there_are_reported_first(heads, split):
    manifest = Manifest.read(heads / "manifest.csv")
    row = manifest.subset(split).rows[0]
    Path(manifest.resolve(row)).unlink()
    refused(heads, TrainingError, f"1 files of the manifest are not there: {row.path}")


@pytest.mark.usefixtures("unread")
def test_masks_that_are_not_there_are_reported_where_they_are_used(heads):
    changed(heads, lambda row: replace(row, extra={**row.extra, "mask": "gone.png"}))
    message = r"16 files of the manifest are not there: .*gone\.png"
    refused(heads, TrainingError, message, loss={"region": 0.1})


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("place", ["runs", "cache"])
def test_a_place_that_cannot_be_written_is_reported_first(heads, place):
    (heads / "file").write_text("no folder")
    given = {"runs": str(heads / "file")} if place == "runs" else {}
    data = {"cache": str(heads / "file" / "cache")} if place == "cache" else {}
    refused(
        heads, TrainingError, "file.*: expected a folder that can be written", data=data, **given
    )


@pytest.mark.usefixtures("unread")
def test_another_run_in_the_folder_is_reported_first_and_kept(heads):
    claim(heads / "runs/quick", run_config(heads))
    refused(heads, TrainingError, "holds a run with another configuration", seed=8)


@pytest.mark.usefixtures("unread")
def test_every_fold_is_checked_before_the_first_is_trained(heads):
    config = run_config(heads)
    claim(config.folder / "fold-c", run_config(heads, seed=8))
    before = sorted(heads.rglob("*"))
    with pytest.raises(TrainingError, match="fold-c holds a run with another configuration"):
        cross_validate(config, FOUR_CLASS, "x")
    with pytest.raises(ConfigError, match="fold 'z': the manifest has a, b, c"):
        require_folds(config, FOUR_CLASS, ["a", "z"])
    changed(heads, lambda row: replace(row, extra={"fold": "a" if row.label == "glioma" else "b"}))
    with pytest.raises(TrainingError, match="split 'train' has no slices of meningioma"):
        require_folds(config, FOUR_CLASS, ["b", "a"])
    assert sorted(heads.rglob("*")) == before


def test_a_run_that_failed_on_its_slices_blocks_no_other(heads, monkeypatch):
    """The folder is made once all pixels are there."""
    manifest = Manifest.read(heads / "manifest.csv")
    row = manifest.subset("train").rows[0]
    whole = Path(manifest.resolve(row)).read_bytes()
    Path(manifest.resolve(row)).write_bytes(whole[:-20])
    config = run_config(heads, trainer={"epochs": 1})
    with pytest.raises(TrainingError, match="1 of 16 slices cannot be used"):
        train(config, FOUR_CLASS, "x")
    assert not config.folder.exists()
    changed(heads, lambda one: None if one.path == row.path else one)
    begun = []
    monkeypatch.setattr(train_module, "fit", lambda *given: begun.append(given) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(run_config(heads, optimizer={"lr": 0.02}), FOUR_CLASS, "x")
    ((_, _, splits, folder),) = begun
    assert len(splits["train"].images) == 15
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "manifest.csv"}


def test_plain_gradient_descent_has_no_momentum(heads):
    sections = {"optimizer": {"name": "sgd", "momentum": 0}, "trainer": {"epochs": 1}}
    config = run_config(heads, **sections)
    splits = prepare(config, FOUR_CLASS, Manifest.read(heads / "manifest.csv"))
    claim(config.folder, config)
    fit(config, FOUR_CLASS, splits, config.folder)
    state = torch.load(config.folder / "checkpoints/last.ckpt", weights_only=True)
    (optimizer,) = state["optimizer_states"]
    assert all(not group["nesterov"] for group in optimizer["param_groups"])
