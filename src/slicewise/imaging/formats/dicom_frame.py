"""What a DICOM data set says about one of its frames, enhanced multi-frame or not.

An enhanced object keeps the attributes of a frame in functional groups (PS3.3 C.7.6.16): one item
for each frame, and one shared by all. Other objects keep them at the top.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from slicewise.errors import InputError
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.formats.pixels import LookupTable, linear_window
from slicewise.imaging.slice import Orientation, Position, Window

_UNIT_TOLERANCE = 0.05
_ASPECTS = ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")


class FrameHeader:
    """The attributes of one frame, looked up per frame, then shared, then at the top."""

    def __init__(self, dataset: Dataset, index: int) -> None:
        self._dataset = dataset
        own = _item(value_of(dataset, "PerFrameFunctionalGroupsSequence"), index)
        shared = _item(value_of(dataset, "SharedFunctionalGroupsSequence"), 0)
        self._groups = [group for group in (own, shared) if group is not None]

    def position(self) -> Position | None:
        """Image Position (Patient) (0020,0032), mm; one at the top is not of several frames."""
        group = self._macro("PlanePositionSequence")
        if not group and frame_count(self._dataset) > 1:
            return None
        values = numbers(value_of(group or self._dataset, "ImagePositionPatient"), 3)
        return cast(Position | None, values)

    def orientation(self) -> Orientation | None:
        """Image Orientation (Patient) (0020,0037), None where it is no pair of unit vectors."""
        group = self._holder("PlaneOrientationSequence")
        values = numbers(value_of(group, "ImageOrientationPatient"), 6)
        return None if values is None or not _is_orientation(values) else cast(Orientation, values)

    def pixel_spacing(self) -> tuple[float, float] | None:
        """Pixel Spacing (0028,0030): between rows, between columns; mm."""
        values = numbers(value_of(self._holder("PixelMeasuresSequence"), "PixelSpacing"), 2)
        return None if values is None or min(values) <= 0 else (values[0], values[1])

    def pixel_aspect(self) -> float | None:
        """Height of a pixel over its width, where there is no Pixel Spacing (PS3.3 C.7.6.3.1.7).

        By Imager Pixel Spacing (0018,1164), Nominal Scanned Pixel Spacing (0018,2010), or Pixel
        Aspect Ratio (0028,0034): each has the vertical value first.
        """
        for keyword in _ASPECTS if self.pixel_spacing() is None else ():
            values = numbers(value_of(self._dataset, keyword), 2)
            if values is not None and min(values) > 0:
                return values[0] / values[1]
        return None

    def slice_thickness(self) -> float | None:
        """Slice Thickness (0018,0050), mm."""
        thickness = number_in(self._holder("PixelMeasuresSequence"), "SliceThickness")
        return thickness if thickness is not None and thickness > 0 else None

    def rescale(self) -> tuple[float, float]:
        """Rescale Slope (0028,1053) and Intercept (0028,1052); 1 and 0 where there are none."""
        group = self._holder("PixelValueTransformationSequence")
        slope, intercept = (number_in(group, k) for k in ("RescaleSlope", "RescaleIntercept"))
        return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)

    def modality_lut(self) -> LookupTable | None:
        """The Modality LUT (0028,3000), which stands in for the rescale."""
        return self._lookup_table(self._dataset, "ModalityLUTSequence")

    def window(self) -> Window | None:
        """The first VOI window (0028,1050) and (0028,1051), in modality values."""
        group = self._holder("FrameVOILUTSequence")
        center, width = (number_in(group, k) for k in ("WindowCenter", "WindowWidth"))
        if center is None or width is None:
            return None
        return linear_window(center, width, text_in(group, "VOILUTFunction") or "LINEAR")

    def voi_lut(self) -> LookupTable | None:
        """The first VOI LUT (0028,3010)."""
        return self._lookup_table(self._holder("FrameVOILUTSequence"), "VOILUTSequence")

    def _macro(self, name: str) -> Dataset | None:
        found = (_item(value_of(group, name), 0) for group in self._groups)
        return next((item for item in found if item is not None), None)

    def _holder(self, name: str) -> Dataset:
        macro = self._macro(name)
        return self._dataset if macro is None else macro

    def _lookup_table(self, group: Dataset, keyword: str) -> LookupTable | None:
        item = _item(value_of(group, keyword), 0)
        if item is None:
            return None
        descriptor = numbers(value_of(item, "LUTDescriptor"), 3)
        if descriptor is None:
            raise InputError(f"expected three numbers in {named('LUTDescriptor')}, got others")
        count, first = int(descriptor[0]) or 0x10000, int(descriptor[1])
        signed = number_in(self._dataset, "PixelRepresentation") == 1
        if signed and first > 0x7FFF:  # the descriptor's second value may be stored as unsigned
            first -= 0x10000
        little = self._dataset.original_encoding[1] is not False
        return LookupTable(first, _lut_entries(value_of(item, "LUTData"), count, little))


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an attribute as pydicom converts it; None where there is none.

    Raises:
        InputError: It cannot be converted.
    """
    with decoding(named(keyword)):
        return dataset.get(keyword)


