"""The DICOM files of one place to series, decoded one part of a series at a time."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import chain

from slicewise.errors import InputError
from slicewise.imaging.entry import Entry
from slicewise.imaging.formats.content import Content
from slicewise.imaging.formats.decoding import naming
from slicewise.imaging.grouping.attributes import DicomFile, Frame
from slicewise.imaging.grouping.parts import Part, by_person_and_study, ordered, parts_of
from slicewise.imaging.grouping.spacing import distance_notes
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Failure, Series, Slice, failure_of
from slicewise.text import counted

Decode = Callable[[Entry, Content, Limits], list[Slice]]


def read_dicom_series(
    files: Sequence[DicomFile], place: str | None, limits: Limits, decode: Decode
) -> Iterator[Series | Failure]:
    """Group files by patient, study and series, and decode one series after another.

    Args:
        files: All of one place, in the order in which they were met.
        place: What to call that place; None for files that were named one by one.
    """
    by_uid: dict[str, list[DicomFile]] = defaultdict(list)
    for file in files:
        by_uid[file.header.series_uid or file.entry.source].append(file)
    groups = list(chain.from_iterable(map(by_person_and_study, by_uid.values())))
    counts = [len(set(map(_instance, of_series))) for of_series, _ in groups]
    several = sum(count > 1 for count in counts) > 1
    for index, ((of_series, notes), count) in enumerate(zip(groups, counts, strict=True), start=1):
        name = of_series[0].entry.source  # of its one file, or the first of those named
        if count > 1 and place is None:
            name += f" (+{count - 1} more)"
        elif count > 1 and place is not None:
            name = f"{place} [series {index}]" if several else place
        yield from _read_series(of_series, name, notes, _Decoder(decode, limits))


class _Decoder:
    """Decodes a file once, and keeps of one with frames of several parts what is still needed."""

    def __init__(self, decode: Decode, limits: Limits) -> None:
        self.limits = limits
        self._decode = decode
        self._uses = Counter[DicomFile]()
        self._kept: dict[DicomFile, list[Slice]] = {}

    def expect(self, parts: Sequence[Part]) -> None:
        """Learn how often each file will be asked for."""
        for part in parts:
            self._uses.update({frame.file for frame in part.frames})

    def slices(self, file: DicomFile) -> list[Slice]:
        """Its slices in stored order; none where it has failed before.

        Raises:
            InputError: It cannot be read.
        """
        self._uses[file] -= 1
        slices = self._kept.pop(file, None)
        if self._uses[file] > 0:
            self._kept[file] = slices or []
        if slices is None:
            slices = self.decoded(file)
            if self._uses[file] > 0:
                self._kept[file] = slices
        return slices

    def decoded(self, file: DicomFile) -> list[Slice]:
        """Decode it, for once.

        Raises:
            InputError: It cannot be read.
        """
        with naming(file.entry.source):
            return self._decode(file.entry, "DICOM", self.limits)


def _read_series(
    files: Sequence[DicomFile], source: str, notes: tuple[str, ...], decoder: _Decoder
) -> Iterator[Series | Failure]:
    try:
        with naming(source):
            headers = [file.header for file in files]
            pixels, frames = sum(h.pixels for h in headers), sum(len(h.frames) for h in headers)
            decoder.limits.check_stack(pixels, frames)
            copies = _copies(files, decoder)
            parts = parts_of([file for file in files if file not in copies])
    except InputError as error:
        yield failure_of(source, error)
        return
    yield from copies.values()
    decoder.expect(parts)
    for part in parts:
        yield from _read_part(part, part.name(source), notes, decoder)


def _read_part(
    part: Part, source: str, notes: tuple[str, ...], decoder: _Decoder
) -> Iterator[Series | Failure]:
    try:
        with naming(source):
            yield from _answers_of(part, source, notes, decoder)
    except InputError as error:
        yield failure_of(source, error)


def _answers_of(
    part: Part, source: str, notes: tuple[str, ...], decoder: _Decoder
) -> Iterator[Series | Failure]:
    frames, how = ordered(part)
    decoded: dict[DicomFile, list[Slice]] = {}
    pixels = count = 0
    for file in dict.fromkeys(frame.file for frame in frames):
        try:
            found = decoder.slices(file)
            pixels, count = pixels + sum(one.pixels.size for one in found), count + len(found)
            decoder.limits.check_stack(pixels, count)  # upright ones may be more
            decoded[file] = found
        except InputError as error:
            yield failure_of(file.entry.source, error)
    read = [frame for frame in frames if frame.index < len(decoded.get(frame.file, ()))]
    if not read:
        return
    slices = [decoded[frame.file][frame.index] for frame in read]
    is_volume = part.is_stack and len(slices) > 1
    told = (*notes, *part.notes, *(how if len(slices) > 1 else ()), *_notes(part, read, slices))
    yield Series(slices, source, is_volume=is_volume, plane=part.plane, notes=told)


def _notes(part: Part, frames: Sequence[Frame], slices: Sequence[Slice]) -> Iterator[str]:
    """What is unusual of those slices of a part that could be read."""
    if kind := frames[0].kind:
        alone = "" if part.is_stack else ", answered slice by slice"
        yield f"{kind} by Image Type (0008,0008){alone}"
    read = Part(frames)
    if read.levels is not None and read.in_mm:
        by = "" if read.heights is not None else ", by Slice Location (0020,1041)"
        yield from (f"{note}{by}" for note in distance_notes(read.levels))
        shared = zip(read.levels.of, slices, strict=True)
        found = [(i, _pixels_hash([one])) for i, one in shared if read.levels.counts[i] > 1]
        if (equal := len(found) - len(set(found))) > 0:
            yield f"{counted(equal, 'slice')} with the position and the pixels of another"
    uids = Counter(file.header.instance_uid for file in {frame.file for frame in frames})
    if several := sum(count for uid, count in uids.items() if uid and count > 1):
        yield f"{several} files share a SOP Instance UID (0008,0018)"


def _copies(files: Sequence[DicomFile], decoder: _Decoder) -> dict[DicomFile, Failure]:
    """Files that are the same instance as one before them: in a study they would weigh twice.

    Where several files have one SOP Instance UID (0008,0018), position and pixels decide.
    """
    alike: dict[Hashable, list[DicomFile]] = defaultdict(list)
    for file in files:
        alike[_instance(file)].append(file)
    copies: dict[DicomFile, Failure] = {}
    for several in alike.values():
        first: dict[bytes, str] = {}
        for file in several if len(several) > 1 else ():
            try:
                found = _pixels_hash(decoder.decoded(file))
            except InputError:  # which is told when its part is read
                continue
            if found in first:
                error = f"expected each instance once, got a copy of {first[found]}"
                copies[file] = Failure(file.entry.source, error)
            first.setdefault(found, file.entry.source)
    return copies


def _instance(file: DicomFile) -> Hashable:
    """What only a copy of a file shares with it, beside the pixels."""
    header = file.header
    positions = tuple(frame.position for frame in header.frames)
    number = header.instance_number if None in positions else None  # then it is the only place
    return header.instance_uid or file.entry.source, positions, number


def _pixels_hash(slices: Sequence[Slice]) -> bytes:
    """SHA-256 of the sizes and pixels of slices."""
    found = hashlib.sha256()
    for slice_ in slices:
        found.update(repr(slice_.shape).encode())
        found.update(slice_.pixels.tobytes())
    return found.digest()
