"""Zip archives as entries that are read in memory; nothing is ever written to disk."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PureWindowsPath
from typing import BinaryIO

from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.discovery import Skip, ignore_skip, is_foreign
from slicewise.imaging.entry import Entry
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Failure

_ENCRYPTED, _UTF8, _DOS_FOLDER = 0x1, 0x800, 0x10
_DIRECTORY, _END_RECORD, _END_BYTES, _COMMENT_BYTES = b"PK\x01\x02", b"PK\x05\x06", 22, 0xFFFF
_ZIP64_RECORD, _ZIP64_LOCATOR, _ZIP64_BYTES = b"PK\x06\x06", b"PK\x06\x07", 56 + 20
_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES",
}  # fmt: skip
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_BYTES_PER_RECORD = 46 + 512  # of the directory: fixed part, then name and extra fields
_LONGEST_SHOWN = 200
_CHUNK = 1 << 20


@contextmanager
def open_archive(
    archive: Entry, limits: Limits, skip: Skip = ignore_skip
) -> Iterator[list[Entry | Failure]]:
    """The members of a zip, sorted by name; entries stay readable while the context is open.

    Folders are left out; so are hidden files, what macOS adds and what is clearly no image, of
    which `skip` is told. A member that may not be read is a failure beside the others: encrypted,
    too large, or named as if it lay outside the archive.

    Raises:
        LimitError: The archive has too many members or expands to too much.
        InputError: It is no readable zip, or nothing that could be an image is in it.
    """
    with archive.open() as stream:
        readable = _checked(stream, limits)
        with decoding("zip archive"):
            opened = zipfile.ZipFile(readable)
            infos = [info for info in opened.infolist() if not _is_folder(info)]
        _check_expansion(infos, limits)
        infos.sort(key=_name_of)
        members: list[Entry | Failure] = []
        latest = _Latest(opened, limits)
        for info in infos:
            name = _name_of(info)
            if is_hidden(name) or is_foreign(name):
                skip(_source(archive.source, name))
            else:
                members.append(_member(latest, info, archive.source, limits))
        yield members


def ends_as_zip(archive: Entry) -> bool:
    """Whether a file that starts otherwise is a zip, such as one that unpacks itself.

    Raises:
        InputError: It cannot be opened.
    """
    with archive.open() as stream:
        return zipfile.is_zipfile(stream)


def is_hidden(name: str) -> bool:
    """Whether a member is a dotfile or lies in a hidden or `__MACOSX` folder."""
    parts = PureWindowsPath(name).parts  # takes both kinds of slash, as the names in zips do
    return any(part == "__MACOSX" or (part[0] == "." and part != "..") for part in parts)


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """By its name, or by what MS-DOS or Unix said of it."""
    marked = info.external_attr & _DOS_FOLDER or stat.S_ISDIR(info.external_attr >> 16)
    return info.filename.endswith(("/", "\\")) or (info.file_size == 0 and bool(marked))


def _name_of(info: zipfile.ZipInfo) -> str:
    """The name of a member; many programs write UTF-8 and do not say so."""
    with suppress(UnicodeError):
        if not info.flag_bits & _UTF8:
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _checked(stream: BinaryIO, limits: Limits) -> BinaryIO:
    """The zip, once it is sure, by its end record, that its directory has few enough members.

    The last record that a directory stands before is the right one (APPNOTE.TXT 4.3.16): a comment
    may hold what looks like another, and is cut off then.
    """
    size = stream.seek(0, io.SEEK_END)
    start = stream.seek(max(0, size - _END_BYTES - _COMMENT_BYTES))
    tail = stream.read()
    at = last = tail.rfind(_END_RECORD)
    if last < 0:
        raise InputError("expected a complete zip, got one without its directory (truncated)")
    empty = False
    while at >= 0:
        count, directory, between = _end_record(stream, tail, start, at)
        first = start + at - between - directory
        empty = empty or count == directory == 0
        stream.seek(max(0, first))
        if first >= 0 and stream.read(4) == _DIRECTORY:
            _check_count(max(count, directory // _BYTES_PER_RECORD), limits)
            stream.seek(0)
            if at == last:
                return stream
            return io.BytesIO(stream.read(start + at + _END_BYTES - 2) + bytes(2))
        at = tail.rfind(_END_RECORD, 0, at)
    if int.from_bytes(tail[last + 4 : last + 6], "little") not in (0, 0xFFFF):
        raise UnsupportedImageError("expected a whole zip, got the last part of a split one")
    if not empty:
        raise InputError("expected a zip, got one whose directory is not before its end (broken)")
    return stream


def _end_record(stream: BinaryIO, tail: bytes, start: int, at: int) -> tuple[int, int, int]:
    """Members, bytes of the directory, and bytes that stand between it and the end record."""
    stream.seek(max(0, start + at - _ZIP64_BYTES))
    record = stream.read(_ZIP64_BYTES)
    if record[-20:-16] == _ZIP64_LOCATOR:
        if not record.startswith(_ZIP64_RECORD):  # it may be anywhere, and say anything
            raise InputError("expected a zip64 record before the end of the zip, got none there")
        count, directory = struct.unpack("<32xQQ", record[:48])
        return count, directory, _ZIP64_BYTES
    count, directory = struct.unpack_from("<HI", tail.ljust(at + _END_BYTES, b"\0"), at + 10)
    return count, directory, 0


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
    latest: _Latest, info: zipfile.ZipInfo, archive: str, limits: Limits
) -> Entry | Failure:
    source = _source(archive, _name_of(info))
    try:
        _check_member(info, limits)
    except InputError as error:
        return Failure(source, str(error))
    return Entry(source, info.file_size, lambda: latest.open(info), is_member=True)


def _source(archive: str, name: str) -> str:
    """What to call a member: its name may hold what its maker liked, and is shown anywhere."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return f"{archive}!{shown.replace('!', '_').replace('#', '_')[-_LONGEST_SHOWN:]}"


