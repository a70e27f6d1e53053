"""Looking files up: one answer a slice, by bytes or by pixels; a bad file costs no other."""

from __future__ import annotations

import json
import zipfile

import pytest
from PIL import Image
from typer.testing import CliRunner

from builders_data import COPIES, head, save
from builders_public import index_of, row_of, ship
from slicewise.cli.main import app
from slicewise.data.tables import read_table

runner = CliRunner()


@pytest.fixture
def public(tmp_path, monkeypatch):
    """Two public files, of which one is published twice, mirrored, under labels that differ."""
    folder = tmp_path / "set"
    one, two = (save(head(n, side=64), folder / f"{n}.jpg") for n in range(2))
    rows = [
        row_of(one, 3, "figshare:pit_1", figshare_number="1904", published_label="pituitary"),
        row_of(two, 5, mirrored="1", label_conflict="1"),
        row_of(save(head(8, side=64), folder.parent / "8.jpg"), 3, "figshare:pit_1")
        | {"published_label": "pituitary", "figshare_number": "1904", "collection": "figshare"},
        row_of(two, 5, mirrored="1", label_conflict="1", collection="sartaj")
        | {"published_label": "meningioma"},
    ]
    ship(monkeypatch, index_of(tmp_path / "index.npz", rows))
    return folder


def known(*paths):
    return runner.invoke(app, ["data", "known", *map(str, paths)])


def test_a_line_says_all_that_is_known(public):
    done = known(public / "0.jpg")
    assert done.exit_code == 0
    assert done.stdout == (
        f"{public / '0.jpg'}: known by bytes: nickparvar (pituitary); copies in figshare; "
        "group figshare:pit_1; "
        "slice 1904 of Figshare\n"
    )
    assert done.stderr == ""
    line = known(public / "1.jpg").stdout
    assert "nickparvar (glioma), sartaj (meningioma); group cluster:5" in line
    assert "labels contradict: glioma, meningioma" in line


def test_what_is_saved_again_is_known_by_pixels_and_what_is_changed_is_not(public, tmp_path):
    with Image.open(public / "0.jpg") as picture:
        again = save(picture, tmp_path / "again.png")
        small = save(COPIES["small"](picture), tmp_path / "small.png")
    done = known(again, small)
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{again}: known by pixels: nickparvar (pituitary)")
    assert second == f"{small}: unknown"
    assert done.stderr == "2 slices, 1 known: 1 distinct slice in 1 group\n"


def test_one_bad_file_costs_no_other(public):
    (public / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    (public / "notes.txt").write_text("not meant as an image")
    done = known(public, public / "gone.png")
    assert done.exit_code == 1
    assert done.stdout.count("known by bytes") == 2
    assert f"{public / 'a.png'}\n  error: expected" in done.stderr
    assert f"{public / 'gone.png'}\n  error: No such file or folder" in done.stderr
    assert "2 slices, 2 known: 2 distinct slices in 2 groups; 1 with contradicting" in done.stderr
    assert "2 errors" in done.stderr
    assert "skipped 1 file not meant as images" in done.stderr
    assert "Traceback" not in done.output


def test_json_and_a_table_hold_the_same(public, tmp_path):
    (public / "a.png").write_bytes(b"")
    table = tmp_path / "known.csv"
    done = known(public, "--csv", table, "--json")
    assert done.exit_code == 1
    content = json.loads(done.stdout)
    assert [one["known"] for one in content["slices"]] == [True, True]
    assert content["slices"][0] == {
        "path": str(public / "0.jpg"),
        "known": True,
        "known_by": "bytes",
        "group": "figshare:pit_1",
        "patients": True,
        "cluster": 3,
        "published": [{"collection": "nickparvar", "label": "pituitary"}],
        "collections": ["figshare", "nickparvar"],
        "figshare_numbers": [1904],
        "mirrored": False,
        "contradicting_labels": [],
    }
    assert [bad["path"] for bad in content["errors"]] == [str(public / "a.png")]
    rows = read_table(table)
    assert [row["known_by"] for row in rows] == ["bytes", "bytes", ""]
    assert [row["group"] for row in rows] == ["figshare:pit_1", "cluster:5", ""]
    assert rows[1]["published"] == "nickparvar:glioma sartaj:meningioma"
    assert rows[0]["collections"] == "figshare nickparvar"
    assert [bool(row["error"]) for row in rows] == [False, False, True]


def test_members_of_a_zip_and_pages_are_looked_up_by_themselves(public, tmp_path):
    archive = tmp_path / "both.zip"
    save(head(20, side=64), tmp_path / "new.png")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(public / "0.jpg", "0.jpg")
        packed.write(tmp_path / "new.png", "new.png")
    pages = tmp_path / "pages.tif"
    with Image.open(public / "1.jpg") as picture:
        head(21, side=64).save(pages, save_all=True, append_images=[picture.copy()])
    content = json.loads(known(archive, pages, "--json").stdout)
    found = {one["path"]: one["known"] for one in content["slices"]}
    assert found == {
        f"{archive}!0.jpg": True,
        f"{archive}!new.png": False,
        f"{pages}#0": False,
        f"{pages}#1": True,
    }


def test_one_bad_member_of_a_zip_costs_no_other(public, tmp_path):
    archive = tmp_path / "z.zip"
    with Image.open(public / "1.jpg") as picture:
        grey = save(picture.copy(), tmp_path / "grey.png")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(public / "0.jpg", "d/0.jpg")
        packed.writestr("cut.png", b"\x89PNG\r\n\x1a\n cut off")
        packed.write(grey, "grey.png")
        packed.writestr("empty.jpg", b"")
        packed.writestr("notes.txt", "text")
    for given in (archive, tmp_path):  # by name, and in a folder
        done = known(given, "--json")
        assert done.exit_code == 1
        content = json.loads(done.stdout)
        names = {one["path"].rpartition("!")[2]: one["known"] for one in content["slices"]}
        assert (names["d/0.jpg"], names["grey.png"]) == (True, True)
        assert {bad["path"] for bad in content["errors"]} == {
            f"{archive}!cut.png", f"{archive}!empty.jpg",
        }  # fmt: skip


@pytest.mark.parametrize("files", [[], ["notes.txt"], [".hidden.png", "a/b.csv"]])
def test_a_folder_without_images_is_an_error(tmp_path, files):
    for name in files:
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("text")
    (tmp_path / "d").mkdir(exist_ok=True)
    done = known(tmp_path / "d")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{tmp_path / 'd'}\n  error: expected at least one image")


def test_the_folder_of_a_table_is_made(public, tmp_path):
    table = tmp_path / "new" / "dir" / "a.csv"
    assert known(public, "--csv", table).exit_code == 0
    assert len(read_table(table)) == 2


def test_a_mirrored_slice_of_figshare_is_told_so(tmp_path, monkeypatch):
    path = save(head(1, side=64), tmp_path / "1.png")
    row = row_of(path, 1, "figshare:gli_1", figshare_number="7", mirrored="1")
    ship(monkeypatch, index_of(tmp_path / "index.npz", [row]))
    assert known(path).stdout.endswith("; slice 7 of Figshare, mirrored\n")


@pytest.mark.parametrize("name", ["t.xlsx", "taken/t.csv"])
def test_a_table_that_cannot_be_written_is_refused_before_the_work(public, tmp_path, name):
    (tmp_path / "taken").write_text("a file")
    done = known(public, "--csv", tmp_path / name)
    assert done.exit_code == 1
    assert done.stdout == ""


def test_nothing_is_wrong_use():
    assert known().exit_code == 2
