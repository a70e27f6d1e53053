"""Files are whole or not there, and hold any name."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import stat
from pathlib import Path

import pytest

from slicewise.errors import ConfigError
from slicewise.files import (
    harmless,
    json_text,
    require_file,
    row_writer,
    whole,
    write_csv,
    write_json,
    write_whole,
)

NAMES = [
    "plain.png",
    "café.png",
    "\udce9.png",
    "\udcc3\udca9.png",
    "a\nb\rc\td.png",
    "\x1b[31mred\x9b0m.png",
    "line\u2028end\u202e.png",
    'quote",comma.png',
]


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with whole(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
        assert draft.suffix == ".csv"
    assert path.read_text() == "new"
    assert entries(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_the_older_file_and_no_draft(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def broken_off():
        with whole(path) as draft:
            draft.write_text("half")
            raise error

    with pytest.raises(error):
        broken_off()
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["a.txt"]


def test_an_error_names_the_file_and_not_its_draft(tmp_path):
    with pytest.raises(OSError, match="No such file") as failed:
        write_whole(tmp_path / "no" / "a.txt", "x")
    assert failed.value.filename == str(tmp_path / "no" / "a.txt")
    assert isinstance(failed.value, FileNotFoundError)
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, "x")


def test_mode_and_link_of_an_older_file_stay(tmp_path):
    kept, link = tmp_path / "kept.txt", tmp_path / "link.txt"
    kept.write_text("old")
    kept.chmod(0o640)
    link.symlink_to(kept)
    write_whole(link, "new")
    assert link.is_symlink()
    assert kept.read_text() == "new"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


def test_a_new_file_has_the_mode_that_any_other_has(tmp_path):
    write_whole(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o400)
    with pytest.raises(PermissionError):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_pipe_is_written_as_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert entries(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_holds_any_name_in_any_encoding(name, encoding):
    content = {"source": name, "list": [1, 0.5, None]}
    text = json_text(content, encoding=encoding)
    assert json.loads(text.encode(encoding)) == content
    assert text.splitlines() == [text]
    assert all(c.isprintable() for c in text)


def test_json_stays_readable_where_it_can():
    assert json_text({"é": "\x9b"}) == '{"é": "\\u009b"}'
    assert json_text(["é"], encoding="ascii") == '["\\u00e9"]'
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


def test_json_files_are_utf_8(tmp_path):
    write_json(tmp_path / "a.json", {"a": NAMES})
    text = (tmp_path / "a.json").read_bytes().decode("utf-8")
    assert json.loads(text) == {"a": NAMES}
    assert text.startswith('{\n  "a": [\n')
    assert text.endswith("}\n")


def test_rows_stay_rows(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, [("name", "number"), *((name, 1.5) for name in NAMES)])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    shown = [name.encode("utf-8", "backslashreplace").decode() for name in NAMES]
    assert rows == [["name", "number"], *([name, "1.5"] for name in shown)]


def test_plain_rows_are_written_plainly():
    file = io.StringIO(newline="")
    write = row_writer(file)
    write(["a", "b c", 1])
    write(["a\rb", 2])
    assert file.getvalue() == 'a,b c,1\n"a\rb","2"\n'


def test_a_file_that_may_not_be_replaced_is_refused_before_the_work(tmp_path, monkeypatch):
    path = tmp_path / "answers.csv"
    path.write_text("old")
    may = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: place != path and may(place, mode))
    with pytest.raises(ConfigError, match=r"answers\.csv: .* may not be written"):
        require_file(path, ".csv")


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, whole(tmp_path / "a.png"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as file objects raise it
    assert caught.value.filename == str(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1.jpg", "'=1+1.jpg"), ("@x", "'@x"), ("+1", "'+1"), ("-x", "'-x"), ("\tx", "'\tx"),
     ("-", "-"), ("a=1", "a=1"), ("", ""), (-1.5, -1.5), (None, None)],
)  # fmt: skip
def test_no_text_is_a_formula(cell, written):
    assert harmless(cell) == written
