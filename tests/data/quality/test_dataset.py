"""Every row of an audited manifest is met, or its reason is given."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from builders_data import head, save
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.quality.dataset import Dataset, files_of, read_dataset
from slicewise.data.quality.issues import RULES
from slicewise.data.quality.shortcuts import FEATURES


def row(folder: Path, reference: str) -> ManifestRow:
    whole = folder / reference
    file = whole if whole.exists() else folder / reference.partition("#")[0]
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "0" * 64
    return ManifestRow(reference, "glioma", "made", "", reference, "train", digest, 96, 96)


def audited(folder: Path, *references: str) -> Dataset:
    manifest = Manifest(tuple(row(folder, name) for name in references), folder)
    return read_dataset(files_of(manifest))


def reasons(dataset: Dataset) -> dict[str, str]:
    return {Path(bad.path).name: bad.reason for bad in dataset.excluded}


def pages(folder: Path, count: int) -> None:
    first, *others = [head(seed, 96) for seed in range(count)]
    first.save(folder / "pages.tif", save_all=True, append_images=others)


def test_the_only_slice_of_a_file_may_be_named_by_its_index(tmp_path):
    save(head(0, 96), tmp_path / "0.png")
    dataset = audited(tmp_path, "0.png#0")
    assert [Path(item.reference).name for item in dataset.items] == ["0.png"]
    assert reasons(dataset) == {}


def test_a_file_whose_name_ends_like_an_index_is_that_file(tmp_path):
    save(Image.new("L", (96, 96), 9), tmp_path / "0.png")
    save(head(0, 96), tmp_path / "other.png").rename(tmp_path / "0.png#1")
    dataset = audited(tmp_path, "0.png#1")
    assert [Path(item.reference).name for item in dataset.items] == ["0.png#1"]


def test_rows_that_name_no_slice_are_told_with_a_reason(tmp_path):
    pages(tmp_path, 3)
    save(head(9, 96), tmp_path / "9.png")
    dataset = audited(tmp_path, "pages.tif#1", "pages.tif#99", "9.png#1")
    assert [item.index for item in dataset.items] == [1]
    assert reasons(dataset) == {
        "pages.tif#99": "expected #index below 3, since the file holds 3; got #99",
        "9.png#1": "expected #index below 1, since the file holds 1; got #1",
    }


def test_a_file_of_several_slices_needs_an_index(tmp_path):
    pages(tmp_path, 2)
    dataset = audited(tmp_path, "pages.tif")
    assert dataset.items == []
    assert reasons(dataset) == {
        "pages.tif": "expected #index below 2, since the file holds 2 slices; got none"
    }


def test_every_row_of_a_file_that_cannot_be_read_is_told(tmp_path):
    save(head(0, 96), tmp_path / "0.png")
    (tmp_path / "broken.tif").write_bytes(b"no picture at all" * 9)
    dataset = audited(tmp_path, "broken.tif#0", "broken.tif#1", "0.png", "gone.png")
    assert len(dataset.items) == 1
    assert set(reasons(dataset)) == {"broken.tif#0", "broken.tif#1", "gone.png"}


def test_no_file_gives_an_empty_data_set_of_the_right_widths():
    dataset = read_dataset([])
    assert dataset.items == dataset.excluded == []
    assert dataset.thumbnails.shape == (0, 1024)
    assert dataset.features.shape == (0, len(FEATURES))
    assert dataset.issues.shape == (0, len(RULES))


def test_a_fault_of_our_own_is_not_told_as_a_broken_file(tmp_path, monkeypatch):
    def broken(*_):
        raise AttributeError("ours")

    save(head(0, 96), tmp_path / "0.png")
    monkeypatch.setattr("slicewise.data.quality.dataset.appearance", broken)
    with pytest.raises(AttributeError, match="ours"):
        audited(tmp_path, "0.png")
