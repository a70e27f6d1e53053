"""Counts, what makes patients known, and a suggested manifest that keeps what was decided."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageOps

from builders_audit import dim_head
from builders_data import item, save
from slicewise.data.build.config import config_of
from slicewise.data.groups import Bond, Key
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.quality.audit import Audit, audit_folders, audit_manifest
from slicewise.data.quality.leakage import Sides, leak_free
from slicewise.data.quality.results import AuditResults, class_counts, kept_of, outcome
from slicewise.data.quality.verdict import suggestion


def known_patients(*items) -> bool:
    """The property of findings on these slices alone."""
    return AuditResults.known_patients.fget(SimpleNamespace(items=items))


def test_slices_different_slices_and_groups_are_counted_apart():
    items = [
        item(0, patient="p"),
        item(1, patient="p"),
        item(2, patient="q", cluster="1"),
        item(3, label="no_tumor", source="other"),
    ]
    sides = Sides(("train", "train", "train", ""), "folders")
    first, other = class_counts(items, sides, leak_free(items))
    assert list(first) == ["class", "source", "split", "slices", "distinct", "groups"]
    assert list(first.values()) == ["glioma", "made", "train", 3, 2, 1]
    assert list(other.values()) == ["no_tumor", "other", "", 1, 1, 1]


def test_patients_are_known_where_more_than_copies_ties_every_slice():
    assert known_patients(item(0, patient="p"), item(1, group="g"), item(2, index="3"))
    assert not known_patients(item(0, patient="p"), item(1))
    by_copies = replace(item(0), inherited=(Key(Bond.GROUP, "copies:ab"),))
    assert not known_patients(by_copies)


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


def texts(audit: Audit, topic: str) -> list[str]:
    return [one.text for one in audit.verdict if one.topic == topic]


def test_splits_without_validation_are_kept(tmp_path):
    rows = heads(tmp_path, ["train"] * 5 + ["test"] * 3)
    audit, clean = audited(rows, tmp_path)
    assert {stem: one.split for stem, one in clean.items()} == {
        Path(one.path).stem: one.split for one in rows
    }
    assert audit.as_json()["clean_manifest"]["split"] == "as given (test, train)"
    assert "it has none in val." in " ".join(texts(audit, "clean"))


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
    assert texts(audit, "labels") == ["No two copies of a picture contradict each other."]
    assert len(clean) == 1


def test_what_is_called_a_conflict_is_what_is_left_out(tmp_path):
    labels = ("tumor", "glioma", "meningioma")
    files = [save(dim_head(0, 96), tmp_path / f"{label}.png") for label in labels]
    rows = [row(file, "train", label) for file, label in zip(files, labels, strict=True)]
    audit, clean = audited(rows, tmp_path)
    (group,) = audit.as_json()["label_conflicts"]
    assert [one["label"] for one in group] == ["glioma", "meningioma"]
    assert set(clean) == {"tumor"}
    assert "labels that contradict each other (2 files)" in " ".join(texts(audit, "labels"))


def red(seed: int) -> Image.Image:
    """A coloured head, which has an issue but stays."""
    return ImageOps.colorize(dim_head(seed, 128), "black", "red")


def audited_folder(folder: Path, **options) -> Audit:
    return audit_folders(config_of([folder], **options))


def coloured(audit):
    (found,) = [one for one in audit.results.issues if one.rule.kind == "colour"]
    return found


def plain_heads(folder):
    for number in range(3):
        save(dim_head(number, 128), folder / "glioma" / f"{number}.png")


def test_a_coloured_copy_that_is_left_out_is_not_said_to_be_kept(tmp_path):
    plain_heads(tmp_path)
    save(red(0).resize((112, 112)), tmp_path / "glioma" / "small_red.png")
    audit = audited_folder(tmp_path)
    one, suggested = coloured(audit), audit.results.suggested
    assert "small_red.png" not in " ".join(row.path for row in suggested.report.rows)
    assert kept_of(one, suggested) == 0
    (text,) = texts(audit, "suspects")
    assert text == "1 slice: coloured (left out of the suggested manifest for another reason)."
    (suspect,) = audit.as_json()["suspects"]
    assert (suspect["count"], suspect["kept"]) == (1, 0)


def test_those_kept_and_those_left_out_are_counted_apart(tmp_path):
    plain_heads(tmp_path)
    save(red(0).resize((112, 112)), tmp_path / "glioma" / "small_red.png")
    save(red(9), tmp_path / "glioma" / "red.png")
    audit = audited_folder(tmp_path)
    assert texts(audit, "suspects") == [
        "2 slices: coloured (1 kept, but marked, in the suggested manifest; 1 left out of it for "
        "another reason)."
    ]
    audit.write(tmp_path / "out")
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "1 kept, but marked, in the suggested manifest; 1 left out of it" in page


def test_a_coloured_slice_that_stays_is_kept_and_marked(tmp_path):
    plain_heads(tmp_path)
    save(red(9), tmp_path / "glioma" / "red.png")
    audit = audited_folder(tmp_path)
    assert outcome(coloured(audit), audit.results.suggested).startswith("kept, but marked")


def test_a_suggestion_without_test_slices_says_so(tmp_path):
    for number in range(8):
        save(dim_head(number, 96), tmp_path / "glioma" / f"p{number % 2}_{number}.png")
    audit = audited_folder(tmp_path, pattern="(?P<patient>p[0-9])_")
    (text,) = texts(audit, "clean")
    assert {row.split for row in audit.results.suggested.report.rows}.isdisjoint({"test"})
    assert "It has no test slices: nothing is held back to measure a trained model on." in text
    assert "2 groups cannot fill three splits." in text


def test_one_slice_in_one_group_is_in_the_singular(tmp_path):
    save(dim_head(1, 96), tmp_path / "glioma" / "1.png")
    (text,) = texts(audited_folder(tmp_path), "clean")
    assert re.match("The suggested manifest keeps 1 slice in 1 group and leaves out 0; ", text)


def test_nothing_left_is_severe():
    assert suggestion(SimpleNamespace(suggested=None)).severity == "severe"
