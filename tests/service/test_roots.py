from __future__ import annotations

import pytest

from slicewise.errors import AccessError, InputError
from slicewise.service.roots import Roots


@pytest.fixture
def roots(tmp_path):
    for name in ("one", "two", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.csv").write_text("x")
    return Roots([tmp_path / "one", tmp_path / "two"])


def test_a_path_is_found_below_any_root(roots, tmp_path):
    assert roots.find("two.csv") == tmp_path / "two" / "two.csv"
    assert roots.find(str(tmp_path / "one" / "one.csv")) == tmp_path / "one" / "one.csv"
    assert roots.find(".") == tmp_path / "one"


@pytest.mark.parametrize("given", ["../secret/secret.csv", "/", "../onemore", "link/secret.csv"])
def test_nothing_else_is(roots, tmp_path, given):
    (tmp_path / "onemore").mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(AccessError):
        roots.find(given)


def test_what_is_missing_or_no_path_is_an_input_error(roots):
    for given in ("missing.csv", "a\0b", "x" * 5000):
        with pytest.raises((InputError, AccessError)):
            roots.find(given)


def test_a_loop_of_links_is_no_path(roots, tmp_path):
    (tmp_path / "one" / "loop").symlink_to(tmp_path / "one" / "loop")
    with pytest.raises((InputError, AccessError)):
        roots.find("loop")


def test_places_are_taken_out_of_texts(roots, tmp_path):
    text = f"{tmp_path}/one/a.png: broken; {tmp_path}/two"
    assert roots.hidden(text) == "a.png: broken; ."
