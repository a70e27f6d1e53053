"""A report as plain text: what a terminal, a diff and a mail can show."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from slicewise.reports import blocks

WIDTH = 100


def render_text(page: blocks.Page, folder: Path | None = None) -> str:
    """A whole report, which stands in a folder; picture files are named from there."""
    lines = [page.title, "=" * WIDTH, *_wrapped(page.disclaimer), *_wrapped(page.subtitle), ""]
    for notice in page.notices:
        lines += _block(notice, folder)
    if page.notices:
        lines.append("")
    lines.append(render_sections(page.sections, folder))
    if page.made:
        lines += ["", *_heading("How this was made", "-")]
        lines += [line for pair in page.made for line in _wrapped(": ".join(pair))]
    return "\n".join(lines) + "\n"


def render_sections(sections: Iterable[blocks.Section], folder: Path | None = None) -> str:
    """Sections alone, an empty line between them."""
    return "\n\n".join("\n".join(_section(section, folder, "-")) for section in sections)


def _section(section: blocks.Section, folder: Path | None, rule: str) -> Iterator[str]:
    yield from _heading(section.title, rule)
    for number, block in enumerate(section.blocks):
        if number:
            yield ""
        yield from _block(block, folder)


def _block(block: blocks.Block, folder: Path | None) -> Iterator[str]:
    match block:
        case blocks.Prose(text):
            for paragraph in text.split("\n\n"):
                yield from _wrapped(paragraph)
        case blocks.Bullets(items):
            for item in items:
                yield from _wrapped(item, "* ")
        case blocks.Notice(_, label, text):
            yield from _wrapped(f"{label.upper()}: {text}", "* ")
        case blocks.Counts(counts):
            yield from _wrapped(", ".join(f"{count} {what}" for count, what in counts))
        case blocks.KeyNumbers(rows):
            yield from _table(("metric", "value", "meaning"), rows)
        case blocks.Table(columns, rows):
            yield from _table(columns, rows)
        case blocks.Bars(rows):
            yield from _aligned([(name, text) for name, _, text in rows])
        case blocks.Pictures(pictures):
            yield from _named(pictures, folder)
        case blocks.Gallery(strips):
            yield from _named([one for strip in strips for one in strip.pictures], folder)
        case blocks.Section():
            yield from _section(block, folder, "~")


def _named(pictures: Iterable[blocks.Picture], folder: Path | None) -> list[str]:
    """Names of files, and captions of pictures that stand on the page alone."""
    names = [
        str(one.content.relative_to(folder) if folder else one.content)
        if isinstance(one.content, Path)
        else " ".join(one.caption.split())
        for one in pictures
    ]
    return _wrapped(f"Pictures: {', '.join(names)}")


def _heading(title: str, rule: str) -> list[str]:
    return [title, rule * len(title)]


def _wrapped(text: str, bullet: str = "") -> list[str]:
    indent = " " * len(bullet)
    return textwrap.wrap(
        text, WIDTH, initial_indent=bullet, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not any(columns):
        return _aligned(rows)
    rules = ["-" * max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return _aligned([columns, rules, *rows])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of equal width, two blanks between them; the last one is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        yield "  ".join(map(str.ljust, cells, widths)).rstrip()
