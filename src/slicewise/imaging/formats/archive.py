"""Zip archives as entries that are read in memory; nothing is ever written to disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PureWindowsPath
from typing import BinaryIO

from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.discovery import is_foreign
from slicewise.imaging.entry import Entry
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Failure

_ENCRYPTED = 0x1
_END_RECORD, _END_BYTES, _COMMENT_BYTES = b"PK\x05\x06", 22, 0xFFFF
_BYTES_PER_RECORD = 46 + 512  # of the directory: fixed part, then name and extra fields
_LONGEST_SHOWN = 200
_CHUNK = 1 << 20


@contextmanager
def open_archive(archive: Entry, limits: Limits) -> Iterator[list[Entry | Failure]]:
    """The members of a zip, sorted by name; entries stay readable while the context is open.

    Folders, hidden files and what macOS adds are left out. A member that may not be read is a
    failure beside the others: encrypted, too large, or named as if it lay outside the archive.

    Raises:
        LimitError: The archive has too many members or expands to too much.
        InputError: It is no readable zip, or nothing that could be an image is in it.
    """
    with archive.open() as stream:
        with decoding("zip archive"):
            _check_directory(stream, limits)
            opened = zipfile.ZipFile(stream)
            infos = [info for info in opened.infolist() if not info.is_dir()]
        _check_expansion(infos, limits)
        infos.sort(key=lambda info: info.filename)
        yield [
            _member(opened, info, archive.source, limits)
            for info in infos
            if not is_hidden(info.filename) and not is_foreign(info.filename)
        ]


def is_hidden(name: str) -> bool:
    """Whether a member is a dotfile or lies in a hidden or `__MACOSX` folder."""
    parts = PureWindowsPath(name).parts  # takes both kinds of slash, as the names in zips do
    return any(part == "__MACOSX" or (part[0] == "." and part != "..") for part in parts)


def _check_directory(stream: BinaryIO, limits: Limits) -> None:
    """Refuse a directory of too many members before it is parsed, by its end record."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _END_BYTES - _COMMENT_BYTES))
    tail = stream.read()
    at = tail.rfind(_END_RECORD)
    if at < 0:
        raise InputError("expected a complete zip, got one without its directory (truncated)")
    count = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    _check_count(max(count, directory // _BYTES_PER_RECORD), limits)


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.max_zip_entries:
        raise LimitError(f"expected at most {limits.max_zip_entries:,} zip members, got {count:,}")


def _check_expansion(infos: list[zipfile.ZipInfo], limits: Limits) -> None:
    """Refuse by the declared sizes; reading never goes past what a member declares."""
    _check_count(len(infos), limits)
    expanded = sum(info.file_size for info in infos)
    if expanded > (most := limits.max_zip_bytes):
        raise LimitError(f"expected a zip of at most {most:,} expanded bytes, got {expanded:,}")
    limits.check_expansion(expanded, sum(info.compress_size for info in infos))


def _member(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, archive: str, limits: Limits
) -> Entry | Failure:
    # A name may hold whatever its maker liked: it is shown so that it can be printed anywhere.
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in info.filename)
    source = f"{archive}!{shown.replace('!', '_').replace('#', '_')[-_LONGEST_SHOWN:]}"
    try:
        _check_member(info, limits)
    except InputError as error:
        return Failure(source, str(error))
    return Entry(source, info.file_size, lambda: _expand(opened, info, limits), is_member=True)


def _check_member(info: zipfile.ZipInfo, limits: Limits) -> None:
    name = info.filename
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or name.startswith("/") or ".." in windows.parts:
        raise InputError("expected a name inside the archive, got one that points outside it")
    if info.flag_bits & _ENCRYPTED:
        raise UnsupportedImageError("expected a readable zip member, got an encrypted one")
    limits.check_bytes(info.file_size)


def _expand(opened: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> BinaryIO:
    """A member in memory. Its declared size is not believed: too much is counted as it comes."""
    content = io.BytesIO()
    with decoding("zip member"), opened.open(info) as stream:
        while chunk := stream.read(_CHUNK):
            content.write(chunk)
            if content.tell() > min(info.file_size, limits.max_bytes):
                raise LimitError(f"expected {info.file_size:,} bytes in a zip member, got more")
    content.seek(0)
    return content
