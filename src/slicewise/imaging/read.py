"""The front door: any path, folder, archive or bytes to slices.

The DICOM and NIfTI readers are imported when the first such file is met, so that a picture is
answered without waiting for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.archive import open_archive
from slicewise.imaging.content import Content, content_of, unknown_content
from slicewise.imaging.decoding import naming
from slicewise.imaging.entry import Entry, bytes_entry, file_entry
from slicewise.imaging.folder import entry_or_failure, is_bystander, is_folder, walk
from slicewise.imaging.limits import DEFAULT_LIMITS, Limits
from slicewise.imaging.raster import read_raster
from slicewise.imaging.series import plane_of, split_series
from slicewise.imaging.slice import Failure, Series, Slice

Answer = Series | Failure

_INDEX = re.compile(r"#(\d+)$")


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
    named = _Gathering(None, limits)
    for path in map(Path, paths):
        if is_folder(path):
            yield from _read_place(walk(path), str(path), limits)
            continue
        entry = entry_or_failure(path)
        if isinstance(entry, Failure):
            yield entry
        else:
            yield from named.read(entry)
    yield from named.read_series()


def read_entries(
    entries: Iterable[Entry], limits: Limits = DEFAULT_LIMITS
) -> Iterator[Series | Failure]:
    """Like `read_inputs`, for inputs that are open already, such as bytes in memory.

    Args:
        entries: Files and zips by name.
        limits: What is refused before decoding.
    """
    named = _Gathering(None, limits)
    for entry in entries:
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
        content = _content(entry, limits)
        if content != "ZIP":
            return _decode(entry, content, limits)
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


@dataclass(frozen=True, slots=True)
class _DicomFile:
    entry: Entry
    instance: str
    instance_number: int | None
    frames: int
    pixels: int


@dataclass(slots=True)
class _Gathering:
    """What one place holds: pictures are given at once, DICOM files wait for their series.

    Args:
        place: The folder or zip that is searched; None for files that were named one by one. Text
            beside images is no failure in a searched place.
        limits: What is refused before decoding.
    """

    place: str | None
    limits: Limits
    by_series: dict[str, list[_DicomFile]] = field(default_factory=dict)

    def read(self, entry: Entry) -> Iterator[Answer]:
        """Answer a picture, a volume or a zip; keep a DICOM file for `read_series`."""
        answer: Answer | Entry | None
        try:
            with naming(entry.source):
                answer = self._take(entry)
        except InputError as error:
            answer = _failure(entry.source, error)
        if isinstance(answer, Entry):
            yield from _read_zip(answer, self.limits)
        elif answer is not None:
            yield answer

    def read_series(self) -> Iterator[Answer]:
        """Decode the DICOM files kept so far, one series after another."""
        several = sum(_count(files) > 1 for files in self.by_series.values()) > 1
        for index, files in enumerate(self.by_series.values(), start=1):
            label = f" [series {index}]" if several else ""
            yield from _read_series(files, self._name(files, label), self.limits)

    def _name(self, files: list[_DicomFile], label: str) -> str:
        """What to call a series: its one file, or the place, or the first of the files named."""
        first = files[0].entry.source
        count = _count(files)
        if count == 1:
            return first
        if self.place is None:
            return f"{first} (+{count - 1} more)"
        return self.place + label

    def _take(self, entry: Entry) -> Series | Entry | None:
        """The series of a picture; the entry of a zip; None for DICOM (kept) and bystanders."""
        if self.place is not None and is_bystander(entry):
            return None
        content = _content(entry, self.limits)
        if content == "ZIP":
            return entry
        if content != "DICOM":
            return _single(entry, content, self.limits)
        self._keep(entry)
        return None

    def _keep(self, entry: Entry) -> None:
        from slicewise.imaging.dicom import read_header

        with entry.open() as stream:
            header = read_header(stream, self.limits)
        instance, number = header.instance_uid or entry.source, header.instance_number
        file = _DicomFile(entry, instance, number, header.frames, header.pixels)
        self.by_series.setdefault(header.series_uid or entry.source, []).append(file)


def _read_zip(entry: Entry, limits: Limits) -> Iterator[Answer]:
    try:
        with open_archive(entry, limits) as members:
            yield from _read_place(members, entry.source, limits)
    except InputError as error:
        yield _failure(entry.source, error)


def _read_place(entries: Iterable[Entry | Failure], place: str, limits: Limits) -> Iterator[Answer]:
    gathering = _Gathering(place, limits)
    empty = True
    for answer in _answers(entries, gathering):
        empty = False
        yield answer
    if empty:
        yield Failure(place, "expected at least one image, got none")


def _answers(entries: Iterable[Entry | Failure], gathering: _Gathering) -> Iterator[Answer]:
    for entry in entries:
        if isinstance(entry, Failure):
            yield entry
        else:
            yield from gathering.read(entry)
    yield from gathering.read_series()


def _read_series(files: list[_DicomFile], source: str, limits: Limits) -> Iterator[Answer]:
    try:
        with naming(source):
            limits.check_stack(sum(f.pixels for f in files), sum(f.frames for f in files))
    except InputError as error:
        yield _failure(source, error)
        return
    slices: list[Slice] = []
    read: dict[str, str] = {}
    for file in sorted(files, key=_acquisition_order):
        try:
            with naming(file.entry.source):
                _require_new(file, read)
                slices += _decode(file.entry, "DICOM", limits)
                read[file.instance] = file.entry.source
        except InputError as error:
            yield _failure(file.entry.source, error)
    if slices:
        yield from split_series(slices, source)


def _require_new(file: _DicomFile, read: Mapping[str, str]) -> None:
    """Refuse an instance that was read: counted twice, it would weigh twice in a study."""
    if file.instance in read:
        raise InputError(f"expected each instance once, got the same as {read[file.instance]}")


def _count(files: list[_DicomFile]) -> int:
    return len({file.instance for file in files})


def _acquisition_order(file: _DicomFile) -> tuple[bool, int]:
    """By instance number; files without one come last, in the order they were met."""
    return file.instance_number is None, file.instance_number or 0


def _single(entry: Entry, content: Content, limits: Limits) -> Series:
    """The series of a picture or of a NIfTI volume."""
    slices = _decode(entry, content, limits)
    is_volume = content == "NIFTI" and len(slices) > 1
    plane = plane_of(slices[0].orientation)
    return Series(slices, entry.source, is_volume=is_volume, plane=plane)


def _zip_series(entry: Entry, limits: Limits) -> Iterator[Series]:
    with open_archive(entry, limits) as members:
        for answer in _read_place(members, entry.source, limits):
            if isinstance(answer, Failure):
                raise InputError(f"{answer.source}: {answer.error}")
            yield answer


def _entry_of(path_or_bytes: str | Path | bytes, source: str) -> Entry:
    if isinstance(path_or_bytes, bytes):
        return bytes_entry(path_or_bytes, source)
    path = Path(path_or_bytes)
    if path.is_dir():
        raise InputError("expected a file, got a folder")
    return replace(file_entry(path), source=source)


def _content(entry: Entry, limits: Limits) -> Content:
    limits.check_bytes(entry.size)
    head = entry.head()
    content = content_of(head)
    if content is None:
        raise unknown_content(head)
    if content == "ZIP" and entry.is_member:
        raise UnsupportedImageError("expected an image in the zip, got another zip")
    return content


def _decode(entry: Entry, content: Content, limits: Limits) -> list[Slice]:
    with entry.open() as stream:
        if content == "DICOM":
            from slicewise.imaging.dicom import read_dicom

            return read_dicom(stream, entry.source, limits)
        if content == "NIFTI":
            from slicewise.imaging.nifti import read_nifti

            return read_nifti(stream, entry.source, limits)
        if content == "ZIP":
            raise InputError("expected an image, got a zip")
        return read_raster(stream, content, entry.source, limits)


def _failure(source: str, error: InputError) -> Failure:
    return Failure(source, str(error).removeprefix(f"{source}: "))
