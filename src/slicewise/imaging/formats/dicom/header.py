"""What a DICOM file says of itself and of its frames before its pixels are decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from pydicom import uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import VR

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.decoding import decoding, quiet
from slicewise.imaging.formats.dicom.dataset import load_header
from slicewise.imaging.formats.dicom.frame import FrameHeader, frame_count, number_in, text_in
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Orientation, Position

Value = tuple[float | str, ...] | None
"""The values of an attribute; None where it is absent, empty or cannot be read."""


def _tag(keyword: str) -> BaseTag:
    return Tag(tag_for_keyword(keyword) or 0)


_PLACES = {
    "frame_of_reference": "FrameOfReferenceUID",
    "modality": "Modality",
    "spacing": "PixelMeasuresSequence.PixelSpacing PixelSpacing",
    "image_type": "MRImageFrameTypeSequence.FrameType ImageType",
    "component": "MRImageFrameTypeSequence.ComplexImageComponent ComplexImageComponent",
    "echo_time": "MREchoSequence.EffectiveEchoTime EchoTime",
    "echo_number": "EchoNumbers",
    "stack": "FrameContentSequence.StackID",
    "time": "FrameContentSequence.TemporalPositionIndex TemporalPositionIdentifier",
    "b_value": "MRDiffusionSequence.DiffusionBValue DiffusionBValue",
    "inversion_time": "MRModifierSequence.InversionTimes InversionTime",
    "trigger_time": "CardiacSynchronizationSequence.NominalCardiacTriggerDelayTime TriggerTime",
    "flip_angle": "MRTimingAndRelatedParametersSequence.FlipAngle FlipAngle",
    "repetition_time": "MRTimingAndRelatedParametersSequence.RepetitionTime RepetitionTime",
    "acquisition": "FrameContentSequence.FrameAcquisitionNumber AcquisitionNumber",
    "dimensions": "FrameContentSequence.DimensionIndexValues",
    "location": "SliceLocation FrameContentSequence.InStackPositionNumber",
}
"""Where each trait stands: in a functional group (PS3.3 C.7.6.16), else at the top."""
_FOUND_AT = [
    [(group, _tag(keyword)) for group, _, keyword in (p.rpartition(".") for p in text.split())]
    for text in _PLACES.values()
]
_FOUND_AT_TOP = [[place for place in places if not place[0]] for places in _FOUND_AT]
_PERSON = ("PatientID", "PatientName", "PatientBirthDate")
_HEADER_TAGS = [
    *map(_tag, _PERSON),
    *map(_tag, ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "InstanceNumber")),
    *map(_tag, ("Rows", "Columns", "NumberOfFrames", "SpecificCharacterSet", "SOPClassUID")),
    *map(_tag, ("ImagePositionPatient", "ImageOrientationPatient")),
    *map(_tag, ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")),
    *(tag for places in _FOUND_AT_TOP for _, tag in places),
]
_IMAGE_TYPE = list(_PLACES).index("image_type")
_NUMERIC = {VR.DS, VR.IS, VR.FD, VR.FL, VR.US, VR.UL, VR.SS, VR.SL}
_LONGEST = 1024  # bytes of a value that is looked at
_NO_SLICE = {
    "MOSAIC": "a Siemens mosaic of many slices in one image",
    **dict.fromkeys(("SCREEN SAVE", "SCREENSAVE", "SCREENSHOT"), "a saved screen"),
}


class Traits(NamedTuple):
    """What may tell one slice of a series from another, by attributes of `_PLACES`."""

    frame_of_reference: Value
    modality: Value
    spacing: Value  # mm
    image_type: Value
    component: Value
    echo_time: Value  # ms
    echo_number: Value
    stack: Value
    time: Value  # temporal position, counted
    b_value: Value
    inversion_time: Value
    trigger_time: Value
    flip_angle: Value
    repetition_time: Value
    acquisition: Value
    dimensions: Value
    location: Value  # along the normal: mm, or counted


@dataclass(frozen=True, slots=True)
class FramePlace:
    """Where one frame lies, and what else it says of itself; None where it does not say."""

    position: Position | None  # Image Position (Patient) (0020,0032), mm
    orientation: Orientation | None  # Image Orientation (Patient) (0020,0037)
    traits: Traits


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a file is of, to tell persons apart and for nothing else; empty where not said."""

    id: str = field(repr=False)
    name: str = field(repr=False)
    birth_date: str = field(repr=False)

    def may_be(self, other: Person) -> bool:
        """Whether nothing that both say of themselves, beside an id, speaks against it."""
        said = (self.name, other.name), (self.birth_date, other.birth_date)
        return all(one == another for one, another in said if one and another)

    def is_other(self, other: Person) -> bool:
        """Whether both say a name and a birth date, and neither is the same."""
        said = (self.name, other.name), (self.birth_date, other.birth_date)
        return all(one and another and one != another for one, another in said)


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What grouping needs of a file before its pixels are decoded; None where it does not say."""

    series_uid: str | None  # Series Instance UID (0020,000E)
    study_uid: str | None  # Study Instance UID (0020,000D)
    instance_uid: str | None  # SOP Instance UID (0008,0018)
    instance_number: int | None  # Instance Number (0020,0013)
    is_image: bool  # False for reports, presentation states and other objects without pixels
    person: Person
    size: tuple[int, int]  # rows and columns
    frames: tuple[FramePlace, ...]  # in stored order, at least one

    @property
    def pixels(self) -> int:
        """Of all frames together."""
        return len(self.frames) * self.size[0] * self.size[1]


@quiet()
def read_header(stream: BinaryIO, limits: Limits) -> DicomHeader:
    """Read what grouping needs, without the pixels.

    Raises:
        UnsupportedImageError: It says that it is no slice.
        LimitError: It declares more frames, or pixels, than the limits allow.
        InputError: It is broken, or too small.
    """
    dataset = load_header(stream, limits, _HEADER_TAGS)
    first = FrameHeader(dataset, 0)
    require_slices(first)
    count = max(1, frame_count(dataset))
    rows, columns = (int(number_in(dataset, keyword) or 0) for keyword in ("Rows", "Columns"))
    limits.check_stack(rows * columns * count, count)  # here, so that it costs its file alone
    if rows > 0 and columns > 0:
        limits.check_image(rows, columns, count)
    number = _value(_item(dataset, "InstanceNumber"))
    kind = text_in(dataset, "SOPClassUID") or "Image"
    return DicomHeader(
        series_uid=text_in(dataset, "SeriesInstanceUID"),
        study_uid=_stored_text(dataset, "StudyInstanceUID") or None,
        instance_uid=text_in(dataset, "SOPInstanceUID"),
        instance_number=int(number[0]) if number and isinstance(number[0], float) else None,
        is_image=rows > 0 or columns > 0 or "Image" in uid.UID(kind).name,
        person=_person(dataset),
        size=(rows, columns),
        frames=_frames(dataset, first, count),
    )


def require_slices(frame: FrameHeader) -> None:
    """Refuse an image whose Image Type (0008,0008) or Frame Type (0008,9007) says it is no slice.

    Raises:
        UnsupportedImageError: It is a Siemens mosaic, or a saved screen.
    """
    for place in _FOUND_AT[_IMAGE_TYPE]:
        for word in _value(frame.element(*place)) or ():
            if (what := _NO_SLICE.get(str(word).upper())) is not None:
                got = f"{what} (Image Type (0008,0008) is {str(word).upper()})"
                raise UnsupportedImageError(f"expected slices, got {got}")


def _frames(dataset: Dataset, first: FrameHeader, count: int) -> tuple[FramePlace, ...]:
    if not first.has_groups:
        return (_frame(first),) * count
    return tuple(_frame(FrameHeader(dataset, index)) for index in range(count))


def _frame(frame: FrameHeader) -> FramePlace:
    found = [_first(frame, at) for at in (_FOUND_AT if frame.has_groups else _FOUND_AT_TOP)]
    return FramePlace(frame.position(), frame.orientation(), Traits(*found))


def _first(frame: FrameHeader, places: Sequence[tuple[str, BaseTag]]) -> Value:
    for place in places:
        if (value := _value(frame.element(*place))) is not None:
            return value
    return None


def _person(dataset: Dataset) -> Person:
    identity, name, birth_date = (_stored_text(dataset, keyword) for keyword in _PERSON)
    return Person(identity, name.upper(), birth_date)


def _stored_text(dataset: Dataset, keyword: str) -> str:
    """An attribute to compare and not to show: its bytes, without padding; empty where absent."""
    element = _item(dataset, keyword)
    value = element.value if element is not None else None
    return value.decode("latin-1").strip(" \0^") if isinstance(value, bytes) else ""


def _item(dataset: Dataset, keyword: str) -> DataElement | RawDataElement | None:
    """An attribute as it is stored; None where it is absent or of no known representation."""
    with suppress(InputError), decoding(keyword):
        return dataset.get_item(keyword)
    return None


def _value(element: DataElement | RawDataElement | None) -> Value:
    if element is None:
        return None
    if not isinstance(element, RawDataElement):
        return _plain(element.value)
    if not element.value or len(element.value) > _LONGEST:
        return None
    how = element.is_implicit_VR, element.is_little_endian
    return _converted(int(element.tag), element.VR, element.value, *how)


@lru_cache(maxsize=4096)  # files of a series say mostly the same, and then share what they say
def _converted(tag: int, vr: str | None, value: bytes, implicit: bool, little: bool) -> Value:
    raw = RawDataElement(Tag(tag), vr, len(value), value, 0, implicit, little)
    try:
        with decoding("attribute"):
            element = convert_raw_data_element(raw)
            found = _plain(element.value)
    except InputError:
        return None
    is_text = any(isinstance(part, str) for part in found or ())
    return None if is_text and element.VR in _NUMERIC else found


def _plain(value: object) -> Value:
    """Numbers as float, texts without the spaces round them; None for anything else."""
    parts = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    plain: list[float | str] = []
    for part in parts:
        if isinstance(part, str):
            plain.append(part.strip())
        elif isinstance(part, int | float) and math.isfinite(part):
            plain.append(float(part))
        else:
            return None
    return tuple(plain) if any(part != "" for part in plain) else None
