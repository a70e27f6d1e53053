from __future__ import annotations

import os

import pytest

from builders_imaging import zip_bytes
from builders_service import png
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import LimitError
from slicewise.service.http import stored_samples
from slicewise.service.http.evaluation_jobs import DataRoots, Deadline
from slicewise.service.http.stored_samples import stored_sample

FOLDERS = ("glioma", "Meningioma_tumor", "notumor", "other")
LABELS = ("glioma", "meningioma", "no_tumor", "")


def pick(*roots, seed=0, most_bytes=10**6, seconds=60):
    deadline = Deadline(seconds)
    return stored_sample(
        DataRoots(roots), deadline, seed=seed, most_bytes=most_bytes, task=FOUR_CLASS
    )


def contents_of(*roots, count=40, **how):
    found = (pick(*roots, seed=seed, **how) for seed in range(count))
    return {one.content for one in found if one is not None}


@pytest.fixture
def root(tmp_path):
    """Three pictures in each of four folders."""
    folder = tmp_path / "root"
    for kind, name in enumerate(FOLDERS):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            content = png(kind, seed=10 * kind + number, side=32)
            (folder / name / f"{number}.png").write_bytes(content)
    return folder


def test_every_file_may_be_picked_with_the_class_of_its_folder(root):
    labels = dict(zip(FOLDERS, LABELS, strict=True))
    known = {path.read_bytes(): labels[path.parent.name] for path in root.rglob("*.png")}
    found = [pick(root, seed=seed) for seed in range(100)]
    assert {one.content for one in found} == set(known)
    assert all(one.label == known[one.content] for one in found)
    assert {one.kind for one in found} == {"PNG"}


def test_a_seed_picks_the_same(root):
    assert [pick(root, seed=s) for s in range(9)] == [pick(root, seed=s) for s in range(9)]


def test_all_allowed_folders_count(root, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.png").write_bytes(png(0, seed=99, side=32))
    assert png(0, seed=99, side=32) in contents_of(root, tmp_path / "more", count=80)
    assert contents_of(tmp_path / "none", tmp_path / "more") == {png(0, seed=99, side=32)}


def test_no_link_is_followed(root, tmp_path):
    outside = tmp_path / "outside" / "glioma"
    outside.mkdir(parents=True)
    (outside / "secret.png").write_bytes(png(0, seed=77))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "glioma").symlink_to(outside, target_is_directory=True)
    (inside / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert pick(inside) is None


def test_only_images_of_a_size_that_may_be_sent(tmp_path):
    (tmp_path / "notes.txt").write_text("glioma")
    (tmp_path / "fake.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "many.zip").write_bytes(zip_bytes({"a.png": png(0)}))
    (tmp_path / ".hidden.png").write_bytes(png(1))
    (tmp_path / "large.png").write_bytes(png(2, side=256))
    os.mkfifo(tmp_path / "pipe.png")
    assert pick(tmp_path, most_bytes=len(png(2, side=256)) - 1) is None
    assert contents_of(tmp_path, most_bytes=len(png(2, side=256))) == {png(2, side=256)}


def test_a_file_that_cannot_be_read_is_passed_over(root, monkeypatch):
    opened = os.open

    def refuse(path, *given):
        if "glioma" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *given)

    monkeypatch.setattr(os, "open", refuse)
    assert {pick(root, seed=seed).label for seed in range(40)} == set(LABELS) - {"glioma"}


def test_only_so_many_files_are_looked_at(root, monkeypatch):
    monkeypatch.setattr(stored_samples, "MOST_ENTRIES", 3)
    first = {path.read_bytes() for path in (root / sorted(FOLDERS)[0]).iterdir()}
    assert contents_of(root) == first


def test_it_ends_when_its_time_is_up(root):
    with pytest.raises(LimitError, match="looking for files"):
        pick(root, seconds=-1)