def _check_member(info: zipfile.ZipInfo, limits: Limits) -> None:
    name = info.filename
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or name.startswith("/") or ".." in windows.parts:
        raise InputError("expected a name inside the archive, got one that points outside it")
    if info.flag_bits & _ENCRYPTED:
        raise UnsupportedImageError("expected a readable zip member, got an encrypted one")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UnsupportedImageError("expected a file in the zip, got a link")
    if info.compress_type not in _READ:
        got = f"{_METHODS.get(info.compress_type, 'an unknown method')} ({info.compress_type})"
        raise UnsupportedImageError(
            f"expected a zip member compressed with Deflate, BZip2 or LZMA, got {got}; "
            "unpack it, or make the zip again with Deflate"
        )
    limits.check_bytes(info.file_size)


class _Latest:
    """Members in memory; the latest is kept, because a reader looks at its beginning first."""

    def __init__(self, opened: zipfile.ZipFile, limits: Limits) -> None:
        self._opened, self._limits = opened, limits
        self._kept: tuple[zipfile.ZipInfo, bytes] | None = None

    def open(self, info: zipfile.ZipInfo) -> BinaryIO:
        """A member from its start.

        Raises:
            InputError: It cannot be expanded, or to more than its declared size.
        """
        kept = self._kept
        if kept is None or kept[0] is not info:
            self._kept = None
            self._kept = kept = info, self._expand(info)
        return io.BytesIO(kept[1])

    def _expand(self, info: zipfile.ZipInfo) -> bytes:
        """The declared size is not believed: too much is counted as it comes."""
        content = io.BytesIO()
        with decoding("zip member"), self._opened.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                content.write(chunk)
                if content.tell() > min(info.file_size, self._limits.max_bytes):
                    raise LimitError(f"expected {info.file_size:,} bytes in a zip member, got more")
        return content.getvalue()
