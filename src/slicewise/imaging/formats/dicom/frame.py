"""What a DICOM data set says about one of its frames, enhanced multi-frame or not.

An enhanced object keeps the attributes of a frame in functional groups (PS3.3 C.7.6.16): one item
for each frame, and one shared by all. Other objects keep them at the top.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, cast

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from slicewise.errors import InputError
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.formats.pixels import (
    LookupTable,
    Values,
    expand_segments,
    linear_window,
)
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
        return _finite_in(group, "RescaleSlope", 1.0), _finite_in(group, "RescaleIntercept", 0.0)

    def modality_lut(self, ends: Values) -> LookupTable | None:
        """The Modality LUT (0028,3000), which stands in for the rescale.

        Args:
            ends: (2,) the smallest and the largest stored value that there may be.
        """
        return self._first_table(self._dataset, "ModalityLUTSequence", ends)

    def window(self) -> Window | None:
        """The first VOI window (0028,1050) and (0028,1051), in modality values."""
        group = self._holder("FrameVOILUTSequence")
        center, width = (number_in(group, k) for k in ("WindowCenter", "WindowWidth"))
        if center is None or width is None:
            return None
        return linear_window(center, width, text_in(group, "VOILUTFunction") or "LINEAR")

    def voi_lut(self, ends: Values) -> LookupTable | None:
        """The first VOI LUT (0028,3010); `ends` as above, in modality values."""
        return self._first_table(self._holder("FrameVOILUTSequence"), "VOILUTSequence", ends)

    @property
    def has_groups(self) -> bool:
        """Whether any attribute stands in a functional group."""
        return bool(self._groups)

    def element(self, group: str, tag: int) -> DataElement | RawDataElement | None:
        """An attribute as it is stored, of a functional group; of the top where `group` is ""."""
        holder = self._macro(group) if group else self._dataset
        with decoding(f"DICOM attribute {Tag(tag)}"):
            return None if holder is None else holder.get_item(tag)

    def _macro(self, name: str) -> Dataset | None:
        found = (_item(value_of(group, name), 0) for group in self._groups)
        return next((item for item in found if item), None)  # an empty item says nothing

    def _holder(self, name: str) -> Dataset:
        macro = self._macro(name)
        return self._dataset if macro is None else macro

    def _first_table(self, group: Dataset, keyword: str, ends: Values) -> LookupTable | None:
        items, little = value_of(group, keyword), _is_little_endian(self._dataset)
        for item in items if isinstance(items, Sequence) else ():
            table = lookup_table(item, "LUTDescriptor", "LUTData", ends, little)
            if table is not None:
                return table
        return None


def lookup_table(
    item: Dataset, descriptor: str, data: str, ends: Values, little: bool
) -> LookupTable | None:
    """A lookup table (PS3.3 C.11.1.1.1); None where its descriptor or its data are absent or empty.

    Args:
        item: What holds it.
        descriptor: Keyword of its descriptor: count of entries, first value, bits of an entry.
        data: Keyword of its data.
        ends: (2,) the smallest and the largest value that may be looked up.
        little: Whether its data are little endian.

    Raises:
        InputError: The descriptor is no three numbers, or there are too few data.
    """
    described, entries = value_of(item, descriptor), value_of(item, data)
    if _is_empty(described) or _is_empty(entries):
        return None
    found = numbers(described, 3)
    if found is None:
        raise InputError(f"expected three numbers in {named(descriptor)}, got others")
    count, first, bits = (int(number) for number in found)
    # The first value may be written as unsigned where it is signed.
    first -= 0x10000 if ends.min() < 0 and first > max(0x7FFF, ends.max()) else 0
    return LookupTable(first, _entries(entries, count % 0x10000 or 0x10000, bits, little, data))


def in_colour(dataset: Dataset, values: Values, ends: Values) -> Values:
    """The colours that the palette (PS3.3 C.7.6.3.1.5, C.7.9) gives to stored values, RGB last.

    Raises:
        InputError: The palette is absent or incomplete.
    """
    little, channels = _is_little_endian(dataset), []
    for colour in ("Red", "Green", "Blue"):
        descriptor, data = (f"{colour}PaletteColorLookupTable{x}" for x in ("Descriptor", "Data"))
        plain = lookup_table(dataset, descriptor, data, ends, little)
        table = plain or lookup_table(dataset, descriptor, f"Segmented{data}", ends, little)
        if table is None:
            raise InputError(f"expected {named(data)} with {named(descriptor)}, got none")
        channels.append(table.apply(values).astype(np.uint16))
    return np.stack(channels, axis=-1)


def _is_little_endian(dataset: Dataset) -> bool:
    """How the data set was written, and with it the data of its lookup tables."""
    return dataset.original_encoding[1] is not False


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an attribute as pydicom converts it; None where there is none.

    Raises:
        InputError: It cannot be converted.
    """
    try:  # which costs nothing for each of the many that can
        return dataset.get(keyword)
    except Exception:
        with decoding(named(keyword), got="a damaged value"):
            raise


@lru_cache(maxsize=256)
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


def frame_count(dataset: Dataset) -> int:
    """Number of Frames (0028,0008), one where it is absent, empty or 0.

    Raises:
        InputError: It is no number.
    """
    return int(_finite_in(dataset, "NumberOfFrames", 1.0)) or 1


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


@lru_cache(maxsize=64)  # slices of a series mostly say the same
def _is_orientation(values: tuple[float, ...]) -> bool:
    row, column = np.array(values[:3]), np.array(values[3:])
    lengths = (float(np.linalg.norm(part)) - 1 for part in (row, column))
    return max(abs(float(row @ column)), *map(abs, lengths)) < _UNIT_TOLERANCE


def _entries(data: Any, count: int, bits: int, little: bool, keyword: str) -> Values:
    if isinstance(data, bytes):
        segmented = keyword.startswith("Segmented")
        few = len(data) < 2 * count if not segmented else bits <= 8
        packed = few or (bits <= 8 and len(data) <= count + 1)
        width = "u1" if packed else ("<u2" if little else ">u2")
        found: Values = np.frombuffer(data, width, len(data) // (1 if packed else 2))
        found = expand_segments(found, count) if segmented else found
    else:
        values = list(data) if _is_list(data) else [data]
        found = np.asarray(numbers(values, len(values)) or (), dtype=np.int64)
    if len(found) < count:
        raise InputError(f"expected {count:,} entries in {named(keyword)}, got {len(found):,}")
    return found[:count]


def _is_empty(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def _finite_in(dataset: Dataset, keyword: str, default: float) -> float:
    """A number, `default` where it is absent or empty; what is no finite number is an error."""
    found = number_in(dataset, keyword)
    if found is None and not _is_empty(value_of(dataset, keyword)):
        raise InputError(f"expected a finite number in {named(keyword)}, got another value")
    return default if found is None else found
