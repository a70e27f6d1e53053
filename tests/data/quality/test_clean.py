"""The suggested manifest keeps what the audited one decided."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import ImageOps

from builders_audit import dim_head
from builders_data import save
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.quality.audit import Audit, audit_manifest


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr("slicewise.data.quality.shortcuts._TREES", 2)


def row(file: Path, split: str, label: str, name: str = "") -> ManifestRow:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    extra = {"scanner": file.stem}
    group = f"g{file.stem}"
    return ManifestRow(name or file.name, label, "made", "", group, split, digest, 96, 96, extra)


def heads(folder: Path, splits: list[str]) -> list[ManifestRow]:
    """A different head a split, of two classes in turn."""
    files = [save(dim_head(n, 96), folder / f"{n}.png") for n in range(len(splits))]
    return [
        row(file, split, ("glioma", "no_tumor")[n % 2])
        for n, (file, split) in enumerate(zip(files, splits, strict=True))
    ]


def audited(rows: list[ManifestRow], folder: Path) -> tuple[Audit, dict[str, ManifestRow]]:
    """The audit, and the suggested rows by stem."""
    Manifest(tuple(rows), folder).write(folder / "m.csv")
    audit = audit_manifest(folder / "m.csv")
    audit.write(folder / "out")
    clean = Manifest.read(folder / "out" / "clean.csv").rows
    return audit, {Path(one.path).stem: one for one in clean}


def said(audit: Audit, topic: str) -> str:
    return " ".join(one.text for one in audit.sentences if one.topic == topic)


def test_splits_without_validation_are_kept(tmp_path):
    rows = heads(tmp_path, ["train"] * 5 + ["test"] * 3)
    audit, clean = audited(rows, tmp_path)
    assert {stem: one.split for stem, one in clean.items()} == {
        Path(one.path).stem: one.split for one in rows
    }
    assert audit.as_json()["clean_manifest"]["split"] == "as given (test, train)"
    assert "it has none in val." in said(audit, "clean")


def test_slices_without_a_split_follow_their_group_or_are_dealt(tmp_path):
    rows = heads(tmp_path, ["test"] * 2 + ["train"] * 2 + ["val"] + [""] * 6)
    larger = save(ImageOps.mirror(dim_head(0, 200)), tmp_path / "copy.png")
    audit, clean = audited([*rows, row(larger, "", "glioma")], tmp_path)
    assert "0" not in clean  # the smaller copy
    assert clean["copy"].split == "test"  # as its copy, which is left out
    given = {Path(one.path).stem: one.split for one in rows[1:] if one.split}
    assert {stem: clean[stem].split for stem in given} == given
    assert all(one.split for one in clean.values())
    assert audit.as_json()["clean_manifest"]["split"] == (
        "as given (test, train, val); 6 slices without one dealt 70/15/15 by group, seed 42"
    )


def test_without_any_split_whole_groups_are_dealt(tmp_path):
    audit, clean = audited(heads(tmp_path, [""] * 8), tmp_path)
    assert {one.split for one in clean.values()} == {"train", "val", "test"}
    assert audit.as_json()["clean_manifest"]["split"].startswith("70/15/15 by group, stratified")


def test_columns_of_ones_own_stay_whichever_way_a_slice_is_named(tmp_path):
    rows = heads(tmp_path, ["train"] * 2)
    named = row(tmp_path / "1.png", "train", "no_tumor", name="1.png#0")
    _, clean = audited([rows[0], named], tmp_path)
    assert {stem: one.extra["scanner"] for stem, one in clean.items()} == {"0": "0", "1": "1"}


def test_a_tumor_of_an_untold_type_is_no_conflict_with_a_type(tmp_path):
    one = save(dim_head(0, 96), tmp_path / "one.png")
    two = save(dim_head(0, 96), tmp_path / "two.png")
    rows = [row(one, "train", "tumor"), row(two, "train", "glioma")]
    audit, clean = audited(rows, tmp_path)
    assert audit.as_json()["label_conflicts"] == []
    assert said(audit, "labels") == "No two copies of a picture contradict each other."
    assert len(clean) == 1


def test_what_is_called_a_conflict_is_what_is_left_out(tmp_path):
    labels = ("tumor", "glioma", "meningioma")
    files = [save(dim_head(0, 96), tmp_path / f"{label}.png") for label in labels]
    rows = [row(file, "train", label) for file, label in zip(files, labels, strict=True)]
    audit, clean = audited(rows, tmp_path)
    (group,) = audit.as_json()["label_conflicts"]
    assert [one["label"] for one in group] == ["glioma", "meningioma"]
    assert set(clean) == {"tumor"}
    assert "labels that contradict each other (2 files)" in said(audit, "labels")
