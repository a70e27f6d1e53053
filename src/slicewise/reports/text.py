"""A report as plain text: what a terminal, a diff and a mail can show."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from slicewise.reports.blocks import (
    Bars,
    Block,
    Bullets,
    Facts,
    Gallery,
    KeyNumbers,
    Notice,
    Page,
    Picture,
    Pictures,
    Prose,
    Section,
    Table,
    Tally,
)

WIDTH = 100


def render_text(page: Page, folder: Path | None = None) -> str:
    """A whole report.

    Args:
        folder: Where it stands; picture files are named from there.
    """
    lines = [page.title, "=" * WIDTH, *_wrapped(page.disclaimer), *_wrapped(page.subtitle)]
    if page.notices:
        lines += ["", *(line for notice in page.notices for line in _block(notice, folder))]
    made = [Section("How this was made", (Facts(page.made),))] if page.made else []
    return "\n".join([*lines, "", render_sections([*page.sections, *made], folder)]) + "\n"


def render_sections(sections: Iterable[Section], folder: Path | None = None) -> str:
    """Sections alone, an empty line between them."""
    return "\n\n".join("\n".join(_section(section, folder)) for section in sections)


def _section(section: Section, folder: Path | None, line: str = "-") -> Iterator[str]:
    yield section.title
    yield line * len(section.title)
    for number, block in enumerate(section.blocks):
        if number and not isinstance(block, Notice):
            yield ""
        yield from _block(block, folder)


def _block(block: Block, folder: Path | None) -> Iterator[str]:
    match block:
        case Prose(text):
            for paragraph in text.split("\n\n"):
                yield from _wrapped(paragraph)
        case Bullets(items):
            for item in items:
                yield from _wrapped(item, "* ")
        case Notice(_, label, text):
            yield from _wrapped(f"{label.upper()}: {text}", "* ")
        case Tally(counts):
            yield from _wrapped(", ".join(f"{count} {what}" for count, what in counts))
        case KeyNumbers() | Table():
            yield from _table(block.columns, block.rows)
        case Bars(rows):
            yield from _aligned([(name, text) for name, _, text in rows])
        case Facts(rows):
            for term, text in rows:
                yield from _wrapped(f"{term}: {text}")
        case Pictures(pictures):
            yield from _named(pictures, folder)
        case Gallery(strips):
            yield from _named([one for strip in strips for one in strip.pictures], folder)
        case Section():
            yield from _section(block, folder, "~")


def _named(pictures: Iterable[Picture], folder: Path | None) -> list[str]:
    """Names of files, and captions of pictures that stand on the page alone."""
    names = [
        str(one.content.relative_to(folder) if folder else one.content)
        if isinstance(one.content, Path)
        else " ".join(one.caption.split())
        for one in pictures
    ]
    return _wrapped(f"Pictures: {', '.join(names)}")


def _wrapped(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not any(columns):
        return _aligned(rows)
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    return _aligned([columns, ["-" * width for width in widths], *rows])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of equal width, two blanks between them; the last one is not padded."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for cells in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()
