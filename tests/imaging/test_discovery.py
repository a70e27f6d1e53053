import pytest

from builders_imaging import picture_bytes, ramp
from slicewise.imaging.discovery import count_files, is_bystander, is_folder, is_foreign, walk
from slicewise.imaging.entry import Entry, bytes_entry
from slicewise.imaging.slice import Failure


def test_walk_is_sorted_and_skips_what_is_hidden_or_foreign(tmp_path):
    for name in ("b.png", "a/z.dcm", "a/b/y", "x.csv", ".hidden", ".git/x.png", "LICENSE"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = [entry.source for entry in walk(tmp_path)]
    assert found == [str(tmp_path / name) for name in ("b.png", "a/z.dcm", "a/b/y")]
    assert count_files(tmp_path) == 3


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(list(walk(tmp_path))) == 1


def test_broken_link_is_a_failure(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    (answer,) = walk(tmp_path)
    assert isinstance(answer, Failure)


def test_unreadable_folder_is_a_failure(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    (answer,) = walk(tmp_path)
    assert answer == Failure(str(tmp_path), "expected a readable folder, got 'Permission denied'")


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("a/LABELS.CSV", True),
        ("README", True),
        ("DICOMDIR", True),
        ("x.dcm", False),
        ("IM1", False),
    ],
)
def test_foreign_names(name, foreign):
    assert is_foreign(name) is foreign


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("notes", b"just words", True),
        ("a.zip!notes", b"just words", True),
        ("a.jpg", b"just words", False),
        ("IM1", b"\x00\x01", False),
        ("picture", picture_bytes(ramp()), False),
    ],
)
def test_bystanders_are_text_without_an_image_name(name, data, expected):
    assert is_bystander(bytes_entry(data, name)) is expected


def test_a_path_that_cannot_be_looked_at_is_no_folder(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    assert not is_folder(tmp_path)


def test_walk_gives_entries(tmp_path):
    (tmp_path / "a.png").write_bytes(b"abc")
    (entry,) = walk(tmp_path)
    assert isinstance(entry, Entry)
    assert (entry.size, entry.head()) == (3, b"abc")
