"""What the slices of one DICOM series may differ in, and when that makes them two series.

Some differences always do. Others also occur within one stack: a scanner numbers every slice as an
acquisition of its own, or takes every other slice in a second one. These part a series only where
they explain why positions repeat.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from operator import attrgetter
from pathlib import PurePath

from slicewise.imaging.entry import Entry
from slicewise.imaging.formats.dicom.header import DicomHeader, FramePlace, Value
from slicewise.imaging.geometry import SAME_ORIENTATION, plane_of
from slicewise.imaging.slice import Orientation
from slicewise.imaging.upright import display_orientation

_CLOSE = 0.01  # of an echo time or a spacing: rounding, not another one
_DIMENSIONS = 6  # of a multi-frame object, more than any has
_COMPONENTS = {
    **{"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"},
    **{name.upper(): name for name in ("magnitude", "phase", "real", "imaginary")},
    "PHASE MAP": "phase",
}
_KINDS = {
    **dict.fromkeys(("LOCALIZER", "SCOUT"), "localizer"),
    **dict.fromkeys(("PROJECTION", "MIP", "MINIP", "MNIP", "MAX_IP", "MIN_IP"), "projection"),
    **dict.fromkeys(("MPR", "REFORMATTED"), "reformatted"),
    **dict.fromkeys(("WATER", "W"), "water"),
    **dict.fromkeys(("FAT", "F"), "fat"),
    **dict.fromkeys(("IN_PHASE", "IP"), "in phase"),
    **dict.fromkeys(("OUT_PHASE", "OPP_PHASE", "OP"), "out of phase"),
    **{"ADC": "adc", "FA": "fa", "TRACEW": "trace", "FIELD_MAP": "field map"},
}

_COMPONENT = "Image Type (0008,0008) or Complex Image Component (0008,9208)"


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """A file and what it says of itself."""

    entry: Entry
    header: DicomHeader


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice before it is decoded: a frame of a file, by its index as stored."""

    file: DicomFile
    index: int

    @property
    def place(self) -> FramePlace:
        """Where it lies."""
        return self.file.header.frames[self.index]

    @property
    def upright(self) -> tuple[Orientation | None, bool]:
        """Its orientation once it is upright, and whether rows and columns change places for it."""
        stored = self.place.orientation
        return (None, False) if stored is None else display_orientation(stored)

    @property
    def image_type(self) -> tuple[str, ...]:
        """Image Type (0008,0008) or Frame Type (0008,9007), in capitals."""
        return tuple(str(value).upper() for value in self.place.traits.image_type or ())

    @property
    def kind(self) -> str:
        """What its image type says it shows beside a plain slice; empty where that is nothing."""
        words = (word for text in self.image_type for word in (text, *re.split(r"[ _]", text)))
        return next((_KINDS[word] for word in words if word in _KINDS), "")

    @property
    def origin(self) -> str | None:
        """ORIGINAL or DERIVED, as the first value of its image type says."""
        first = self.image_type[0] if self.image_type else ""
        return first if first in ("ORIGINAL", "DERIVED") else None

    @property
    def component(self) -> str:
        """Which part of the complex image it is; magnitude where it does not say."""
        said = map(str, (*(self.place.traits.component or ()), *self.image_type[2:]))
        words = (text[0] if text[1:2] == "_" else text for text in said)  # as in M_FFE
        return next((_COMPONENTS[word] for word in words if word in _COMPONENTS), "magnitude")


class Rule(Enum):
    """When an attribute that differs parts a series."""

    ALWAYS = auto()
    FEW = auto()  # unless nearly every slice has its own, or where it explains repeated positions
    REPEATS = auto()  # where it explains repeated positions, or parts are even and all are not
    STACKS = auto()  # the same, and where there are no positions
    COUNTS = auto()  # as REPEATS, but not where the parts fill each other's gaps


@dataclass(frozen=True, slots=True)
class Attribute:
    """What slices may differ in.

    Args:
        tag: As notes name it.
        word: Parts are numbered by it, or named by a function of the value.
        value: Of a slice, None where it does not say; numbers where `within` is given.
        within: How far apart, in every number, two values are still the same.
    """

    tag: str
    word: str | Callable[..., str]
    rule: Rule
    value: Callable[[Frame], Hashable]
    within: float = 0.0


