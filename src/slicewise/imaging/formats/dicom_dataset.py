"""DICOM files to data sets that are safe to decode: readable, with pixels, within the limits.

A decoder allocates for what a compressed image declares of itself, whatever the DICOM header says,
and some crash on it: the declaration is read before any decoder acts on it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.pixels.utils import get_expected_length

from slicewise.errors import InputError
from slicewise.imaging.formats.content import has_preamble
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.formats.dicom_frame import count_in, frame_count, named, number_in, value_of
from slicewise.imaging.limits import Limits

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_CHUNK = 1 << 20
_DECLARED = frozenset(
    (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes, *uid.JPEG2000TransferSyntaxes)
)
_REQUIRED = ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation")
_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG, and of JPEG-LS the last; those taken out are of tables."""


def load_dataset(stream: BinaryIO, limits: Limits) -> Dataset:
    """Read a DICOM image whose pixels may be decoded: everything about them has been checked.

    Raises:
        LimitError: It declares more than the limits allow, in its header or in a compressed frame.
        InputError: It holds no pixel data, or fewer or other ones than it declares.
    """
    _check_extent(load_header(stream, limits), limits)
    dataset = _read(stream, limits)
    _check_pixels(dataset, limits)
    return dataset


def load_header(stream: BinaryIO, limits: Limits, tags: list[str] | None = None) -> Dataset:
    """Read a data set up to its pixels; of its attributes only `tags`, if given.

    Raises:
        LimitError: It is deflated and expands past the limit.
    """
    return _read(stream, limits, stop_before_pixels=True, specific_tags=tags)


def _read(stream: BinaryIO, limits: Limits, **how: Any) -> Dataset:
    stream.seek(0)
    bare = not has_preamble(stream.read(132))
    if not bare:
        _check_deflated(stream, limits)
    stream.seek(0)
    with decoding("DICOM file"):
        dataset = pydicom.dcmread(stream, force=bare, **how)
    if "TransferSyntaxUID" not in dataset.file_meta:  # then it is in the syntax it was found to be
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _check_deflated(stream: BinaryIO, limits: Limits) -> None:
    """Refuse a deflated data set that expands past the limit, before pydicom expands all of it."""
    stream.seek(132)
    with decoding("DICOM file"):
        meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    if value_of(meta, "TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
        return
    packed = stream.read()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size, rest = 0, packed
    while rest and not inflater.eof:
        with decoding("deflated DICOM file"):
            size += len(inflater.decompress(rest, _CHUNK))
        rest = inflater.unconsumed_tail
        limits.check_expansion(size, len(packed))
        limits.check_bytes(size)


def _check_extent(dataset: Dataset, limits: Limits) -> None:
    if "Rows" not in dataset and "PhotometricInterpretation" not in dataset:
        raise _no_pixels()
    for keyword in _REQUIRED:
        if value_of(dataset, keyword) in (None, ""):
            raise InputError(f"expected DICOM attribute {named(keyword)}, got none")
    frames = frame_count(dataset)
    if frames < 1:
        raise InputError(f"expected Number of Frames (0028,0008) of 1 or more, got {frames}")
    limits.check_image(count_in(dataset, "Rows"), count_in(dataset, "Columns"), frames)


def _no_pixels() -> InputError:
    return InputError("expected a DICOM image, got a data set without Pixel Data (7FE0,0010)")


def _check_pixels(dataset: Dataset, limits: Limits) -> None:
    """Refuse absent, short or oversized pixel data before a decoder allocates for them."""
    keyword = next((name for name in _PIXELS if name in dataset), None)
    if keyword is None:
        raise _no_pixels()
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_codestreams(dataset, limits)
        return
    with decoding("description of the pixels"):
        expected = get_expected_length(dataset)
    if (got := len(value_of(dataset, keyword) or b"")) < expected:
        pixels = named(keyword)
        raise InputError(f"expected {expected:,} bytes of {pixels}, got {got:,} (truncated)")


def _check_codestreams(dataset: Dataset, limits: Limits) -> None:
    required = dataset.file_meta.TransferSyntaxUID in _DECLARED
    for frame in _frames(dataset):
        found = declaration(frame)
        if found is not None:
            limits.check_image(found.rows, found.columns)
            _check_declaration(dataset, found)
        elif required:
            raise InputError("expected a compressed image with a frame header, got none")


def _frames(dataset: Dataset) -> Iterator[bytes]:
    """The compressed frames, each as one codestream."""
    data = value_of(dataset, "PixelData")
    with decoding("compressed DICOM image"):
        frames = generate_frames(data, number_of_frames=frame_count(dataset))
    while True:
        with decoding("compressed DICOM image"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _check_declaration(dataset: Dataset, found: Declaration) -> None:
    """Refuse a compressed image that contradicts the header: decoders trust it, and may crash."""
    rows, columns, bits = (count_in(dataset, k) for k in ("Rows", "Columns", "BitsAllocated"))
    samples = int(number_in(dataset, "SamplesPerPixel") or 1)
    same = (found.rows, found.columns, found.samples) == (rows, columns, samples)
    if same and 1 < found.bits <= bits:
        return
    raise InputError(
        f"expected {rows} x {columns} pixels of {samples} x {bits} bits, got {found.rows} x "
        f"{found.columns} of {found.samples} x {found.bits} in the compressed image"
    )


@dataclass(frozen=True, slots=True)
class Declaration:
    """The frame header of a codestream: its size in pixels, and bits of each of its samples."""

    rows: int
    columns: int
    bits: int
    samples: int


def declaration(codestream: bytes) -> Declaration | None:
    """What a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream declares.

    Returns:
        None where it is none of these, or where no frame header is found.
    """
    if codestream.startswith(_JP2_SIGNATURE):
        start = codestream.find(_J2K_START)
        return _from_j2k(codestream[start:]) if start >= 0 else None
    if codestream.startswith(_J2K_START):
        return _from_j2k(codestream)
    return _from_jpeg(codestream) if codestream.startswith(_JPEG_START) else None


def _from_j2k(codestream: bytes) -> Declaration | None:
    """From the SIZ segment (ISO 15444-1 A.5.1): grid size less image offset, first component."""
    if len(codestream) < 43:
        return None
    right, bottom, left, top = (_number(codestream, at, 4) for at in (8, 12, 16, 20))
    bits = (codestream[42] & 0x7F) + 1
    return Declaration(bottom - top, right - left, bits, _number(codestream, 40, 2))


def _from_jpeg(codestream: bytes) -> Declaration | None:
    """From the first start-of-frame segment (ISO 10918-1 B.2.2, ISO 14495-1 C.2.2)."""
    at = 2
    while at + 10 <= len(codestream) and codestream[at] == 0xFF:
        marker = codestream[at + 1]
        if marker == 0xFF:  # fill byte before a marker
            at += 1
        elif marker in _FRAME_HEADERS:
            rows, columns = (_number(codestream, at + skip, 2) for skip in (5, 7))
            return Declaration(rows, columns, codestream[at + 4], codestream[at + 9])
        else:
            at += 2 + _number(codestream, at + 2, 2)
    return None


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
