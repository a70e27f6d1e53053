"""What a report is made of: plain data that `reports.html` and `reports.text` show."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["good", "note", "caution", "alert"]
"""How much something matters to the reader; its colour, beside words that say it too."""


class Prose(NamedTuple):
    """Paragraphs, separated by blank lines."""

    text: str


class Bullets(NamedTuple):
    """A list of sentences."""

    items: tuple[str, ...]


class Notice(NamedTuple):
    """What is to be seen first, with a word on what it is, such as `caution`."""

    kind: Kind
    label: str
    text: str


class Counts(NamedTuple):
    """Counts side by side, each with what was counted."""

    counts: tuple[tuple[int, str], ...]


class KeyNumbers(NamedTuple):
    """Numbers that a report opens with: title, value and meaning of each."""

    rows: tuple[tuple[str, str, str], ...]


class Table(NamedTuple):
    """Cells as text; with `kinds`, one a row, the last cell of each row has a colour."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[Kind, ...] = ()


class Bars(NamedTuple):
    """Shares as bars: name, share in [0, 1], and the share in words."""

    rows: tuple[tuple[str, float, str], ...]


class Picture(NamedTuple):
    """A PNG or JPEG, in a file or in memory; else in words why there is none."""

    content: Path | bytes | str
    caption: str = ""
    kind: Kind | None = None


class Pictures(NamedTuple):
    """Drawings to be read; small ones stand three in a row."""

    pictures: tuple[Picture, ...]
    small: bool = False


class Strip(NamedTuple):
    """Thumbnails that belong together, and how many more there are."""

    pictures: tuple[Picture, ...]
    title: str = ""
    more: int = 0


class Gallery(NamedTuple):
    """Strips of thumbnails, several in a row where they are short."""

    strips: tuple[Strip, ...]


class Section(NamedTuple):
    """A titled part; a section within another is a smaller part of it."""

    title: str
    blocks: tuple[Block, ...]

    @classmethod
    def of(
        cls,
        title: str,
        text: str,
        columns: Iterable[str] = (),
        rows: Iterable[tuple[str, ...]] = (),
        pictures: Iterable[Path] = (),
        notice: str | None = None,
    ) -> Section:
        """A caution, words, a table and pictures named by their files, as far as there are any."""
        table = Table(tuple(columns), tuple(rows))
        drawn = Pictures(tuple(Picture(path, path.name) for path in pictures))
        blocks: list[Block] = [Notice("caution", "Caution", notice)] if notice else []
        blocks += [Prose(text)]
        blocks += [table] if table.rows else []
        blocks += [drawn] if drawn.pictures else []
        return cls(title, tuple(blocks))


Block = Prose | Bullets | Notice | Counts | KeyNumbers | Table | Bars | Pictures | Gallery | Section


class Page(NamedTuple):
    """A whole report: of what, what it must not be used for, and in pairs how it was made."""

    title: str
    subtitle: str
    disclaimer: str
    sections: tuple[Section, ...]
    notices: tuple[Notice, ...] = ()
    made: tuple[tuple[str, str], ...] = ()
