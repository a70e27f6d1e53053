"""What a DICOM data set says about one of its frames, enhanced multi-frame or not.

An enhanced object keeps the attributes of a frame in functional groups (PS3.3 C.7.6.16): one item
for each frame, and one shared by all. Other objects keep them at the top.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from slicewise.imaging.formats.modality import LookupTable, linear_window
from slicewise.imaging.slice import Window

Orientation = tuple[float, float, float, float, float, float]
Triple = tuple[float, float, float]
_UNIT_TOLERANCE = 0.05


class FrameHeader:
    """The attributes of one frame, looked up per frame, then shared, then at the top.

    Args:
        dataset: The data set, pixels not needed.
        index: Frame number from zero.
    """

    def __init__(self, dataset: Dataset, index: int) -> None:
        self._dataset = dataset
        groups = _item(dataset.get("PerFrameFunctionalGroupsSequence"), index)
        shared = _item(dataset.get("SharedFunctionalGroupsSequence"), 0)
        self._groups = [group for group in (groups, shared) if group is not None]
        several = int(number(dataset.get("NumberOfFrames")) or 1) > 1
        self._top_is_mine = not several

    def position(self) -> Triple | None:
        """Image Position (Patient) (0020,0032), mm."""
        top = self._dataset if self._top_is_mine else None
        group = self._macro("PlanePositionSequence") or top
        values = None if group is None else numbers(group.get("ImagePositionPatient"), 3)
        return None if values is None else (values[0], values[1], values[2])

    def orientation(self) -> Orientation | None:
        """Image Orientation (Patient) (0020,0037), None where it is no pair of unit vectors."""
        values = numbers(self._holder("PlaneOrientationSequence").get("ImageOrientationPatient"), 6)
        if values is None or not _is_orientation(values):
            return None
        return (values[0], values[1], values[2], values[3], values[4], values[5])

    def pixel_spacing(self) -> tuple[float, float] | None:
        """Pixel Spacing (0028,0030): between rows, between columns; mm."""
        values = numbers(self._holder("PixelMeasuresSequence").get("PixelSpacing"), 2)
        return None if values is None or min(values) <= 0 else (values[0], values[1])

    def slice_thickness(self) -> float | None:
        """Slice Thickness (0018,0050), mm."""
        thickness = number(self._holder("PixelMeasuresSequence").get("SliceThickness"))
        return thickness if thickness is not None and thickness > 0 else None

    def rescale(self) -> tuple[float, float]:
        """Rescale Slope (0028,1053) and Intercept (0028,1052); 1 and 0 where there are none."""
        group = self._holder("PixelValueTransformationSequence")
        slope, intercept = (number(group.get(k)) for k in ("RescaleSlope", "RescaleIntercept"))
        return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)

    def modality_lut(self) -> LookupTable | None:
        """The Modality LUT (0028,3000), which stands in for the rescale."""
        return self._lookup_table(self._dataset.get("ModalityLUTSequence"))

    def window(self) -> Window | None:
        """The first VOI window (0028,1050) and (0028,1051), in modality values."""
        group = self._holder("FrameVOILUTSequence")
        center, width = (number(group.get(k)) for k in ("WindowCenter", "WindowWidth"))
        if center is None or width is None:
            return None
        return linear_window(center, width, str(group.get("VOILUTFunction") or "LINEAR"))

    def voi_lut(self) -> LookupTable | None:
        """The first VOI LUT (0028,3010)."""
        return self._lookup_table(self._holder("FrameVOILUTSequence").get("VOILUTSequence"))

    def _macro(self, name: str) -> Dataset | None:
        found = (_item(group.get(name), 0) for group in self._groups)
        return next((item for item in found if item is not None), None)

    def _holder(self, name: str) -> Dataset:
        macro = self._macro(name)
        return self._dataset if macro is None else macro

    def _lookup_table(self, sequence: Any) -> LookupTable | None:
        item = _item(sequence, 0)
        if item is None:
            return None
        count, first, _bits = (int(part) for part in item.LUTDescriptor)
        signed = int(self._dataset.get("PixelRepresentation") or 0) == 1
        if signed and first > 0x7FFF:  # the descriptor's second value may be stored as unsigned
            first -= 0x10000
        little = self._dataset.original_encoding[1] is not False
        return LookupTable(first, _lut_entries(item.LUTData, count or 0x10000, little))


def number(value: Any) -> float | None:
    """The first of a DICOM value's numbers, None where there is none or it is not finite."""
    first = numbers(value, 1) if not _is_list(value) else numbers(list(value)[:1], 1)
    return None if first is None else first[0]


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
    if not sequence or not 0 <= index < len(sequence):
        return None
    item: Dataset = sequence[index]
    return item


def _is_orientation(values: tuple[float, ...]) -> bool:
    row, column = np.array(values[:3]), np.array(values[3:])
    lengths = (float(np.linalg.norm(part)) - 1 for part in (row, column))
    return max(abs(float(row @ column)), *map(abs, lengths)) < _UNIT_TOLERANCE


def _lut_entries(data: Any, count: int, little: bool) -> np.ndarray[Any, np.dtype[Any]]:
    if isinstance(data, bytes):
        width = "u1" if len(data) < 2 * count else ("<u2" if little else ">u2")
        return np.frombuffer(data, dtype=width, count=count)
    return np.asarray(list(data), dtype=np.int64)[:count]
