"""What stands in a section or on a page, for tests that look at reports."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeVar

from slicewise.reports.blocks import Block, Pictures, Prose, Section, Table

Kind = TypeVar("Kind", bound=Block)


def blocks_of(section: Section, kind: type[Kind]) -> Iterator[Kind]:
    """The blocks of one kind, those of inner sections too."""
    for block in section.blocks:
        if isinstance(block, kind):
            yield block
        if isinstance(block, Section):
            yield from blocks_of(block, kind)


def prose_of(section: Section) -> str:
    return "\n\n".join(block.text for block in blocks_of(section, Prose))


def table_of_section(section: Section) -> Table:
    [table] = blocks_of(section, Table)
    return table


def files_of(section: Section) -> list[Path]:
    return [
        picture.content
        for block in blocks_of(section, Pictures)
        for picture in block.pictures
        if isinstance(picture.content, Path)
    ]


class ReadPage(HTMLParser):
    """Headings, what is loaded, and the text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.loaded: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._inside = ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._inside = tag
        self.loaded += [value for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data):
        if self._inside == "h2" and data.strip():
            self.headings.append(data.strip())
        if self._inside != "style":
            self.text += data
