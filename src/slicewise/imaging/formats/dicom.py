"""DICOM images to slices in modality values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from slicewise.errors import UnsupportedImageError
from slicewise.imaging.formats.decoding import decoding, quiet
from slicewise.imaging.formats.dicom_dataset import load_dataset, load_header
from slicewise.imaging.formats.dicom_frame import (
    FrameHeader,
    count_in,
    frame_count,
    number_in,
    numbers,
    text_in,
    value_of,
)
from slicewise.imaging.formats.pixels import (
    Values,
    colour_difference,
    eight_bits,
    fill_padding,
    invert,
    invert_window,
    is_padding,
    luminance,
    require_finite,
    rescale,
    stored_range,
)
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Slice, Window

PHANTOM_MANUFACTURER = "SliceWise phantom"
"""Manufacturer (0008,0070) of the synthetic series whose comments become annotations."""

# One decoder for each syntax: others would be tried after it, and some of those end the process on
# broken data (GDCM aborts, pylibjpeg-rle panics). Lossless JPEG has no decoder but GDCM.
_DECODERS = {
    uid.RLELossless: "pydicom",
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit), "pillow"),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "pyjpegls"),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), "pylibjpeg"),
    **dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), "pylibjpeg"),
    **dict.fromkeys((uid.JPEGLossless, uid.JPEGLosslessSV1), "gdcm"),
}
_ANNOTATION_PREFIX = "slicewise:"
_HEADER_TAGS = [
    "SeriesInstanceUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "NumberOfFrames",
    "SpecificCharacterSet",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What grouping needs of a file before its pixels are decoded; None where it does not say."""

    series_uid: str | None  # Series Instance UID (0020,000E)
    instance_uid: str | None  # SOP Instance UID (0008,0018)
    instance_number: int | None  # Instance Number (0020,0013)
    frames: int
    pixels: int  # of all frames together


@quiet()
def read_header(stream: BinaryIO, limits: Limits) -> DicomHeader:
    """Read what grouping needs, without the pixels.

    Raises:
        InputError: It is broken, too small or too large, or has no image attributes.
    """
    dataset = load_header(stream, limits, _HEADER_TAGS)
    number, frames = number_in(dataset, "InstanceNumber"), frame_count(dataset)
    rows, columns = (int(number_in(dataset, keyword) or 0) for keyword in ("Rows", "Columns"))
    return DicomHeader(
        series_uid=text_in(dataset, "SeriesInstanceUID"),
        instance_uid=text_in(dataset, "SOPInstanceUID"),
        instance_number=None if number is None else int(number),
        frames=frames,
        pixels=frames * rows * columns,
    )


@quiet()
def read_dicom(stream: BinaryIO, source: str, limits: Limits) -> list[Slice]:
    """Read a DICOM image; each frame of a multi-frame object is a slice, in stored order.

    Raises:
        LimitError: It is larger than the limits.
        UnsupportedImageError: Its transfer syntax or its pixels are of a kind that is not read.
        InputError: It is broken, too small, or holds no pixels.
    """
    dataset = load_dataset(stream, limits)
    frames = _stored_frames(dataset)
    names = [source] if len(frames) == 1 else [f"{source}#{i}" for i in range(len(frames))]
    return [_slice(dataset, i, frames[i], name) for i, name in enumerate(names)]


def _stored_frames(dataset: Dataset) -> Values:
    """(frames, rows, columns) grey or (frames, rows, columns, 3) colour stored values."""
    syntax = dataset.file_meta.TransferSyntaxUID
    with decoding("DICOM image"):
        try:
            stored = pixel_array(dataset, decoding_plugin=_DECODERS.get(syntax, ""))
        except (NotImplementedError, RuntimeError) as error:
            # pydicom raises these where no decoder took the syntax or the data.
            raise UnsupportedImageError(
                f"expected pixel data that can be decoded, got {syntax.name} ({syntax}) "
                "that no decoder accepts: broken, or of an unsupported variant"
            ) from error
        if _is_palette(dataset):
            stored = apply_color_lut(stored, dataset)
    return stored if frame_count(dataset) > 1 else stored[np.newaxis]


def _is_palette(dataset: Dataset) -> bool:
    return text_in(dataset, "PhotometricInterpretation") == "PALETTE COLOR"


def _slice(dataset: Dataset, index: int, stored: Values, source: str) -> Slice:
    frame = FrameHeader(dataset, index)
    pixels, window = _modality_pixels(dataset, frame, stored)
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
        colour=_colour(dataset, stored),
        annotations=_annotations(dataset),
    )


def _modality_pixels(
    dataset: Dataset, frame: FrameHeader, stored: Values
) -> tuple[Values, Window | None]:
    """Modality values, larger brighter, padding darkest, and the window in the same values."""
    if stored.ndim == 3:
        return luminance(stored), None
    window, ends = frame.window(), _stored_range(dataset, stored)
    values, ends = _modality(frame, stored), _modality(frame, ends)
    if window is None and (voi := frame.voi_lut()) is not None:
        values, ends = voi.apply(values), np.array([voi.entries.min(), voi.entries.max()])
    if text_in(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        low, high = float(ends[0]), float(ends[1])
        values = invert(values, low, high)
        window = None if window is None else invert_window(window, low, high)
    value, limit = (number_in(dataset, f"PixelPadding{part}") for part in ("Value", "RangeLimit"))
    return fill_padding(values, is_padding(stored, value, limit)), window


def _modality(frame: FrameHeader, stored: Values) -> Values:
    table = frame.modality_lut()
    return rescale(stored, *frame.rescale()) if table is None else table.apply(stored)


def _colour(dataset: Dataset, stored: Values) -> float | None:
    """How far from grey a frame is; None where it can only be grey."""
    if stored.ndim < 3:
        return None
    if _is_palette(dataset):
        descriptor = numbers(value_of(dataset, "RedPaletteColorLookupTableDescriptor"), 3)
        bits = 8 if descriptor is None else int(descriptor[2])
    else:
        bits = count_in(dataset, "BitsStored")
    top = max((1 << max(bits, 0)) - 1, int(stored.max()))  # some palettes declare too few bits
    return colour_difference(Image.fromarray(eight_bits(stored, top)))


def _stored_range(dataset: Dataset, stored: Values) -> Values:
    """The two ends of the stored range; for float pixels, which have none, those found."""
    if stored.dtype.kind == "f":
        return np.array([stored.min(), stored.max()])
    signed = number_in(dataset, "PixelRepresentation") == 1
    return np.array(stored_range(count_in(dataset, "BitsStored"), signed))


def _annotations(dataset: Dataset) -> dict[str, str]:
    comment = text_in(dataset, "ImageComments") or ""
    ours = text_in(dataset, "Manufacturer") == PHANTOM_MANUFACTURER
    if not (ours and comment.startswith(_ANNOTATION_PREFIX)):
        return {}
    pairs = (part.partition("=") for part in comment[len(_ANNOTATION_PREFIX) :].split(";"))
    return {key.strip(): value.strip() for key, mark, value in pairs if mark}
