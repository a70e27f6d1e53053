"""Folder layouts: which class, which published split, which files."""

import numpy as np
import pytest

from builders_data import head, save
from slicewise.data.build.config import SourceConfig
from slicewise.data.build.sources import list_files, read_file, source_name
from slicewise.data.tasks import BINARY, FOUR_CLASS
from slicewise.errors import ManifestError


def listed(root, task=FOUR_CLASS, aliases=None, skip=()):
    files = list_files(SourceConfig(root=root, skip=skip), task, aliases)
    return [(f.inner.as_posix(), f.label, f.published_split) for f in files]


def put(root, *names):
    for name in names:
        save(head(1, side=32), root / name)


def test_class_folders_with_and_without_split_folders(tmp_path):
    put(tmp_path, "Training/notumor/1.png", "Testing/Glioma_tumor/2.png", "pituitary/p7/3.png")
    (tmp_path / "labels.csv").write_text("a\n")
    assert listed(tmp_path) == [
        ("Testing/Glioma_tumor/2.png", "glioma", "test"),
        ("Training/notumor/1.png", "no_tumor", "train"),
        ("pituitary/p7/3.png", "pituitary", ""),
    ]


@pytest.mark.parametrize("name", ["train", "Training", "val", "valid", "Validation", "TEST"])
def test_split_folders_of_every_name(tmp_path, name):
    put(tmp_path, f"{name}/no/1.png")
    assert listed(tmp_path)[0][2] in name.lower()


def test_a_root_may_be_a_class_folder(tmp_path):
    put(tmp_path, "navoneel/no/1.png")
    root = tmp_path / "navoneel" / "no"
    assert listed(root) == [("1.png", "no_tumor", "")]
    assert source_name(root, FOUR_CLASS) == "navoneel"
    assert source_name(root.parent, FOUR_CLASS) == "navoneel"


def test_class_folders_can_be_skipped_or_renamed(tmp_path):
    put(tmp_path, "no/1.png", "yes/2.png", "mass/3.png")
    found = listed(tmp_path, FOUR_CLASS, {"mass": "glioma"}, ("Yes",))
    assert [label for _, label, _ in found] == ["glioma", "no_tumor"]
    assert len(listed(tmp_path, BINARY, {"mass": "tumor"})) == 3


def test_unknown_and_missing_class_folders_are_refused(tmp_path):
    put(tmp_path, "gliomma/1.png")
    with pytest.raises(ManifestError, match="nearest: glioma"):
        listed(tmp_path)
    put(tmp_path / "other", "1.png")
    with pytest.raises(ManifestError, match="expected it in a class folder"):
        listed(tmp_path / "other")
    with pytest.raises(ManifestError, match="class folders; got none: it does not exist"):
        listed(tmp_path / "none")
    with pytest.raises(ManifestError, match="expected a folder of class folders; got a file"):
        listed(tmp_path / "other" / "1.png")


def test_a_picture_is_one_slice_and_a_volume_many(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    put(tmp_path, "glioma/1.png")
    volume = np.random.default_rng(0).random((20, 24, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "glioma" / "v.nii.gz")
    files = list_files(SourceConfig(root=tmp_path, name="made"), FOUR_CLASS)
    picture, scan = (list(read_file(file)) for file in files)
    found, slice_ = picture[0]
    assert found.reference == str(tmp_path / "glioma" / "1.png")
    assert (found.width, found.height, found.source) == (32, 32, "made")
    assert slice_.shape == (32, 32)
    assert [f.index for f, _ in scan] == [0, 1, 2, 3, 4]
    assert scan[3][0].reference.endswith("v.nii.gz#3")
    assert len({f.sha256 for f, _ in scan}) == 1
