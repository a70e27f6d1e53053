"""A report as text: the same words, in lines that fit."""

from __future__ import annotations

from pathlib import Path

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
from slicewise.reports.text import WIDTH, render_sections, render_text

LONG = "word " * 60


def lines_of(*blocks) -> list[str]:
    """Without the heading and its rule."""
    return render_sections([Section("Part", blocks)]).splitlines()[2:]


def test_a_page_has_title_disclaimer_cautions_sections_and_how_it_was_made() -> None:
    page = Page(
        "A report",
        "on tests",
        "For tests only.",
        (Section("One", (Prose("First."),)), Section("Two", (Prose("Second."),))),
        (Notice("caution", "Caution", "Few groups."),),
        (("Seed", "42"),),
    )
    assert render_text(page).splitlines() == [
        "A report", "=" * WIDTH, "For tests only.", "on tests", "", "* CAUTION: Few groups.", "",
        "One", "---", "First.", "", "Two", "---", "Second.", "",
        "How this was made", "-----------------", "Seed: 42",
    ]  # fmt: skip


def test_columns_are_aligned_and_the_last_is_not_padded() -> None:
    table = Table(("class", "n"), (("glioma", "12"), ("a", "3")))
    assert lines_of(table) == ["class   n", "------  --", "glioma  12", "a       3"]


def test_a_table_without_headings_has_rows_alone() -> None:
    assert lines_of(Table(("", ""), (("a", "1"), ("bb", "2")))) == ["a   1", "bb  2"]


def test_lines_are_wrapped_and_bullets_indented() -> None:
    lines = lines_of(Prose(f"{LONG}\n\nThen."), Bullets((LONG,)))
    assert max(map(len, lines)) <= WIDTH
    assert lines[lines.index("") - 1] == "Then."
    bullets = lines[lines.index("") + 1 :]
    assert bullets[0].startswith("* word")
    assert all(line.startswith("  word") for line in bullets[1:])


def test_a_long_path_is_never_broken() -> None:
    path = "/" + "folder-name/" * 20
    text = render_text(Page("A", "b", "c", (), (), (("Command", path),)))
    assert path in text.splitlines()


def test_pictures_are_named_from_the_folder_of_the_report() -> None:
    folder = Path("/data/out")
    section = Section.of("Part", "Words.", pictures=[folder / "a.png", folder / "sub" / "b.png"])
    assert render_sections([section], folder).endswith("Pictures: a.png, sub/b.png")
    inline = Gallery((Strip((Picture(b"", "glioma\nset"), Picture("no longer readable", "gone"))),))
    assert lines_of(inline) == ["Pictures: glioma set, gone"]


def test_numbers_bars_counts_and_inner_sections() -> None:
    assert lines_of(Counts(((2, "slices"), (1, "group")))) == ["2 slices, 1 group"]
    assert lines_of(KeyNumbers((("Accuracy", "0.9", "share"),)))[0] == "metric    value  meaning"
    assert lines_of(Bars((("guessing", 0.5, "50 %"),))) == ["guessing  50 %"]
    assert lines_of(Section("Inner", (Prose("Inside."),))) == ["Inner", "~~~~~", "Inside."]


def test_a_section_without_table_or_pictures_is_words_alone() -> None:
    section = Section.of("Part", "Words.", ("a",), (), ())
    assert section.blocks == (Prose("Words."),)
    assert not any(isinstance(block, Pictures) for block in section.blocks)
