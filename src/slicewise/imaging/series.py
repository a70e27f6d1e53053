"""What one place holds, a folder, a zip or some files: pictures at once, DICOM files by series.

The DICOM and NIfTI readers are imported when the first such file is met, so that a picture is
answered without waiting for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.discovery import Skip, ignore_skip, is_bystander
from slicewise.imaging.entry import Entry
from slicewise.imaging.formats.archive import ends_as_zip, open_archive
from slicewise.imaging.formats.content import FORMATS, Content, content_of, unknown_content
from slicewise.imaging.formats.decoding import naming
from slicewise.imaging.formats.neuroimaging import pair_of
from slicewise.imaging.formats.raster.picture import read_raster
from slicewise.imaging.geometry import plane_of
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Failure, Series, Slice, failure_of
from slicewise.imaging.upright import upright

if TYPE_CHECKING:
    from slicewise.imaging.grouping.attributes import DicomFile

Answer = Series | Failure


@dataclass(slots=True)
class Gathering:
    """What one place holds: pictures are given at once, DICOM files wait for their series.

    Args:
        place: The folder or zip that is searched; None for files that were named one by one. Text
            and programs beside images are no failures in a searched place.
        skip: Is told of every file that is left out there.
    """

    place: str | None
    limits: Limits
    skip: Skip = ignore_skip
    dicom: list[DicomFile] = field(default_factory=list)
    pairs: set[tuple[str, str] | None] = field(default_factory=set)  # of which a half was met

    def read(self, entry: Entry | Failure) -> Iterator[Answer]:
        """Answer a picture, a volume or a zip; keep a DICOM file for `read_series`."""
        if isinstance(entry, Failure):
            yield entry
            return
        answer: Answer | Entry | None
        try:
            with naming(entry.source):
                answer = self._take(entry)
        except InputError as error:
            answer = failure_of(entry.source, error)
        if isinstance(answer, Entry):
            yield from _read_zip(answer, self.limits, self.skip)
        elif answer is not None:
            yield answer

    def read_series(self) -> Iterator[Answer]:
        """Decode the DICOM files kept so far, one series after another."""
        if self.dicom:
            from slicewise.imaging.grouping.dicom_series import read_dicom_series

            yield from read_dicom_series(self.dicom, self.place, self.limits, decode)

    def _take(self, entry: Entry) -> Series | Entry | None:
        """The series of a picture; the entry of a zip; None for DICOM (kept) and bystanders."""
        if self.place is not None and is_bystander(entry):
            self.skip(entry.source)
            return None
        if self.place is not None and self._is_told(entry):
            return None
        content = content_in(entry, self.limits)
        if content == "ZIP":
            return entry
        if content != "DICOM":
            return _single(entry, content, self.limits)
        from slicewise.imaging.formats.dicom.header import read_header
        from slicewise.imaging.grouping.attributes import DicomFile

        with entry.open() as stream:
            header = read_header(stream, self.limits)
        if header.is_image or self.place is None:
            self.dicom.append(DicomFile(entry, header))
        else:  # a report or a directory, as they lie beside images on a disc
            self.skip(entry.source)
        return None

    def _is_told(self, entry: Entry) -> bool:
        """Whether a file is the other half of a pair that has been answered, and nothing more."""
        pair = pair_of(entry.source)
        told = pair in self.pairs
        self.pairs.add(pair)
        return pair is not None and told and content_of(entry.head()) is None


def _read_zip(entry: Entry, limits: Limits, skip: Skip) -> Iterator[Answer]:
    try:
        with open_archive(entry, limits, skip) as members:
            yield from read_place(members, entry.source, limits, skip)
    except InputError as error:
        yield failure_of(entry.source, error)


def read_place(
    entries: Iterable[Entry | Failure], place: str, limits: Limits, skip: Skip = ignore_skip
) -> Iterator[Answer]:
    """Read all that a folder or zip holds; `skip` is told of every file that is left out.

    Yields:
        A series, or the failure of one input; a failure of the place where it holds no image.
    """
    gathering, empty = Gathering(place, limits, skip), True
    answers = chain.from_iterable(map(gathering.read, entries))
    for answer in chain(answers, gathering.read_series()):
        empty = False
        yield answer
    if empty:
        yield Failure(place, f"expected at least one image, got none; an image is {FORMATS}")


def _single(entry: Entry, content: Content, limits: Limits) -> Series:
    """The series of a picture or of a NIfTI volume."""
    slices = decode(entry, content, limits)
    is_volume = content == "NIFTI" and len(slices) > 1
    plane = plane_of(slices[0].orientation)
    return Series(slices, entry.source, is_volume=is_volume, plane=plane)


def content_in(entry: Entry, limits: Limits) -> Content:
    """What a file holds, by its first bytes.

    Raises:
        LimitError: It has too many bytes.
        InputError: It is no image, or a zip in a zip.
    """
    limits.check_bytes(entry.size)
    head = entry.head()
    content = content_of(head)
    if content is None and not entry.is_member and ends_as_zip(entry):
        content = "ZIP"
    if content is None:
        raise unknown_content(head, entry.source)
    if content == "ZIP" and entry.is_member:
        raise UnsupportedImageError("expected an image in the zip, got another zip; unpack it")
    return content


def decode(entry: Entry, content: Content, limits: Limits, *, labels: bool = False) -> list[Slice]:
    """The slices of one file, in stored order, upright; `labels` are not interpolated.

    Raises:
        InputError: It cannot be read.
    """
    return upright(_stored(entry, content, limits), limits, labels=labels)


def _stored(entry: Entry, content: Content, limits: Limits) -> list[Slice]:
    with entry.open() as stream:
        if content == "DICOM":
            from slicewise.imaging.formats.dicom.image import read_dicom

            return read_dicom(stream, entry.source, limits)
        if content == "NIFTI":
            from slicewise.imaging.formats.nifti.volume import read_nifti

            return read_nifti(stream, entry.source, limits)
        if content == "ZIP":
            raise InputError("expected an image, got a zip")
        return read_raster(stream, content, entry.source, limits)
