"""A part of an evaluation's report: words, a table and pictures, for the page and for the text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Section:
    """One titled part.

    Args:
        title: Heading.
        text: What was done and what it shows, in plain words; paragraphs separated by blank lines.
        columns: Heads of the table; none where there is no table.
        rows: Cells as text, one tuple a row.
        pictures: PNG files in the report's folder.
    """

    title: str
    text: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    pictures: tuple[Path, ...] = ()