def named(keyword: str) -> str:
    """Keyword and tag of an attribute, such as `Rows (0028,0010)`."""
    tag = tag_for_keyword(keyword)
    return keyword if tag is None else f"{keyword} {Tag(tag)}"


def text_in(dataset: Dataset, keyword: str) -> str | None:
    """An attribute as text; None where it is absent or empty."""
    return str(value_of(dataset, keyword) or "") or None


def number_in(dataset: Dataset, keyword: str) -> float | None:
    """The first number of an attribute; None where there is none or it is not finite."""
    value = value_of(dataset, keyword)
    first = numbers(list(value)[:1] if _is_list(value) else value, 1)
    return None if first is None else first[0]


def count_in(dataset: Dataset, keyword: str) -> int:
    """An attribute that must be a whole number.

    Raises:
        InputError: It is absent or no number.
    """
    found = number_in(dataset, keyword)
    if found is None:
        raise InputError(f"expected a number in {named(keyword)}, got none")
    return int(found)


def frame_count(dataset: Dataset) -> int:
    """Number of Frames (0028,0008), one where there is none."""
    count = number_in(dataset, "NumberOfFrames")
    return 1 if count is None else int(count)


def numbers(value: Any, length: int) -> tuple[float, ...] | None:
    """A DICOM value as exactly so many finite numbers, None where it is not."""
    parts = list(value) if _is_list(value) else [value]
    if len(parts) != length:
        return None
    try:
        found = tuple(float(part) for part in parts)
    except (TypeError, ValueError):  # absent, empty, or no number: the standard lets it be absent
        return None
    return found if all(math.isfinite(part) for part in found) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def _item(sequence: Any, index: int) -> Dataset | None:
    there = isinstance(sequence, Sequence) and 0 <= index < len(sequence)
    return cast(Dataset, sequence[index]) if there else None


def _is_orientation(values: tuple[float, ...]) -> bool:
    row, column = np.array(values[:3]), np.array(values[3:])
    lengths = (float(np.linalg.norm(part)) - 1 for part in (row, column))
    return max(abs(float(row @ column)), *map(abs, lengths)) < _UNIT_TOLERANCE


def _lut_entries(data: Any, count: int, little: bool) -> np.ndarray[Any, np.dtype[Any]]:
    if not isinstance(data, bytes):
        found = numbers(data, len(data)) if _is_list(data) and len(data) else None
        if found is None:
            raise InputError(f"expected numbers in {named('LUTData')}, got none")
        return np.asarray(found, dtype=np.int64)[:count]
    width = "u1" if len(data) < 2 * count else ("<u2" if little else ">u2")
    if len(data) < count:
        raise InputError(f"expected {count:,} entries in {named('LUTData')}, got {len(data):,}")
    return np.frombuffer(data, dtype=width, count=count)
