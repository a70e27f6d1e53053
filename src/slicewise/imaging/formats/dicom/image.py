"""DICOM images to slices in modality values."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from slicewise.imaging.formats.decoding import quiet
from slicewise.imaging.formats.dicom.dataset import PixelFormat, load_dataset, pixel_format
from slicewise.imaging.formats.dicom.frame import (
    FrameHeader,
    in_colour,
    number_in,
    numbers,
    text_in,
    value_of,
)
from slicewise.imaging.formats.dicom.header import require_slices
from slicewise.imaging.formats.dicom.pixels import stored_values
from slicewise.imaging.formats.pixels import (
    LookupTable,
    Values,
    colour_difference,
    eight_bits,
    fill_non_finite,
    fill_padding,
    invert,
    invert_window,
    is_padding,
    luminance,
    require_finite,
    rescale,
    signed_as,
)
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Slice, Window

PHANTOM_MANUFACTURER = "SliceWise phantom"
"""Manufacturer (0008,0070) of the synthetic series whose comments become annotations."""

_EXACT_BITS = 24  # of a whole number in float32
_ANNOTATION_PREFIX = "slicewise:"


@quiet()
def read_dicom(stream: BinaryIO, source: str, limits: Limits) -> list[Slice]:
    """Read a DICOM image; each frame of a multi-frame object is a slice, in stored order.

    Raises:
        LimitError: It is larger than the limits.
        UnsupportedImageError: Its transfer syntax or its pixels are of a kind that is not read, or
            it says that it is no slice.
        InputError: It is broken, too small, or holds no pixels.
    """
    dataset = load_dataset(stream, limits)
    require_slices(FrameHeader(dataset, 0))
    form = pixel_format(dataset)
    frames = stored_values(dataset, form, limits)
    if form.is_float:
        frames = fill_non_finite(frames)
    names = [source] if len(frames) == 1 else [f"{source}#{i}" for i in range(len(frames))]
    return [_slice(dataset, form, i, frames[i], name) for i, name in enumerate(names)]


def _slice(dataset: Dataset, form: PixelFormat, index: int, stored: Values, source: str) -> Slice:
    frame = FrameHeader(dataset, index)
    if form.photometric == "PALETTE COLOR":
        stored = in_colour(dataset, stored, form.ends(stored))
    pixels, window = _modality_pixels(dataset, form, frame, stored)
    return Slice(
        pixels=require_finite(pixels),
        source=source,
        modality=text_in(dataset, "Modality"),
        patient_id=text_in(dataset, "PatientID"),
        study_uid=text_in(dataset, "StudyInstanceUID"),
        series_uid=text_in(dataset, "SeriesInstanceUID"),
        instance_uid=text_in(dataset, "SOPInstanceUID"),
        position_mm=frame.position(),
        orientation=frame.orientation(),
        pixel_spacing_mm=frame.pixel_spacing(),
        pixel_aspect=frame.pixel_aspect(),
        slice_thickness_mm=frame.slice_thickness(),
        window=window,
        colour=_colour(dataset, form, stored),
        annotations=_annotations(dataset),
    )


def _modality_pixels(
    dataset: Dataset, form: PixelFormat, frame: FrameHeader, stored: Values
) -> tuple[Values, Window | None]:
    """Modality values, larger brighter, padding darkest, and the window in the same values."""
    if stored.ndim == 3:
        return luminance(stored), None
    window, ends = frame.window(), form.ends(stored)
    table = frame.modality_lut(ends)
    values, ends = _modality(frame, table, stored), _modality(frame, table, ends)
    if window is None and (voi := frame.voi_lut(ends)) is not None:
        values, ends = voi.apply(values), np.array([voi.entries.min(), voi.entries.max()])
    if form.photometric == "MONOCHROME1":
        if form.stored > _EXACT_BITS:  # mirrored about a range so large, values would be rounded
            ends = np.array([values.min(), values.max()])
        low, high = float(ends[0]), float(ends[1])
        values = invert(values, low, high)
        window = None if window is None else invert_window(window, low, high)
    return fill_padding(values, is_padding(stored, *_padding(dataset, form, stored))), window


def _modality(frame: FrameHeader, table: LookupTable | None, stored: Values) -> Values:
    return rescale(stored, *frame.rescale()) if table is None else table.apply(stored)


def _padding(
    dataset: Dataset, form: PixelFormat, stored: Values
) -> tuple[float | None, float | None]:
    """Pixel Padding Value and its Range Limit, read with the sign of the pixels."""
    kind = form.keyword.removesuffix("Data")  # Pixel, FloatPixel or DoubleFloatPixel
    found = [number_in(dataset, f"{kind}Padding{part}") for part in ("Value", "RangeLimit")]
    if form.is_float or found[0] is None:
        return found[0], found[1]
    low, high = (int(end) for end in form.ends(stored))
    sizes = (16, form.allocated, *((form.stored,) if form.signed else ()))
    first, limit = (None if one is None else signed_as(one, low, high, sizes) for one in found)
    return first, limit


def _colour(dataset: Dataset, form: PixelFormat, stored: Values) -> float | None:
    """How far from grey a frame is; None where it can only be grey."""
    if stored.ndim < 3:
        return None
    bits = min(form.stored, 8 * stored.itemsize)  # compressed images may have fewer
    if form.samples == 1:
        descriptor = numbers(value_of(dataset, "RedPaletteColorLookupTableDescriptor"), 3)
        bits = 8 if descriptor is None or descriptor[2] <= 8 else 16
    top = max((1 << bits) - 1, int(stored.max()))  # some palettes declare too few bits
    return colour_difference(Image.fromarray(eight_bits(stored, top)))


def _annotations(dataset: Dataset) -> dict[str, str]:
    comment = text_in(dataset, "ImageComments") or ""
    ours = text_in(dataset, "Manufacturer") == PHANTOM_MANUFACTURER
    if not (ours and comment.startswith(_ANNOTATION_PREFIX)):
        return {}
    pairs = (part.partition("=") for part in comment[len(_ANNOTATION_PREFIX) :].split(";"))
    return {key.strip(): value.strip() for key, mark, value in pairs if mark}
