"""Tables of text as people's programs write them, read where only one reading is possible.

Ours have commas and UTF-8. Others have semicolons or tabs, UTF-16, Latin-1, any line ends, and
numbers with a decimal comma.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", ""),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_LINE_END = re.compile("\r\n|\r|\n")
_SEPARATOR = re.compile(r'"?sep=([^\r\n"])"?(?=[\r\n])', re.IGNORECASE)  # for Excel, a first line
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")

Row = tuple[int, list[str]]
Parsed = list[Row] | ValueError


@dataclass(frozen=True, slots=True)
class Delimited:
    """The rows of a table below its header, and in which dialect they are written.

    Args:
        rows: Text by column; names of columns have no spaces around them.
        dialect: Such as `semicolons, Latin-1`; empty for commas and UTF-8.
    """

    rows: list[dict[str, str]]
    dialect: str


def read_delimited(path: Path) -> Delimited:
    """Read a table with a header; rows without any value are passed over.

    Commas are tried first: where every row has as many values as the header, and more than one,
    the table is read so.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such table; says what was expected, what was got and in which line.
    """
    text, encoding = _decoded(path)
    signs, told = "".join(_DELIMITERS), _SEPARATOR.match(text)
    if told is not None:  # what follows starts with its line end, so that lines keep their numbers
        signs, text = told[1], text[told.end() :]
    sign, table = _best(path, text, signs)
    if isinstance(table, ValueError):
        raise table
    words = _DELIMITERS.get(sign, repr(sign)) if sign != "," else ""
    dialect = ", ".join(filter(None, (words, encoding)))
    return Delimited(_records(path, table, dialect), dialect)


def _decoded(path: Path) -> tuple[str, str]:
    """The text of a file, and the name of its encoding, which is empty for UTF-8."""
    data = path.read_bytes()
    for mark, codec, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(codec), encoding
            except UnicodeDecodeError:
                told = f"{path}: expected text in {encoding or 'UTF-8'}, as its first bytes say"
                raise ValueError(f"{told}; got other bytes") from None
    try:
        text, encoding = data.decode("utf-8"), ""
    except UnicodeDecodeError:
        try:  # as Windows has Latin-1
            text, encoding = data.decode("cp1252"), "Latin-1"
        except UnicodeDecodeError:
            text, encoding = data.decode("latin-1"), "Latin-1"
    wrong = "\0" if not encoding else _CONTROL
    if found := re.search(wrong, text):
        line = len(_LINE_END.findall(text, 0, found.start())) + 1
        wanted = "text in UTF-8, Latin-1, or UTF-16 with a byte order mark"
        raise ValueError(f"{path}, line {line}: expected {wanted}; got another encoding")
    return text, encoding


def _parsed(path: Path, text: str, sign: str) -> Parsed:
    """The rows at one delimiter, each with the number of its first line, the header first."""
    spaced = f"{sign} " in _LINE_END.split(text.lstrip(), maxsplit=1)[0]
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=sign, strict=True, skipinitialspace=spaced)
    rows, line = [], 1
    try:
        for row in reader:
            if row == [""] or any(cell.strip() for cell in row):  # "" is a value in quotes
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        return ValueError(f"{path}, line {line}: expected a CSV table; {error}")
    return rows or ValueError(f"{path}: expected a header and rows; got an empty file")


def _best(path: Path, text: str, signs: str) -> tuple[str, Parsed]:
    """The first delimiter that fits every row, else the one that splits the header most."""
    tried: dict[str, Parsed] = {}
    widths: dict[str, int] = {}
    for sign in signs:
        tried[sign] = rows = _parsed(path, text, sign)
        if isinstance(rows, ValueError):
            widths[sign] = 0
            continue
        widths[sign] = width = len(rows[0][1])
        if width > 1 and all(len(row) == width for _, row in rows):
            return sign, rows
    widest = max(widths, key=widths.__getitem__)
    sign = widest if widths[widest] > 1 else signs[0]
    return sign, tried[sign]


def _records(path: Path, table: Sequence[Row], dialect: str) -> list[dict[str, str]]:
    (_, header), *rows = table
    read_as = f" (read with {dialect})" if dialect else ""
    for line, row in rows:
        if len(row) != len(header):
            wanted = f"as many values as columns, {len(header)}"
            raise ValueError(f"{path}, line {line}: expected {wanted}; got {len(row)}{read_as}")
    names = [name.strip() for name in header]
    while len(names) > 1 and not names[-1] and not any(row[len(names) - 1] for _, row in rows):
        names.pop()  # as spreadsheets write columns without a name or a value
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path}: expected each column once; got {twice[0]!r} twice{read_as}")
    return [dict(zip(names, row, strict=False)) for _, row in rows]


def number(text: str) -> float:
    """A number with a decimal point or a decimal comma; `ValueError` where it is none."""
    return float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text.strip()) else text)


def with_slashes(name: str) -> str:
    """A path as Windows writes it, as other systems do."""
    return name.replace("\\", "/")
