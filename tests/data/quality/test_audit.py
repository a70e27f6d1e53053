"""An audit of a small leaky folder says what is wrong with it, and suggests a clean manifest."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import pytest
from PIL import Image, ImageOps

from builders_audit import leaky_folder
from builders_data import save
from slicewise.data.build.config import config_of
from slicewise.data.manifest import Manifest
from slicewise.data.quality.audit import audit_folders, audit_manifest
from slicewise.errors import ManifestError
from slicewise.synthetic.phantom_files import write_phantoms

KEYS = {
    "exact_duplicates", "near_duplicates", "cross_split", "cross_source", "label_conflicts",
    "memorisation_1nn", "shortcut_probe", "classes", "sources", "suspects", "verdict",
    "clean_manifest", "parameters", "unreadable",
}  # fmt: skip


def names(paths):
    return sorted(path.rpartition("/")[2] for path in paths)


@pytest.fixture(scope="module", autouse=True)
def _few_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slicewise.data.quality.shortcuts._TREES", 10)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return leaky_folder(tmp_path_factory.mktemp("data") / "made")


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def audit(folder, told):
    return audit_folders(config_of([folder]), progress=lambda *step: told.append(step))


@pytest.fixture(scope="module")
def found(audit):
    return audit.as_json()


@pytest.fixture(scope="module")
def out(audit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "new"
    audit.write(folder)
    return folder


def test_every_key_is_there(found):
    assert set(found) >= KEYS
    assert found["classes"] == ["glioma", "no_tumor"]
    assert found["slices"] == 30


def test_copies_across_splits_are_counted_and_named(found):
    test = next(one for one in found["cross_split"] if one["slices_of"] == "test")
    assert (test["count"], test["n"], test["with_copy_in"]) == (5, 10, "train")
    assert names(test["paths"]) == ["m0.jpg", "m1.jpg", "n10.png", "s0.png", "s1.png"]
    assert test["share"]["ci_low"] < 0.5 < test["share"]["ci_high"]


def test_a_picture_with_two_labels_is_a_conflict(found):
    (group,) = found["label_conflicts"]
    assert {(one["path"].rpartition("/")[2], one["label"]) for one in group} == {
        ("n10.png", "no_tumor"),
        ("conflict.png", "glioma"),
    }
    assert names(found["exact_duplicates"][0]) == ["conflict.png", "n10.png"]
    assert len(found["near_duplicates"]) == 4


def test_bad_files_lose_nobody_else(found):
    (bad,) = found["unreadable"]
    assert bad["path"].endswith("broken.png")


def test_the_shortcut_of_size_and_format_is_found(found):
    score = found["shortcut_probe"]["class"]["by_family"]["size"]["balanced_accuracy"]["value"]
    assert score > 0.85
    assert "two or more of each source" in found["shortcut_probe"]["source"]["reason"]


def test_a_ct_slice_is_suspect_and_left_out(found, out):
    (ct,) = [one for one in found["suspects"] if one["kind"] == "ct"]
    assert names(ct["paths"]) == ["ct.png"]
    assert "ct.png" not in (out / "clean.csv").read_text()
    assert "suspect: ct" in (out / "clean.excluded.csv").read_text()


def test_memory_is_scored_on_the_published_split(found):
    memory = found["memorisation_1nn"]
    assert (memory["n_train"], memory["n_test"]) == (20, 10)
    assert memory["accuracy"]["value"] >= memory["accuracy_without_own_group"]["value"]
    assert "published folders" in memory["split"]


def test_the_clean_manifest_holds_one_of_each_and_no_leak(found, out):
    manifest = Manifest.read(out / "clean.csv")
    stems = names(row.path for row in manifest.rows)
    assert len(stems) == found["clean_manifest"]["slices"] == 23
    assert not {"n10.png", "conflict.png", "s0.png", "s1.png"} & set(stems)
    assert {row.split for row in manifest.rows} == {"train", "val", "test"}
    assert all("suspect" in row.extra for row in manifest.rows)


def test_files_are_written_and_the_page_stands_alone(out, found):
    assert json.loads((out / "audit.json").read_text()) == found
    page = (out / "audit.html").read_text()
    assert not re.search(r"https?://|<script|src=\"(?!data:)", page)
    assert page.count("<img") > 20
    assert "5 of 10 test slices have a copy in train" in page


def test_the_verdict_begins_with_the_gravest(found):
    grades = [sentence["severity"] for sentence in found["verdict"]]
    order = ["severe", "warning", "note", "good"]
    assert grades == sorted(grades, key=order.index)
    assert any("have a copy in train" in sentence["text"] for sentence in found["verdict"])


def test_every_step_tells_of_its_progress(audit, told):
    assert {"reading", "comparing", "verifying", "probing the class"} <= {step[0] for step in told}
    assert all(done <= total for _, done, total in told)


def test_the_clean_manifest_passes_its_own_audit(out, tmp_path):
    again = audit_manifest(out / "clean.csv")
    found = again.as_json()
    assert found["near_duplicates"] == found["exact_duplicates"] == found["label_conflicts"] == []
    assert all(one["count"] == 0 for one in found["cross_split"])
    again.write(tmp_path)
    before, after = Manifest.read(out / "clean.csv"), Manifest.read(tmp_path / "clean.csv")
    assert sorted(row.split for row in before.rows) == sorted(row.split for row in after.rows)
    assert {row.group for row in before.rows} == {row.group for row in after.rows}


def test_copies_across_the_splits_of_a_manifest_are_seen(out, tmp_path):
    """Groups by file name do not hide that one test slice is a training slice, mirrored."""
    rows = Manifest.read(out / "clean.csv").rows
    train = next(row for row in rows if row.split == "train" and row.path.endswith(".jpg"))
    source = (out / train.path).resolve()
    copy = save(ImageOps.mirror(Image.open(source)), tmp_path / "copy.png")
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    leak = replace(train, path=str(copy), group="mine", split="test", sha256=digest)
    moved = [replace(row, path=str((out / row.path).resolve())) for row in rows]
    Manifest((*moved, leak), tmp_path).write(tmp_path / "m.csv")
    audit = audit_manifest(tmp_path / "m.csv")
    test = next(
        one
        for one in audit.as_json()["cross_split"]
        if (one["slices_of"], one["with_copy_in"]) == ("test", "train")
    )
    assert names(test["paths"]) == ["copy.png"]
    audit.write(tmp_path / "out")
    Manifest.read(tmp_path / "out" / "clean.csv")


def test_a_changed_file_is_listed_by_a_manifest_audit(out, tmp_path):
    manifest = Manifest.read(out / "clean.csv")
    rows = [*manifest.rows]
    text = (out / "clean.csv").read_text().replace(rows[0].sha256, "0" * 64)
    (out / "changed.csv").write_text(text)
    (bad,) = audit_manifest(out / "changed.csv").as_json()["unreadable"]
    assert "another SHA-256" in bad["reason"]


def test_two_processes_find_what_one_finds(folder, monkeypatch):
    monkeypatch.setattr("slicewise.data.quality.dataset._CHUNK", 4)
    one = audit_folders(config_of([folder])).as_json()
    two = audit_folders(config_of([folder]), workers=2).as_json()
    assert one == two


def test_phantoms_are_audited_but_nothing_is_suggested(tmp_path):
    write_phantoms(tmp_path / "drawn", 2, 1, 96)
    (tmp_path / "drawn" / "Thumbs.db").touch()
    notes = []
    audit = audit_folders(config_of([tmp_path / "drawn"], skip=["series"]), note=notes.append)
    assert notes == ["skipped: 1 file not meant as images"]
    audit.write(tmp_path / "out")
    assert audit.as_json()["clean_manifest"] is None
    assert not (tmp_path / "out" / "clean.csv").exists()
    assert any(s.topic == "clean" and s.severity == "severe" for s in audit.verdict)


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "a" / "glioma").mkdir(parents=True)
    (tmp_path / "a" / "glioma" / "x.png").write_bytes(b"no picture at all" * 9)
    with pytest.raises(ManifestError, match="a: expected at least one readable slice"):
        audit_folders(config_of([tmp_path / "a"]))
