"""Files that appear whole or not at all, and tables and JSON that hold any name.

A file name may hold what UTF-8 cannot (bytes of another encoding, as lone surrogates), and control
characters. What is written stays valid all the same: such a character becomes an escape.
"""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from slicewise.errors import ConfigError

_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may hold as it is, but terminals obey, line readers split at or UTF-8 cannot hold."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A draft beside a file, with its suffix, that takes its place once all is written.

    What fails or is broken off leaves no draft, and an older file as it was. Mode and links of an
    older file stay. A device or a pipe is written as it is. The folder must exist.

    Raises:
        OSError: It cannot be written; names `path`.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{os.urandom(8).hex()}{target.suffix}")
    try:
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(path))
        yield draft
        if target.exists():
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError as error:
        if error.filename in (None, str(draft)):  # a full disk is reported without a name
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def named(name: str) -> Iterator[None]:
    """An OSError without a file, as a full disk raises it, gets this name."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, name) from error


def require_folder(folder: Path) -> None:
    """Check before long work that files can be written into a folder, made where it is missing.

    Raises:
        ConfigError: It, or what it would lie in, is a file or may not be written.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None)
    if there is not None and not there.is_dir():
        raise ConfigError(f"{folder}: expected a folder, got a file at {there}")
    if there is not None and not os.access(there, os.W_OK):
        raise ConfigError(f"{folder}: expected a folder to write to; {there} may not be written")


def require_file(path: Path, *suffixes: str) -> None:
    """Check before long work that a file can be written, and that none of another kind is replaced.

    Raises:
        ConfigError: Its name ends otherwise, it is a folder, or it or its folder cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: expected a file to write to, got a folder")
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: expected a file named {' or '.join(suffixes)} to write to")
    if path.is_file() and not os.access(path, os.W_OK):
        raise ConfigError(f"{path}: expected a file that may be replaced; it may not be written")
    require_folder(path.absolute().parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole, or raise an OSError; what UTF-8 cannot hold as escapes like `\\udce9`."""
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with whole(path) as draft:
        draft.write_bytes(data)


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole, indented by two, with a final line break.

    Raises:
        OSError: It cannot be written.
        ValueError: A number is not finite.
    """
    write_whole(path, json_text(content, indent=2) + "\n")


def json_text(content: Any, *, indent: int | None = None, encoding: str = "utf-8") -> str:
    """JSON as RFC 8259 wants it, in UTF-8; for another encoding in ASCII, which all of them hold.

    Args:
        content: Of plain types; numbers are finite.
        indent: Spaces a level; None for one line.
        encoding: Of the file or terminal it is for.
    """
    plain = codecs.lookup(encoding).name != "utf-8"
    text = json.dumps(content, indent=indent, ensure_ascii=plain, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a table whole, in UTF-8, its header as the first row; an OSError if it cannot be."""
    with (
        whole(path) as draft,
        draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        write = row_writer(file)
        for row in rows:
            write(row)


def harmless(cell: Any) -> Any:
    """Text that no spreadsheet runs as a formula: an apostrophe before it; others as they are."""
    formula = isinstance(cell, str) and cell.startswith(_FORMULA) and cell != "-"
    return f"'{cell}" if formula else cell


def row_writer(file: TextIO) -> Callable[[Sequence[object]], object]:
    """What writes rows of CSV, each a row again, to a file opened with `newline=""`."""
    plain = csv.writer(file, lineterminator="\n")
    quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(row: Sequence[object]) -> object:
        # The csv module leaves a carriage return without quotes, and reads it as the end of a row.
        returns = any(isinstance(cell, str) and "\r" in cell for cell in row)
        return (quoted if returns else plain).writerow(row)

    return write
