"""The front door: any path, folder, archive or bytes to slices.

The DICOM and NIfTI readers are imported when the first such file is met, so that a picture is
answered without waiting for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.archive import open_archive
from slicewise.imaging.content import Content, content_of, unknown_content
from slicewise.imaging.decoding import naming
from slicewise.imaging.entry import Entry, bytes_entry, file_entry
from slicewise.imaging.folder import is_bystander, is_foreign, walk
from slicewise.imaging.limits import DEFAULT_LIMITS, Limits
from slicewise.imaging.raster import read_raster
from slicewise.imaging.series import plane_of, split_series
from slicewise.imaging.slice import Failure, Series, Slice

Answer = Series | Failure

_INDEX = re.compile(r"#(\d+)$")
_NO_FOLDER = "expected a file, got a folder"


def read_inputs(
    paths: Iterable[str | Path], limits: Limits = DEFAULT_LIMITS
) -> Iterator[Series | Failure]:
    """Read files, folders and zips one after another; what cannot be read is a failure beside them.

    A picture is a series of one. DICOM files are grouped by series and orientation within one
    folder or zip, or among the files named, and come after the pictures of the same place, because
    a series is complete only when all its files have been seen.

    Args:
        paths: Files, folders (searched to any depth, hidden and clearly foreign files skipped) and
            zips.
        limits: What is refused before decoding.

    Yields:
        A series, or the failure of one input. Series are decoded one at a time, when asked for.
    """
    named = _Gathering("named files", limits, searched=False)
    for path in map(Path, paths):
        if path.is_dir():
            yield from _read_folder(path, limits)
        else:
            try:
                with naming(str(path)):
                    entry = file_entry(path)
            except InputError as error:
                yield _failure(str(path), error)
                continue
            yield from named.read(entry)
    yield from named.read_series()


def read_slices(
    path_or_bytes: str | Path | bytes, name: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> list[Slice]:
    """Read one input and raise what is wrong with it.

    Args:
        path_or_bytes: A file, or the bytes of one. A zip gives the slices of all its members.
        name: What to call it; the path, or `bytes`, where none is given.
        limits: What is refused before decoding.

    Returns:
        Its slices in stored order: frames of a DICOM object, pages of a TIFF, axial slices of a
        NIfTI volume from below. For a zip, in the order in which `read_inputs` gives them.

    Raises:
        InputError: It cannot be read, or one member of a zip cannot.
    """
    source = name or ("bytes" if isinstance(path_or_bytes, bytes) else str(path_or_bytes))
    with naming(source):
        entry = _entry_of(path_or_bytes, source)
        if _content(entry, limits) != "ZIP":
            return _decode(entry, limits)
        return [slice_ for series in _zip_series(entry, limits) for slice_ in series.slices]


def read_slice(reference: str) -> Slice:
    """Read the slice that a manifest's path names.

    Args:
        reference: A file of one slice, or `file#index` for one slice of several, from zero, in the
            order of `read_slices`.

    Raises:
        InputError: The file cannot be read, has several slices and no index is given, or has fewer.
    """
    match = None if Path(reference).exists() else _INDEX.search(reference)
    slices = read_slices(reference[: match.start()] if match else reference)
    if match is None:
        if len(slices) > 1:
            raise InputError(f"{reference}: expected one slice, got {len(slices)}; add #index")
        return slices[0]
    if int(match[1]) >= len(slices):
        raise InputError(f"{reference}: expected an index below {len(slices)}, got {match[1]}")
    return slices[int(match[1])]
