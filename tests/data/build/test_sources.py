"""Folder layouts: which class, which published split, which files; volumes with tumor masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

import nibabel
import numpy as np
import pytest

from builders_data import head, noise, save
from slicewise.data.build.build import build
from slicewise.data.build.config import (
    BuildConfig,
    MaskSpec,
    SourceConfig,
    read_build_config,
    validated,
)
from slicewise.data.build.sources import list_files, read_file, source_name
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import BINARY, FOUR_CLASS
from slicewise.errors import ConfigError, ManifestError
from slicewise.imaging.read import read_slice

SIDE = 64
TURNED = np.array([[0, -1.5, 0, 9], [1.5, 0, 0, 3], [0, 0, -4.0, 7], [0, 0, 0, 1]])
"""Columns run along the patient's y, rows against x, slices downwards: nothing as displayed."""


def listed(root, task=FOUR_CLASS, aliases=None, skip=()):
    files = list_files(SourceConfig(root=root, skip=skip), task, aliases or {}, set())
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
    put(tmp_path, "glioma/1.png")
    volume = np.random.default_rng(0).random((20, 24, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "glioma" / "v.nii.gz")
    files = list_files(SourceConfig(root=tmp_path, name="made"), FOUR_CLASS, {}, set())
    picture, scan = (list(read_file(file)) for file in files)
    found, slice_ = picture[0]
    assert found.reference == str(tmp_path / "glioma" / "1.png")
    assert (found.width, found.height, found.source) == (32, 32, "made")
    assert slice_.shape == (32, 32)
    assert [f.index for f, _ in scan] == [0, 1, 2, 3, 4]
    assert scan[3][0].reference.endswith("v.nii.gz#3")
    assert len({f.sha256 for f, _ in scan}) == 1


def volume(seed: int, count: int = 6) -> np.ndarray:
    """(SIDE, SIDE, count) heads whose texture differs from slice to slice."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    inside = np.hypot(x / 0.7, y / 0.85) < 1
    slices = [inside * (60 + 100 * noise(100 * seed + i, SIDE, 14)) for i in range(count)]
    return np.stack(slices, axis=-1).astype(np.float32)


def put_volume(folder: Path, seed: int = 1, affine: np.ndarray = TURNED, mask_affine=None) -> None:
    """A volume with a bright spot of 25 voxels in slice 2, 4 in slice 3, none elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    values, mask = volume(seed), np.zeros((SIDE, SIDE, 6), np.uint8)
    mask[20:25, 30:35, 2] = 1
    mask[20:22, 30:32, 3] = 1
    values[mask > 0] = 500
    values[..., 5] = 0
    nibabel.save(nibabel.Nifti1Image(values, affine), folder / "a_T1.nii.gz")
    other = affine if mask_affine is None else mask_affine
    nibabel.save(nibabel.Nifti1Image(mask, other), folder / "a_Mask.nii.gz")


def masked(root: Path, task: str = "four_class", **source: object) -> BuildConfig:
    masks = {"volume": "*_T1.nii.gz", "mask": "*_Mask.nii.gz", "label": "glioma"}
    return validated({"sources": [{"root": root, "masks": masks, **source}], "task": task}, "test")


def test_the_star_of_a_mask_is_that_of_its_volume() -> None:
    spec = MaskSpec(volume="images/*_t1.nii", mask="labels/*.nii", label="glioma")
    assert spec.mask_of(PurePath("images/p1/v2_t1.nii")) == PurePath("labels/p1/v2.nii")
    assert spec.mask_of(PurePath("images/p1/v2_t2.nii")) is None
    assert MaskSpec(volume="ab*ba", mask="*", label="x").mask_of(PurePath("aba")) is None


def test_labels_come_from_voxels(tmp_path) -> None:
    put_volume(tmp_path / "btp" / "01")
    built = build(masked(tmp_path / "btp"))
    rows = built.manifest.rows
    # The file's slices run downwards and are turned to run upwards: stored slice 2 is index 3.
    assert [(row.path[-2:], row.label) for row in rows] == [
        ("#1", "no_tumor"), ("#3", "glioma"), ("#4", "no_tumor"), ("#5", "no_tumor"),
    ]  # fmt: skip
    reasons = {Path(entry.path).name: entry.reason for entry in built.report.excluded}
    assert reasons == {
        "a_T1.nii.gz#0": "blank slice of a volume",
        "a_T1.nii.gz#2": "tumor of fewer than 20 voxels",
    }
    assert {row.group for row in rows} == {"btp:01"}


def test_mask_and_slice_are_turned_alike(tmp_path) -> None:
    put_volume(tmp_path / "btp" / "01")
    build(masked(tmp_path / "btp")).write(tmp_path / "out" / "m.csv")
    manifest = Manifest.read(tmp_path / "out" / "m.csv")
    row = next(row for row in manifest.rows if row.label == "glioma")
    assert row.extra["mask"] == "../btp/01/a_Mask.nii.gz#3"
    mask = read_slice(manifest.resolve_mask(row)).pixels > 0
    pixels = read_slice(manifest.resolve(row)).pixels
    assert mask.sum() == 25
    assert (pixels[mask] == 500).all()
    assert (pixels[~mask] < 500).all()
    bare = replace(row, extra={})
    assert manifest.resolve_mask(bare) is None


def test_labels_are_not_interpolated_where_the_slice_is(tmp_path) -> None:
    long = TURNED @ np.diag([1, 2, 2, 1.0])  # twice as far apart along one axis
    put_volume(tmp_path / "btp" / "01", affine=long)
    (volume_path,) = (tmp_path / "btp").rglob("*_T1.nii.gz")
    mask_path = volume_path.with_name("a_Mask.nii.gz")
    rows = build(masked(tmp_path / "btp")).manifest.rows
    assert {row.label for row in rows} == {"glioma", "no_tumor"}
    slice_, mask = read_slice(f"{volume_path}#3"), read_slice(f"{mask_path}#3", labels=True)
    assert slice_.shape == mask.shape == (SIDE, 2 * SIDE)
    assert set(np.unique(mask.pixels)) == {0, 1}
    assert (mask.pixels > 0).sum() == 50
    assert (slice_.pixels[mask.pixels > 0] > 250).all()


def test_where_a_manifest_lies_does_not_change_its_hash(tmp_path) -> None:
    put_volume(tmp_path / "btp" / "01")
    built = build(masked(tmp_path / "btp"))
    hashes = set()
    for name in ("m.csv", "deep/er/m.csv"):
        built.write(tmp_path / name)
        hashes.add(Manifest.read(tmp_path / name).sha256)
    assert len(hashes) == 1


def test_a_volume_stays_whole_and_patients_may_be_given(tmp_path) -> None:
    for i in range(4):
        put_volume(tmp_path / "btp" / f"p{i // 2}_{i}", seed=i)
    rows = build(masked(tmp_path / "btp")).manifest.rows
    assert len({row.group for row in rows}) == 4
    rows = build(masked(tmp_path / "btp", pattern=r"(?P<patient>p\d)_")).manifest.rows
    assert {row.group for row in rows} == {"patient:btp:p0", "patient:btp:p1"}


def test_visits_of_one_folder_are_one_group(tmp_path) -> None:
    for i, name in enumerate(("sub-01/ses-1", "sub-01/ses-2", "sub-02/ses-1")):
        put_volume(tmp_path / "btp" / name, seed=i)
    rows = build(masked(tmp_path / "btp")).manifest.rows
    assert {row.group for row in rows} == {"btp:sub-01", "btp:sub-02"}


def test_a_folder_that_the_pattern_names_is_no_person(tmp_path) -> None:
    for i, name in enumerate(("p1/a", "p1/b", "p2/a")):
        put_volume(tmp_path / "btp" / "images" / name, seed=i)
    masks = {"volume": "images/*_T1.nii.gz", "mask": "images/*_Mask.nii.gz", "label": "glioma"}
    rows = build(masked(tmp_path / "btp", masks=masks)).manifest.rows
    assert {row.group for row in rows} == {"btp:images/p1", "btp:images/p2"}


def test_a_volume_without_a_usable_mask_is_listed(tmp_path) -> None:
    root = tmp_path / "btp"
    put_volume(root / "01")
    put_volume(root / "02", seed=2, mask_affine=np.diag([1.5, 1.5, 4, 1.0]))
    put_volume(root / "03", seed=3)
    (root / "03" / "a_Mask.nii.gz").unlink()
    nibabel.save(nibabel.Nifti1Image(volume(9), TURNED), root / "01" / "a_T2.nii.gz")
    built = build(masked(root))
    assert {row.group for row in built.manifest.rows} == {"btp:01"}
    reasons = " | ".join(entry.reason for entry in built.report.excluded)
    assert "expected the mask on the grid of" in reasons
    assert "expected its mask *_Mask.nii.gz; got none" in reasons
    assert "neither a volume *_T1.nii.gz nor its mask" in reasons


def test_other_tasks(tmp_path) -> None:
    put_volume(tmp_path / "01")
    rows = build(masked(tmp_path, task="binary")).manifest.rows
    assert sorted(row.label for row in rows) == ["no_tumor"] * 3 + ["tumor"]
    assert [row.label for row in build(masked(tmp_path, task="three_class")).manifest.rows] == [
        "glioma"
    ]


def test_what_cannot_be_meant_is_refused(tmp_path) -> None:
    put_volume(tmp_path / "01")
    other = {"volume": "*_T9.nii.gz", "mask": "*_M.nii.gz", "label": "glioma"}
    with pytest.raises(ManifestError, match=r"expected volumes named \*_T9.nii.gz; got none"):
        build(masked(tmp_path, masks=other))
    with pytest.raises(ConfigError, match=r"expected a path with one \*"):
        masked(tmp_path, masks={"volume": "T1.nii", "mask": "*", "label": "glioma"})
    with pytest.raises(ConfigError, match="skip: expected no masks"):
        masked(tmp_path, skip=["yes"])
    with pytest.raises(ConfigError, match=r"nearest known key: sources\.0\.masks\.minimum_voxels"):
        masked(tmp_path, masks={"volume": "*", "mask": "*", "label": "x", "minimum_voxel": 3})
    with pytest.raises(ManifestError, match="gliomma"):
        build(masked(tmp_path, masks={"volume": "*_T1.nii.gz", "mask": "*_Mask.nii.gz",
                                      "label": "gliomma"}))  # fmt: skip


@pytest.mark.realdata
def test_the_scans_of_the_example_keep_their_parts_apart(real_data) -> None:
    path = Path(__file__).parents[3] / "docs" / "configs" / "btp.yaml"
    if not (real_data / "btp").is_dir():
        pytest.skip("the data folder holds no btp: any folder of public sets will do for the rest")
    rows = build(read_build_config(path, real_data)).manifest.rows
    parts = {part: {row.patient_id for row in rows if row.extra["part"] == part}
             for part in ("development", "report")}  # fmt: skip
    assert parts["development"] == {"01", "02", "03", "04", "05"}
    assert len(parts["report"]) == 6
    assert sum(row.label == "glioma" for row in rows if row.split == "val") == 34
