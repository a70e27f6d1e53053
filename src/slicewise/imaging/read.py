"""The front door: any path, folder, archive or bytes to slices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from slicewise.errors import InputError, InternalError
from slicewise.imaging.discovery import Skip, entry_or_failure, ignore_skip, is_folder, walk
from slicewise.imaging.entry import Entry, bytes_entry, file_entry
from slicewise.imaging.formats.archive import open_archive
from slicewise.imaging.formats.decoding import naming
from slicewise.imaging.limits import DEFAULT_LIMITS, Limits
from slicewise.imaging.series import Gathering, content_in, decode, read_place
from slicewise.imaging.slice import Failure, InternalFailure, Series, Slice

_INDEX = re.compile(r"#(\d+)$")


def read_inputs(
    inputs: Iterable[str | Path | Entry],
    limits: Limits = DEFAULT_LIMITS,
    leave_out: Path | None = None,
    skip: Skip = ignore_skip,
) -> Iterator[Series | Failure]:
    """Read files, folders and zips one after another; what cannot be read is a failure beside them.

    A picture is a series of one. DICOM files are grouped by series and orientation within one
    folder or zip, or among the files named, and come after the pictures of the same place, because
    a series is complete only when all its files have been seen.

    Args:
        inputs: Files, folders (searched to any depth, hidden and clearly foreign files skipped)
            and zips, or what is open already, such as bytes in memory.
        leave_out: A folder that is not searched, as `walk` takes it.
        skip: Is told of every file that is left out of a folder or zip, being no image.

    Yields:
        A series, or the failure of one input. Series are decoded one at a time, when asked for.
    """
    named = Gathering(None, limits, skip)
    for given in inputs:
        if not isinstance(given, Entry) and is_folder(Path(given)):
            found = walk(Path(given), leave_out, skip)
            yield from read_place(found, str(Path(given)), limits, skip)
            continue
        entry = given if isinstance(given, Entry) else entry_or_failure(Path(given))
        yield from named.read(entry)
    yield from named.read_series()


def read_slices(
    path_or_bytes: str | Path | bytes,
    name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    labels: bool = False,
) -> list[Slice]:
    """Read one input and raise what is wrong with it.

    Args:
        path_or_bytes: A file, or the bytes of one. A zip gives the slices of all its members.
        name: What to call it; the path, or `bytes`, where none is given.
        labels: Whether one file holds labels, as a mask does, which are never interpolated.

    Returns:
        Its slices in stored order: frames of a DICOM object, pages of a TIFF; those of a NIfTI
        volume as a DICOM series is ordered. For a zip, in the order in which `read_inputs` gives
        them.

    Raises:
        InputError: It cannot be read, or one member of a zip cannot.
    """
    source = name or ("bytes" if isinstance(path_or_bytes, bytes) else str(path_or_bytes))
    with naming(source):
        if isinstance(path_or_bytes, bytes):
            entry = bytes_entry(path_or_bytes, source)
        elif Path(path_or_bytes).is_dir():
            raise InputError("expected a file, got a folder")
        else:
            entry = replace(file_entry(Path(path_or_bytes)), source=source)
        content = content_in(entry, limits)
        if content != "ZIP":
            return decode(entry, content, limits, labels=labels)
        slices: list[Slice] = []
        with open_archive(entry, limits) as members:
            for answer in read_place(members, source, limits):
                if isinstance(answer, Failure):
                    kind = InternalError if isinstance(answer, InternalFailure) else InputError
                    raise kind(f"{answer.source}: {answer.error}")
                slices += answer.slices
        return slices


def read_slice(reference: str, *, labels: bool = False) -> Slice:
    """Read the slice that a manifest's path names.

    Args:
        reference: A file of one slice, or `file#index` for one slice of several, from zero, in the
            order of `read_slices`.
        labels: As `read_slices` takes it.

    Raises:
        InputError: The file cannot be read, has several slices and no index is given, or has fewer.
    """
    path, index = file_and_index(reference)
    if index is None:
        alone = read_slices(reference, labels=labels)
        if len(alone) > 1:
            raise InputError(f"{reference}: expected one slice, got {len(alone)}; add #index")
        return alone[0]
    slices = _slices_of(path, _stamp(path), labels)
    if index >= len(slices):
        raise InputError(f"{reference}: expected an index below {len(slices)}, got {index}")
    return slices[index]


def file_and_index(reference: str) -> tuple[str, int | None]:
    """The file that a reference names, and which of its slices; None without an index.

    Args:
        reference: As `read_slice` takes it. A file that is itself called `name#1` is that file.
    """
    match = None if Path(reference).exists() else _INDEX.search(reference)
    return (reference, None) if match is None else (reference[: match.start()], int(match[1]))


@lru_cache(maxsize=1)  # a manifest names the slices of one file after another
def _slices_of(path: str, stamp: tuple[int, ...], labels: bool) -> tuple[Slice, ...]:
    """Slices of a file; decoded anew where its stamp is another."""
    return tuple(read_slices(path, labels=labels))


def _stamp(path: str) -> tuple[int, ...]:
    """What changes when a file does; nothing where there is none, which reading it will tell."""
    try:
        told = Path(path).stat()
    except OSError:
        return ()
    return told.st_mtime_ns, told.st_size, told.st_ino
