"""Slices of volumes with tumor masks: labels, references, groups, and what cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

import nibabel
import numpy as np
import pytest

from builders_data import noise
from slicewise.data.build.build import build
from slicewise.data.build.config import BuildConfig, read_build_config, validated
from slicewise.data.build.masks import MaskSpec
from slicewise.data.build.splits import named_folds
from slicewise.data.manifest import Manifest
from slicewise.errors import ConfigError, ManifestError
from slicewise.imaging.read import read_slice

SIDE = 64
TURNED = np.array([[0, -2.0, 0, 9], [1.5, 0, 0, 3], [0, 0, -4.0, 7], [0, 0, 0, 1]])
"""Columns run along the patient's y, rows against x, slices downwards: nothing as displayed."""


def volume(seed: int, count: int = 6) -> np.ndarray:
    """(SIDE, SIDE, count) heads whose texture differs from slice to slice."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    inside = np.hypot(x / 0.7, y / 0.85) < 1
    slices = [inside * (60 + 100 * noise(100 * seed + i, SIDE, 14)) for i in range(count)]
    return np.stack(slices, axis=-1).astype(np.float32)


def put(folder: Path, seed: int = 1, affine: np.ndarray = TURNED, mask_affine=None) -> None:
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


def config(root: Path, task: str = "four_class", **source: object) -> BuildConfig:
    masks = {"volume": "*_T1.nii.gz", "mask": "*_Mask.nii.gz", "label": "glioma"}
    return validated({"sources": [{"root": root, "masks": masks, **source}], "task": task}, "test")


def test_the_star_of_a_mask_is_that_of_its_volume() -> None:
    spec = MaskSpec(volume="images/*_t1.nii", mask="labels/*.nii", label="glioma")
    assert spec.mask_of(PurePath("images/p1/v2_t1.nii")) == PurePath("labels/p1/v2.nii")
    assert spec.mask_of(PurePath("images/p1/v2_t2.nii")) is None
    assert MaskSpec(volume="ab*ba", mask="*", label="x").mask_of(PurePath("aba")) is None


def test_labels_come_from_voxels(tmp_path) -> None:
    put(tmp_path / "btp" / "01")
    built = build(config(tmp_path / "btp"))
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
    put(tmp_path / "btp" / "01")
    build(config(tmp_path / "btp")).write(tmp_path / "out" / "m.csv")
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


def test_where_a_manifest_lies_does_not_change_its_hash(tmp_path) -> None:
    put(tmp_path / "btp" / "01")
    built = build(config(tmp_path / "btp"))
    hashes = set()
    for name in ("m.csv", "deep/er/m.csv"):
        built.write(tmp_path / name)
        hashes.add(Manifest.read(tmp_path / name).sha256)
    assert len(hashes) == 1


def test_a_volume_stays_whole_and_patients_may_be_given(tmp_path) -> None:
    for i in range(4):
        put(tmp_path / "btp" / f"p{i // 2}_{i}", seed=i)
    rows = build(config(tmp_path / "btp")).manifest.rows
    assert len({row.group for row in rows}) == 4
    rows = build(config(tmp_path / "btp", pattern=r"(?P<patient>p\d)_")).manifest.rows
    assert {row.group for row in rows} == {"patient:btp:p0", "patient:btp:p1"}


def test_visits_of_one_folder_are_one_group(tmp_path) -> None:
    for i, name in enumerate(("sub-01/ses-1", "sub-01/ses-2", "sub-02/ses-1")):
        put(tmp_path / "btp" / name, seed=i)
    rows = build(config(tmp_path / "btp")).manifest.rows
    assert {row.group for row in rows} == {"btp:sub-01", "btp:sub-02"}


def test_a_folder_that_the_pattern_names_is_no_person(tmp_path) -> None:
    for i, name in enumerate(("p1/a", "p1/b", "p2/a")):
        put(tmp_path / "btp" / "images" / name, seed=i)
    masks = {"volume": "images/*_T1.nii.gz", "mask": "images/*_Mask.nii.gz", "label": "glioma"}
    rows = build(config(tmp_path / "btp", masks=masks)).manifest.rows
    assert {row.group for row in rows} == {"btp:images/p1", "btp:images/p2"}


def test_a_volume_without_a_usable_mask_is_listed(tmp_path) -> None:
    root = tmp_path / "btp"
    put(root / "01")
    put(root / "02", seed=2, mask_affine=np.diag([1.5, 2, 4, 1.0]))
    put(root / "03", seed=3)
    (root / "03" / "a_Mask.nii.gz").unlink()
    nibabel.save(nibabel.Nifti1Image(volume(9), TURNED), root / "01" / "a_T2.nii.gz")
    built = build(config(root))
    assert {row.group for row in built.manifest.rows} == {"btp:01"}
    reasons = " | ".join(entry.reason for entry in built.report.excluded)
    assert "expected the mask on the grid of" in reasons
    assert "expected its mask *_Mask.nii.gz; got none" in reasons
    assert "neither a volume *_T1.nii.gz nor its mask" in reasons


def test_other_tasks(tmp_path) -> None:
    put(tmp_path / "01")
    rows = build(config(tmp_path, task="binary")).manifest.rows
    assert sorted(row.label for row in rows) == ["no_tumor"] * 3 + ["tumor"]
    assert [row.label for row in build(config(tmp_path, task="three_class")).manifest.rows] == [
        "glioma"
    ]


def test_what_cannot_be_meant_is_refused(tmp_path) -> None:
    put(tmp_path / "01")
    other = {"volume": "*_T9.nii.gz", "mask": "*_M.nii.gz", "label": "glioma"}
    with pytest.raises(ManifestError, match=r"expected volumes named \*_T9.nii.gz; got none"):
        build(config(tmp_path, masks=other))
    with pytest.raises(ConfigError, match=r"expected a path with one \*"):
        config(tmp_path, masks={"volume": "T1.nii", "mask": "*", "label": "glioma"})
    with pytest.raises(ConfigError, match="skip: expected no masks"):
        config(tmp_path, skip=["yes"])
    with pytest.raises(ConfigError, match=r"nearest known key: sources\.0\.masks\.minimum_voxels"):
        config(tmp_path, masks={"volume": "*", "mask": "*", "label": "x", "minimum_voxel": 3})
    with pytest.raises(ManifestError, match="gliomma"):
        build(config(tmp_path, masks={"volume": "*_T1.nii.gz", "mask": "*_Mask.nii.gz",
                                      "label": "gliomma"}))  # fmt: skip


def test_two_folds_will_do_where_both_are_named() -> None:
    folds = ["report", "development"]
    assert named_folds(folds, "report", "development") == ["test", "val"]
    assert named_folds(["val", "test"], None, None) == ["val", "test"]
    with pytest.raises(ManifestError, match="at least three"):
        named_folds(folds, "report", None)


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
