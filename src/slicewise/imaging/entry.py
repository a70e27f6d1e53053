"""A named input that can be opened as often as needed: a file, an archive member, or bytes."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from slicewise.errors import InputError
from slicewise.imaging.formats.content import HEAD_BYTES


@dataclass(frozen=True, slots=True)
class Entry:
    """An input before anything of it is read."""

    source: str
    size: int  # bytes
    open: Callable[[], BinaryIO]  # gives its bytes from the start, seekable; the caller closes them
    is_member: bool = False

    def head(self) -> bytes:
        """Its first bytes, enough to tell its format.

        Raises:
            InputError: It cannot be opened.
        """
        with self.open() as stream:
            return stream.read(HEAD_BYTES)


def file_entry(path: Path) -> Entry:
    """The entry of a regular file.

    Raises:
        InputError: There is no such file, it is not a regular file, or it may not be read.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("No such file or folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"expected a file, got {_reason(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError("expected a regular file, got a device, pipe or socket")
    return Entry(str(path), status.st_size, lambda: _open(path))


def bytes_entry(data: bytes, name: str) -> Entry:
    """The entry of bytes that are already in memory."""
    return Entry(name, len(data), lambda: io.BytesIO(data))


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"expected a readable file, got {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"the system's answer '{error.strerror}'"
    return "a path that the system refuses"
