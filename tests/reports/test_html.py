"""Pages share a frame and a style, show every block, and escape what they show."""

from __future__ import annotations

import io
import re
from pathlib import Path

import jinja2
import numpy as np
import pytest
from PIL import Image

import slicewise
from builders_reports import ReadPage
from slicewise.reports.blocks import (
    Bars,
    Bullets,
    Counts,
    Gallery,
    KeyNumbers,
    Notice,
    Page,
    Picture,
    Pictures,
    Prose,
    Section,
    Strip,
    Table,
)
from slicewise.reports.html import data_address, jpeg, render_html, templates

NASTY = "<script>alert(1)</script>"


def picture(width: int = 40, height: int = 30, *, noisy: bool = False) -> bytes:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    if noisy:
        pixels = np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def page_of(*blocks, **fields) -> str:
    given = {"notices": (), "made": (), **fields}
    return render_html(
        Page("A report", "on tests", "For tests only.", (Section("Part", blocks),), **given)
    )


def test_every_kind_of_block_is_shown_with_its_words() -> None:
    source = page_of(
        Prose("First.\n\nSecond."),
        Bullets(("one thing",)),
        Notice("alert", "Severe", "Look here."),
        Counts(((12, "slices"),)),
        KeyNumbers((("Accuracy", "0.9", "share answered right"),)),
        Table(("class", "n"), (("glioma", "5"),)),
        Bars((("guessing", 0.25, "25.0 %"),)),
        Pictures((Picture(picture(), "a drawing"),)),
        Gallery((Strip((Picture("no longer readable", "gone.png"),), "3 files", 2),)),
        Section("Inner", (Prose("Inside."),)),
        notices=(Notice("caution", "Caution", "Few groups."),),
        made=(("Command", "slicewise test"), ("Seed", "42")),
    )
    text = ReadPage(source).text
    for words in ("First.", "one thing", "Look here.", "12", "share answered right", "glioma",
                  "guessing", "25.0 %", "Seed", "a drawing", "no longer readable", "gone.png",
                  "3 files", "and 2 more", "Inner", "Inside.", "Few groups.", "slicewise test",
                  "For tests only."):  # fmt: skip
        assert words in text
    assert '<span class="fill" style="width: 25.0%">' in source
    assert "<h3>Inner</h3>" in source


def test_nothing_is_run_or_fetched_and_all_is_escaped() -> None:
    source = page_of(
        Prose(NASTY),
        Table((NASTY,), ((NASTY,),)),
        Pictures((Picture(picture(), NASTY),)),
        notices=(Notice("note", NASTY, NASTY),),
        made=((NASTY, NASTY),),
    )
    page = ReadPage(source)
    assert "script" not in page.tags
    assert page.text.count(NASTY) == 8
    assert all(address.startswith("data:image/") for address in page.loaded)
    assert "url(" not in source
    assert "@import" not in source


def test_states_colour_the_last_cell_and_counts_stand_right() -> None:
    source = page_of(Table(("name", "n", "state"), (("a b", "1,200", "alert"),), ("alert",)))
    assert re.search(r'<td class="[^"]*\balert\b[^"]*">alert</td>', source)
    assert re.search(r'<td class="n [^"]*">1,200</td>', source)
    assert '<td class="short ">a b</td>' in source


def test_intervals_of_wide_tables_stand_on_a_line_of_their_own() -> None:
    cells = ("class", *["0.9 (0.8-1.0)"] * 7)
    assert source_count(cells) == 7
    assert source_count(cells[:4]) == 0


def source_count(cells: tuple[str, ...]) -> int:
    return page_of(Table(cells, (cells,))).count('<span class="interval">(0.8-1.0)</span>')


def test_wide_pictures_are_shown_larger() -> None:
    assert 'class="pictures one wide"' in page_of(Pictures((Picture(picture(1200, 1200)),)))
    assert 'class="pictures one"' in page_of(Pictures((Picture(picture(800, 800)),)))
    two = page_of(Pictures((Picture(picture(60, 60)), Picture(picture(300, 60))), small=True))
    assert two.count('<figure class="row">') == 1
    assert 'class="pictures small"' in two
    lone = page_of(Pictures((Picture(picture(1200, 60)),), small=True))
    assert 'class="pictures small"' in lone


def test_many_sections_have_links_to_them() -> None:
    sections = tuple(Section(f"Part {n}", (Prose("x"),)) for n in range(5))
    page = ReadPage(render_html(Page("A", "b", "c", sections)))
    assert page.loaded == [f"#part-{n}" for n in (2, 3, 4, 5)]
    assert page.headings == [f"Part {n}" for n in range(5)]


def test_a_picture_becomes_jpeg_where_that_is_smaller() -> None:
    drawing, slice_ = picture(noisy=False), picture(200, 200, noisy=True)
    assert data_address(drawing).startswith("data:image/png;base64,")
    assert data_address(slice_).startswith("data:image/jpeg;base64,")
    grey = jpeg(Image.new("L", (8, 8)))
    assert data_address(grey).startswith("data:image/jpeg;base64,")
    assert Image.open(io.BytesIO(grey)).mode == "L"


def test_a_picture_of_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    section = Section.of("Part", "Words.", pictures=[tmp_path / "a.png"])
    source = render_html(Page("A", "b", "c", (section,)))
    assert source.count("data:image/png") == 1
    assert "a.png" in source


@pytest.fixture
def framed() -> str:
    template = templates("slicewise.output").from_string(
        "{% extends 'base.html.j2' %}"
        "{% macro bold(text) %}<b>{{ text }}</b>{% endmacro %}"
        "{% block title %}A page{% endblock %}"
        "{% block style %}.own { color: red; }{% endblock %}"
        "{% block content %}{{ bold(name) }}{% endblock %}"
    )
    return template.render(name=NASTY)


def test_a_template_of_its_own_stands_in_the_frame(framed: str) -> None:
    assert framed.startswith("<!DOCTYPE html>")
    assert "<title>A page</title>" in framed
    assert "width=device-width" in framed
    assert '"Segoe UI"' in framed
    assert framed.index("max-width: 1180px") < framed.index(".own { color: red; }")
    assert "<b>&lt;script&gt;alert(1)&lt;/script&gt;</b>" in framed


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        templates().from_string("{{ missing }}").render()


def test_no_page_has_a_frame_of_its_own() -> None:
    pages = list(Path(slicewise.__file__).parent.rglob("*.html.j2"))
    assert [page.name for page in pages if "<html" in page.read_text()] == ["base.html.j2"]
