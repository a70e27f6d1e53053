from __future__ import annotations

import pytest

from slicewise.service.http.uploads import distinct, shown_name, upload_name_of


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.png", "a.png"),
        ("../../a.png", "a.png"),
        ("C:\\scans\\a.png", "a.png"),
        ("a\0b\n.png", "ab.png"),
        ("a!b#3.png", "a_b_3.png"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        ("脳.png", "脳.png"),
    ],
)
def test_shown_name(given, shown):
    assert shown_name(given) == shown


def test_a_long_name_keeps_its_end():
    assert shown_name("x" * 300 + ".png") == "x" * 96 + ".png"


def test_names_become_distinct():
    assert distinct(["a", "a", "b", "a"]) == ["a", "a (2)", "b", "a (3)"]
    assert len(set(distinct(["a", "a (2)", "a", "a (2)"]))) == 4


@pytest.mark.parametrize("source", ["a.png", "a.png#3", "a.png!b.dcm", "a.png!b#c.dcm#2"])
def test_a_source_tells_its_upload(source):
    assert upload_name_of(source) == "a.png"
