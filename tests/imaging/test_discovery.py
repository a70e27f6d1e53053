import pytest

from builders_imaging import dicom_bytes, picture_bytes, ramp
from slicewise.imaging.discovery import count_files, is_bystander, is_folder, is_foreign, walk
from slicewise.imaging.entry import Entry, bytes_entry
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Failure


def test_walk_is_sorted_and_skips_what_is_hidden_or_foreign(tmp_path):
    for name in ("b.png", "a/z.dcm", "a/b/y", "x.csv", ".hidden", ".git/x.png", "LICENSE"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = [entry.source for entry in walk(tmp_path)]
    assert found == [str(tmp_path / name) for name in ("b.png", "a/z.dcm", "a/b/y")]
    assert count_files(tmp_path) == 3


def found_below(folder, **options):
    found = list(walk(folder, **options))
    assert count_files(folder) == sum(isinstance(one, Entry) for one in found)
    return [one.source.removeprefix(f"{folder}/") for one in found if isinstance(one, Entry)]


@pytest.fixture
def tree(tmp_path):
    """root/{a.png, class/b.png}, and a store outside with c.png and deep/d.png."""
    for name in ("root/a.png", "root/class/b.png", "store/c.png", "store/deep/d.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def link(path, target):
    path.symlink_to(target, target_is_directory=True)


class TestLinksToFolders:
    def test_they_are_followed_after_the_folders_themselves(self, tree):
        link(tree / "root" / "before", tree / "store")
        assert found_below(tree / "root") == [
            "a.png", "class/b.png", "before/c.png", "before/deep/d.png",
        ]  # fmt: skip

    def test_a_cycle_ends(self, tree):
        link(tree / "root" / "class" / "loop", tree / "root")
        link(tree / "root" / "up", tree)
        link(tree / "root" / "away", tree / "store")
        link(tree / "store" / "back", tree / "root")
        link(tree / "store" / "deep" / "home", tree / "store")
        assert found_below(tree / "root") == [
            "a.png", "class/b.png", "away/c.png", "away/deep/d.png",
        ]  # fmt: skip

    def test_each_real_folder_is_searched_once(self, tree):
        link(tree / "root" / "again", tree / "root" / "class")
        link(tree / "root" / "one", tree / "store")
        link(tree / "root" / "two", tree / "store")
        link(tree / "root" / "zdeep", tree / "store" / "deep")
        assert found_below(tree / "root") == [
            "a.png", "class/b.png", "one/c.png", "one/deep/d.png",
        ]  # fmt: skip

    def test_a_hidden_store_inside_is_reached_by_its_link(self, tree):
        (tree / "root" / ".store").mkdir()
        (tree / "root" / ".store" / "e.png").write_bytes(b"x")
        link(tree / "root" / "shown", tree / "root" / ".store")
        assert found_below(tree / "root") == ["a.png", "class/b.png", "shown/e.png"]

    def test_a_link_that_is_given_is_its_folder(self, tree):
        link(tree / "given", tree / "root")
        assert found_below(tree / "given") == ["a.png", "class/b.png"]

    def test_a_folder_that_is_left_out_is_left_out_behind_a_link(self, tree):
        link(tree / "root" / "away", tree / "store")
        found = list(walk(tree / "root", leave_out=tree / "store" / "deep"))
        assert len(found) == 3

    def test_where_they_are_not_followed_each_is_told(self, tree):
        link(tree / "root" / "away", tree / "store")
        failures = [one for one in walk(tree / "root", links=False) if isinstance(one, Failure)]
        told = "expected a folder, got a link to one (not followed)"
        assert failures == [Failure(str(tree / "root" / "away"), told)]

    def test_links_to_files_are_files(self, tree):
        (tree / "root" / "z.png").symlink_to(tree / "store" / "c.png")
        assert found_below(tree / "root") == ["a.png", "z.png", "class/b.png"]


DISC = (
    "DICOMDIR", "autorun.inf", "AUTORUN.INF", "viewer.EXE", "lib.dll", "viewer.ico", "app.jar",
    "help.chm", "data.cab", "setup.msi", "driver.sys", "help/index.html", "help/style.css",
    "help/code.js", "LOCKFILE", "VERSION", "Thumbs.db", "THUMBS.DB", ".DS_Store", "._a.dcm",
    "desktop.ini", "README.TXT", "data.bin", "fonts.dat", "index.db", "viewer",
)  # fmt: skip


def test_what_lies_on_the_disc_of_a_patient_is_skipped_and_told(tmp_path):
    for name in DISC:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"MZ\x90\0" + bytes(range(256)) * 2)
    (tmp_path / "tool").write_bytes(b"\x7fELF\2\1\1\0" + bytes(100))
    (tmp_path / "IM1").write_bytes(dicom_bytes(ramp()))
    skipped = []
    (series,) = read_inputs([tmp_path], skip=skipped.append)
    assert series.source == str(tmp_path / "IM1")
    named = {name.removeprefix(f"{tmp_path}/") for name in skipped}
    assert named == {*DISC, "tool"}
    assert len(skipped) == len(named)


def test_an_image_is_read_whatever_it_is_called(tmp_path):
    for name in ("a.bin", "b.DAT", "c", "1.2.3.4", "d.db"):
        (tmp_path / name).write_bytes(picture_bytes(ramp()))
    skipped = []
    assert len(list(read_inputs([tmp_path], skip=skipped.append))) == 5
    assert skipped == []


def test_a_program_that_is_named_is_a_failure(tmp_path):
    (tmp_path / "viewer").write_bytes(b"MZ\x90\0" + bytes(600))
    (answer,) = read_inputs([tmp_path / "viewer"])
    assert "got a program" in answer.error


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
        ("a\\Thumbs.DB", True),
        ("a/Desktop.INI", True),
        ("x.dcm", False),
        ("1.2.840.5", False),
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


def test_what_macos_adds_is_left_out_and_counted(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    inner = tmp_path / "__MACOSX" / "head"
    inner.mkdir(parents=True)
    for name in ("._a.png", "b.png"):
        (inner / name).write_bytes(b"2")
    skipped = []
    assert [entry.source for entry in walk(tmp_path, skip=skipped.append)] == [
        str(tmp_path / "a.png")
    ]
    assert sorted(skipped) == [str(inner / "._a.png"), str(inner / "b.png")]


def test_a_link_to_a_folder_that_is_searched_anyway_is_told(tmp_path):
    real = tmp_path / "glioma"
    real.mkdir()
    (real / "a.png").write_bytes(b"1")
    (tmp_path / "other").symlink_to(real, target_is_directory=True)
    skipped = []
    assert len(list(walk(tmp_path, skip=skipped.append))) == 1
    assert skipped == [str(tmp_path / "other")]
