"""DICOM files to slices in modality values.

Values quoted in pydicom's own warnings may be patient data, so they are kept from stderr and logs.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.codestream import declared_extent
from slicewise.imaging.content import has_preamble
from slicewise.imaging.decoding import decoding
from slicewise.imaging.dicom_frame import FrameHeader, number
from slicewise.imaging.limits import Limits
from slicewise.imaging.modality import (
    Values,
    fill_padding,
    invert,
    invert_window,
    is_padding,
    rescale,
    stored_range,
)
from slicewise.imaging.pixels import luminance, require_finite
from slicewise.imaging.slice import Slice, Window

PHANTOM_MANUFACTURER = "SliceWise phantom"
"""Manufacturer (0008,0070) of the synthetic series whose comments become annotations."""

_ANNOTATION_PREFIX = "slicewise:"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_REQUIRED = (
    ("Rows", "(0028,0010)"),
    ("Columns", "(0028,0011)"),
    ("BitsAllocated", "(0028,0100)"),
    ("PhotometricInterpretation", "(0028,0004)"),
)
_HEADER_TAGS = [
    "SeriesInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SpecificCharacterSet",
]

warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
logging.getLogger("pydicom").propagate = False


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What grouping needs of a file before its pixels are decoded.

    Args:
        series_uid: Series Instance UID (0020,000E), None where there is none.
        instance_number: Instance Number (0020,0013), None where there is none.
        frames: How many images the file holds.
        pixels: How many pixels they hold together.
    """

    series_uid: str | None
    instance_number: int | None
    frames: int
    pixels: int


def read_header(stream: BinaryIO, limits: Limits) -> DicomHeader:
    """Read what grouping needs, without the pixels.

    Args:
        stream: The file, seekable, at its start.
        limits: What is refused.

    Raises:
        InputError: It is broken, too small or too large, or has no image attributes.
    """
    with decoding("DICOM header"):
        dataset = _read(stream, limits, stop_before_pixels=True, specific_tags=_HEADER_TAGS)
        instance = number(dataset.get("InstanceNumber"))
        frames = _frame_count(dataset)
        pixels = frames * int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0)
        uid = str(dataset.get("SeriesInstanceUID") or "") or None
        return DicomHeader(uid, None if instance is None else int(instance), frames, pixels)


def read_dicom(stream: BinaryIO, source: str, limits: Limits) -> list[Slice]:
    """Read a DICOM image; each frame of a multi-frame object is a slice, in stored order.

    Args:
        stream: The file, seekable, at its start.
        source: What to call it.
        limits: What is refused before decoding.

    Raises:
        LimitError: It is larger than the limits.
        UnsupportedImageError: Its transfer syntax or its pixels are of a kind that is not read.
        InputError: It is broken, too small, or holds no pixels.
    """
    with decoding("DICOM file"):
        _check_extent(_read(stream, limits, stop_before_pixels=True), limits)
        dataset = _read(stream, limits)
        _check_pixels(dataset, limits)
        frames = _stored_frames(dataset)
        names = [source] if len(frames) == 1 else [f"{source}#{i}" for i in range(len(frames))]
        return [_slice(dataset, i, frames[i], name) for i, name in enumerate(names)]


def _read(stream: BinaryIO, limits: Limits, **how: Any) -> Dataset:
    stream.seek(0)
    bare = not has_preamble(stream.read(132))
    stream.seek(0)
    if not bare:
        _check_deflated(stream, limits)
    dataset = pydicom.dcmread(stream, force=bare, **how)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _native_syntax(dataset)
    return dataset


def _native_syntax(dataset: Dataset) -> Any:
    """The uncompressed syntax that a file without file meta information was found to be in."""
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _check_deflated(stream: BinaryIO, limits: Limits) -> None:
    """Refuse a deflated data set that expands past the limit, before pydicom expands all of it."""
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        size, rest = 0, stream.read()
        while rest and not inflater.eof:
            size += len(inflater.decompress(rest, 1 << 20))
            rest = inflater.unconsumed_tail
            if size > limits.max_bytes:
                raise LimitError(f"expected at most {limits.max_bytes:,} bytes when inflated")
    stream.seek(0)


def _frame_count(dataset: Dataset) -> int:
    count = number(dataset.get("NumberOfFrames"))
    return 1 if count is None else int(count)