def _trait(name: str) -> Callable[[Frame], Value]:
    get = attrgetter(name)
    return lambda frame: get(frame.place.traits)


def _echo_time(frame: Frame) -> Value:
    return _logarithms(frame.place.traits.echo_time or ())


def _spacing(frame: Frame) -> Value:
    stored = _logarithms(frame.place.traits.spacing or ())
    return stored[::-1] if stored and frame.upright[1] else stored


def _logarithms(numbers: tuple[float | str, ...]) -> Value:
    """Of positive numbers, so that a share of them is a distance."""
    positive = [number for number in numbers if isinstance(number, float) and number > 0]
    return tuple(map(math.log, positive)) or None if len(positive) == len(numbers) else None


def _dimension(index: int, frame: Frame) -> Value:
    return (frame.place.traits.dimensions or ())[index : index + 1] or None


def _folder(frame: Frame) -> str:
    return str(PurePath(frame.file.entry.source).parent)


def _file(frame: Frame) -> str | None:
    """A file of several frames may be a stack of its own; one of a single frame is none."""
    return frame.file.entry.source if len(frame.file.header.frames) > 1 else None


def _size(frame: Frame) -> str | None:
    rows, columns = frame.file.header.size[:: -1 if frame.upright[1] else 1]
    return f"{rows} x {columns}" if rows and columns else None


def _orientation(frame: Frame) -> Orientation | str:
    return frame.upright[0] or "unknown plane"


def _origin_word(origin: str) -> str:
    return "" if origin == "ORIGINAL" else origin.lower()


def _plane(orientation: Orientation | str) -> str:
    return orientation if isinstance(orientation, str) else str(plane_of(orientation))


ATTRIBUTES = (
    Attribute("Modality (0008,0060)", "modality", Rule.ALWAYS, _trait("modality")),
    Attribute("Rows (0028,0010) and Columns (0028,0011)", str, Rule.ALWAYS, _size),
    Attribute(
        "Image Orientation (Patient) (0020,0037)",
        _plane,
        Rule.ALWAYS,
        _orientation,
        within=SAME_ORIENTATION,
    ),
    Attribute("Image Type (0008,0008)", str, Rule.ALWAYS, attrgetter("kind")),
    Attribute(_COMPONENT, str, Rule.ALWAYS, attrgetter("component")),
    Attribute("Image Type (0008,0008)", _origin_word, Rule.ALWAYS, attrgetter("origin")),
    Attribute(
        "Frame of Reference UID (0020,0052)", "reference", Rule.FEW, _trait("frame_of_reference")
    ),
    Attribute("Pixel Spacing (0028,0030)", "spacing set", Rule.FEW, _spacing, _CLOSE),
    Attribute("Echo Time (0018,0081)", "echo", Rule.FEW, _echo_time, _CLOSE),
    Attribute("Echo Number(s) (0018,0086)", "echo", Rule.FEW, _trait("echo_number")),
    Attribute("Stack ID (0020,9056)", "stack", Rule.FEW, _trait("stack")),
    Attribute("Temporal Position Identifier (0020,0100)", "time", Rule.STACKS, _trait("time")),
    Attribute("Diffusion b-value (0018,9087)", "b-value set", Rule.REPEATS, _trait("b_value")),
    Attribute(
        "Inversion Time (0018,0082)", "inversion set", Rule.REPEATS, _trait("inversion_time")
    ),
    Attribute("Trigger Time (0018,1060)", "trigger set", Rule.REPEATS, _trait("trigger_time")),
    Attribute("Flip Angle (0018,1314)", "flip angle set", Rule.REPEATS, _trait("flip_angle")),
    Attribute(
        "Repetition Time (0018,0080)", "repetition set", Rule.REPEATS, _trait("repetition_time")
    ),
    Attribute("Image Type (0008,0008)", "type", Rule.REPEATS, attrgetter("image_type")),
    Attribute("Acquisition Number (0020,0012)", "acquisition", Rule.COUNTS, _trait("acquisition")),
    *(
        Attribute(
            "Dimension Index Values (0020,9157)", "dimension", Rule.COUNTS, partial(_dimension, i)
        )
        for i in range(_DIMENSIONS)
    ),
    Attribute("file", "file", Rule.STACKS, _file),
    Attribute("folder", "folder", Rule.COUNTS, _folder),
)
"""The most telling first: each divides what those before it left together."""
