"""Drawings become whole files with their warning, and say when they cannot."""

from __future__ import annotations

import builtins
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slicewise.errors import MissingExtraError
from slicewise.reports.plots import drawing, line_style, new_figure, png, require_plots, whiskers


def test_a_drawing_is_written_on_leaving(tmp_path: Path) -> None:
    with drawing(tmp_path / "a.png", 4, 3, "A title") as figure:
        figure.add_subplot().plot([0, 1], [0, 1], **line_style(0))
        assert not (tmp_path / "a.png").exists()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (600, 450)


def test_a_warning_stands_above_the_title_in_red(tmp_path: Path) -> None:
    with drawing(tmp_path / "a.png", 4, 3, "A title", "CAREFUL") as figure:
        figure.add_subplot()
    assert figure.get_suptitle() == "CAREFUL\nA title"
    with drawing(tmp_path / "b.png", 4, 3, notice="CAREFUL") as alone:
        alone.add_subplot()
    assert alone.get_suptitle() == "CAREFUL"
    with drawing(tmp_path / "c.png", 4, 3) as bare:
        bare.add_subplot()
    assert bare.get_suptitle() == ""


def test_a_drawing_that_fails_leaves_the_older_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), drawing(tmp_path / "a.png", 4, 3) as figure:
        figure.add_subplot().plot([1 / 0])
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_a_figure_in_memory_is_a_png() -> None:
    figure = new_figure(2, 1, dpi=100)
    figure.add_subplot()
    with Image.open(io.BytesIO(png(figure))) as picture:
        assert (picture.format, picture.size) == ("PNG", (200, 100))


def test_colours_and_dashes_repeat_after_the_last() -> None:
    assert line_style(0) == line_style(7)
    assert len({(str(line_style(n)["linestyle"]), line_style(n)["color"]) for n in range(7)}) == 7


def test_whiskers_reach_from_the_value_to_the_ends() -> None:
    found = whiskers([(0.5, 0.25, 0.75), (0.5, 0.6, 0.7), (0.5, None, None), (None, None, None)])
    expected = [[0.25, 0.0, np.nan, np.nan], [0.25, 0.2, np.nan, np.nan]]
    np.testing.assert_allclose(found, expected)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for call in (require_plots, lambda: new_figure(1, 1)):
        with pytest.raises(MissingExtraError, match=r"slicewise\[evaluate\]"):
            call()