def _check_extent(dataset: Dataset, limits: Limits) -> None:
    if "Rows" not in dataset and "PhotometricInterpretation" not in dataset:
        raise _no_pixels()
    for keyword, tag in _REQUIRED:
        if dataset.get(keyword) in (None, ""):
            raise InputError(f"expected DICOM attribute {keyword} {tag}, got none")
    frames = _frame_count(dataset)
    if frames < 1:
        raise InputError(f"expected Number of Frames (0028,0008) of 1 or more, got {frames}")
    limits.check_image(int(dataset.Rows), int(dataset.Columns), frames)


def _no_pixels() -> InputError:
    return InputError("expected a DICOM image, got a data set without Pixel Data (7FE0,0010)")


def _check_pixels(dataset: Dataset, limits: Limits) -> None:
    """Refuse absent, short or oversized pixel data before a decoder allocates for them.

    Raises:
        LimitError: A compressed frame declares more pixels than the limits allow.
        InputError: There are no pixel data, or fewer or other ones than the header declares.
    """
    keyword = next((name for name in _PIXELS if name in dataset), None)
    if keyword is None:
        raise _no_pixels()
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_codestreams(dataset, limits)
        return
    expected = get_expected_length(dataset)
    got = len(dataset[keyword].value or b"")
    if got < expected:
        tag = f"{keyword} {dataset[keyword].tag}"
        raise InputError(f"expected {expected:,} bytes of {tag}, got {got:,} (truncated)")


def _check_codestreams(dataset: Dataset, limits: Limits) -> None:
    expected = (int(dataset.Rows), int(dataset.Columns))
    for frame in generate_frames(dataset.PixelData, number_of_frames=_frame_count(dataset)):
        extent = declared_extent(frame)
        if extent is None or extent == expected:
            continue
        limits.check_image(*extent)
        got = f"{extent[0]} x {extent[1]} in the compressed image"
        raise InputError(f"expected {expected[0]} x {expected[1]} pixels, got {got}")


def _stored_frames(dataset: Dataset) -> Values:
    """(frames, rows, columns) grey or (frames, rows, columns, 3) colour stored values."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        stored = pixel_array(dataset)
    except (NotImplementedError, RuntimeError) as error:
        # pydicom raises these where no decoder took the syntax or the data.
        raise UnsupportedImageError(
            f"expected pixel data that can be decoded, got {syntax.name} ({syntax}) "
            "that no decoder accepts: broken, or of an unsupported variant"
        ) from error
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    return stored if _frame_count(dataset) > 1 else stored[np.newaxis]


def _slice(dataset: Dataset, index: int, stored: Values, source: str) -> Slice:
    frame = FrameHeader(dataset, index)
    pixels, window = _modality_pixels(dataset, frame, stored)
    return Slice(
        pixels=require_finite(pixels),
        source=source,
        modality=_text(dataset, "Modality"),
        patient_id=_text(dataset, "PatientID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        instance_uid=_text(dataset, "SOPInstanceUID"),
        position_mm=frame.position(),
        orientation=frame.orientation(),
        pixel_spacing_mm=frame.pixel_spacing(),
        slice_thickness_mm=frame.slice_thickness(),
        window=window,
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
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        low, high = float(ends[0]), float(ends[1])
        values = invert(values, low, high)
        window = None if window is None else invert_window(window, low, high)
    return fill_padding(values, _padding(dataset, stored)), window


def _modality(frame: FrameHeader, stored: Values) -> Values:
    table = frame.modality_lut()
    return rescale(stored, *frame.rescale()) if table is None else table.apply(stored)


def _stored_range(dataset: Dataset, stored: Values) -> Values:
    """The two ends of the stored range; for float pixels, which have none, those found."""
    if stored.dtype.kind == "f":
        return np.array([stored.min(), stored.max()])
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    return np.array(stored_range(int(dataset.BitsStored), signed))


def _padding(dataset: Dataset, stored: Values) -> NDArray[np.bool_]:
    value, limit = (
        number(dataset.get(keyword)) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    )
    if value is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    return is_padding(stored, int(value), None if limit is None else int(limit))


def _text(dataset: Dataset, keyword: str) -> str | None:
    return str(dataset.get(keyword) or "") or None


def _annotations(dataset: Dataset) -> dict[str, str]:
    comment = _text(dataset, "ImageComments") or ""
    if _text(dataset, "Manufacturer") != PHANTOM_MANUFACTURER:
        return {}
    if not comment.startswith(_ANNOTATION_PREFIX):
        return {}
    pairs = (part.partition("=") for part in comment[len(_ANNOTATION_PREFIX) :].split(";"))
    return {key.strip(): value.strip() for key, mark, value in pairs if mark}
