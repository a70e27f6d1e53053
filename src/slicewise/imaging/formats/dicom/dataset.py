"""DICOM files to data sets that hold an image, and what their header says of its pixels."""

from __future__ import annotations

import zlib
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.content import has_preamble
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.formats.dicom.frame import frame_count, named, number_in, text_in, value_of
from slicewise.imaging.formats.pixels import Values, stored_range
from slicewise.imaging.limits import Limits

_CHUNK = 1 << 20
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"

_GE_BIG_ENDIAN = uid.UID("1.2.840.113619.5.2")
"""Private: a data set in little endian around pixels in big endian."""
_ENCAPSULATED = uid.UID("1.2.840.10008.1.2.1.98")
"""Encapsulated Uncompressed: the frames as they are, each in fragments."""

NATIVE = {
    uid.ImplicitVRLittleEndian: uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian: uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian: uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian: uid.ExplicitVRLittleEndian,
    _GE_BIG_ENDIAN: uid.ExplicitVRBigEndian,
    _ENCAPSULATED: uid.ExplicitVRLittleEndian,
}
"""Transfer syntaxes whose pixels are not compressed, and a standard one of the same byte order."""

# One decoder for each syntax: others would be tried after it, and some of those end the process on
# broken data (GDCM aborts, pylibjpeg-rle panics). Lossless JPEG has no decoder but GDCM.
DECODERS = {
    uid.RLELossless: "pydicom",
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit), "pillow"),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "pyjpegls"),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), "pylibjpeg"),
    **dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), "pylibjpeg"),
    **dict.fromkeys((uid.JPEGLossless, uid.JPEGLosslessSV1), "gdcm"),
}
"""Compressed transfer syntaxes, and pydicom's name of the decoder that reads them."""

_NEW_NAMES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
}
"""Of UIDs younger than pydicom's dictionary."""

_SEGMENTATIONS = frozenset((uid.SegmentationStorage, "1.2.840.10008.5.1.4.1.1.66.7"))
"""SOP classes whose pixels are marks, not an image."""

_SIZES = {"PixelData": (1, 8, 16, 32, 64), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}
"""Bits Allocated (0028,0100) by where the pixels are."""
_SAMPLES = {
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}
"""Samples per Pixel (0028,0002) by Photometric Interpretation (0028,0004)."""
_OTHER_COLOURS = ("HSV", "ARGB", "CMYK", "XYB", "YBR_PARTIAL_422", "YBR_PARTIAL_420")


def load_dataset(stream: BinaryIO, limits: Limits) -> Dataset:
    """Read a DICOM image whose header says that its pixels can be read.

    Raises:
        LimitError: It declares more than the limits allow.
        UnsupportedImageError: It is no image, or in a transfer syntax that is not read.
        InputError: It lacks what describes an image.
    """
    with suppress(InputError):
        dataset = _read(stream, limits)
        if any(keyword in dataset for keyword in _SIZES):
            _check_header(dataset, limits)
            return dataset
    # The header alone says more; and pydicom gives nothing where the end of the pixels is missing.
    header = load_header(stream, limits)
    _check_header(header, limits)
    stream.seek(0)
    end = _SEQUENCE_END if is_encapsulated(header) else b""
    return _read(BytesIO(stream.read() + end), limits)


def _check_header(header: Dataset, limits: Limits) -> None:
    _check_image(header)
    _check_syntax(header)
    frames = frame_count(header)
    if frames < 1:
        raise InputError(f"expected {named('NumberOfFrames')} of 1 or more, got {frames}")
    rows, columns = (whole_in(header, k, range(1 << 16)) for k in ("Rows", "Columns"))
    limits.check_image(rows, columns, frames)


def is_encapsulated(dataset: Dataset) -> bool:
    """Whether the pixels lie in fragments, compressed or not (PS3.5 A.4)."""
    syntax = dataset.file_meta.TransferSyntaxUID
    return syntax in DECODERS or syntax == _ENCAPSULATED


def load_header(stream: BinaryIO, limits: Limits, tags: list[BaseTag] | None = None) -> Dataset:
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
    syntax = value_of(dataset.file_meta, "TransferSyntaxUID")
    if not syntax or not isinstance(syntax, uid.UID):  # then it is in the one it was found to be in
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _check_image(dataset: Dataset) -> None:
    if not dataset:  # pydicom gives up everything where an element is cut off
        raise InputError("expected a DICOM image, got a file without attributes (truncated)")
    if "Rows" not in dataset and "PhotometricInterpretation" not in dataset:
        raise _no_pixels(dataset)
    if text_in(dataset, "SOPClassUID") in _SEGMENTATIONS:
        raise UnsupportedImageError(f"expected a DICOM image, got {_kind(dataset)}, which is none")


def _no_pixels(dataset: Dataset) -> InputError:
    got = f"{_kind(dataset)} without Pixel Data (7FE0,0010)"
    return InputError(f"expected a DICOM image, got {got}")


def _kind(dataset: Dataset) -> str:
    """What a data set is by its SOP class, which PS3.6 names."""
    found = value_of(dataset, "SOPClassUID") or value_of(
        dataset.file_meta, "MediaStorageSOPClassUID"
    )
    known = isinstance(found, uid.UID) and found.is_valid
    return f"an object of SOP class {_name(found)}" if known else "a data set"


def _name(known: uid.UID) -> str:
    return _NEW_NAMES.get(known, known.name)


def _check_syntax(dataset: Dataset) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in NATIVE or syntax in DECODERS:
        return
    name, got = _name(syntax), "no UID"
    if syntax.is_valid:
        kind = "private" if syntax.is_private else "unknown"
        got = f"{name} ({syntax})" if name != syntax else f"the {kind} {syntax}"
    raise UnsupportedImageError(
        f"expected {named('TransferSyntaxUID')} of a kind that is read, got {got}"
    )


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


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What the header says of the pixels (PS3.3 C.7.6.3); numbers of bits are those of a sample."""

    keyword: str  # of the attribute that holds them
    frames: int
    rows: int
    columns: int
    photometric: str
    samples: int
    planar: int
    allocated: int
    stored: int
    high: int
    signed: bool | None  # None where the header does not say

    @property
    def is_float(self) -> bool:
        """Whether they are floating-point numbers, which have no bits of their own."""
        return self.keyword != "PixelData"

    def ends(self, stored: Values) -> Values:
        """(2,) the ends of the range of stored values; those found where they are float."""
        if self.is_float:
            return np.array([stored.min(), stored.max()])
        return np.array(stored_range(self.stored, bool(self.signed)))

    @property
    def length(self) -> int:
        """Bytes of all frames, not compressed."""
        bits = self.frames * self.rows * self.columns * self.samples * self.allocated
        return -(-bits // 8) * (2 if self.photometric == "YBR_FULL_422" else 3) // 3


def pixel_format(dataset: Dataset) -> PixelFormat:
    """What a data set says of its pixels, checked.

    Absent attributes are taken from others where only one value is possible: Samples per Pixel
    from the photometric interpretation, High Bit from Bits Stored, Planar Configuration as 0.

    Raises:
        InputError: An attribute is absent or impossible; the message names it.
        UnsupportedImageError: Its photometric interpretation is not read.
    """
    keyword = next((name for name in _SIZES if name in dataset), None)
    if keyword is None:
        raise _no_pixels(dataset)
    photometric = _photometric(dataset, keyword)
    samples = _SAMPLES[photometric]
    allocated = stored = whole_in(dataset, "BitsAllocated", _SIZES[keyword])
    high, signed = stored - 1, number_in(dataset, "PixelRepresentation")
    if keyword == "PixelData":
        stored = whole_in(dataset, "BitsStored", range(1, allocated + 1))
        high = whole_in(dataset, "HighBit", range(stored - 1, allocated), stored - 1)
        if signed is not None or photometric == "MONOCHROME1":  # its range has to be known
            expected = (0, 1) if samples == 1 else (0,)
            signed = whole_in(dataset, "PixelRepresentation", expected)
    return PixelFormat(
        keyword=keyword,
        frames=frame_count(dataset),
        rows=whole_in(dataset, "Rows", range(1 << 16)),
        columns=whole_in(dataset, "Columns", range(1 << 16)),
        photometric=photometric,
        samples=whole_in(dataset, "SamplesPerPixel", (samples,), samples),
        planar=whole_in(dataset, "PlanarConfiguration", (0, 1), 0) if samples > 1 else 0,
        allocated=allocated,
        stored=stored,
        high=high,
        signed=False if samples > 1 or stored == 1 else None if signed is None else bool(signed),
    )


def whole_in(
    dataset: Dataset, keyword: str, allowed: Container[int], default: int | None = None
) -> int:
    """An attribute that must be one of some whole numbers; `default` where it is absent.

    Raises:
        InputError: It is another one, or absent without a default.
    """
    found = number_in(dataset, keyword)
    value = default if found is None else found
    if value is not None and value == int(value) and int(value) in allowed:
        return int(value)
    got = "none" if value is None else f"{value:g}"
    raise InputError(f"expected {named(keyword)} {_listed(allowed)}, got {got}")


def _listed(allowed: Container[int]) -> str:
    if isinstance(allowed, range):
        return f"from {allowed[0]} to {allowed[-1]}"
    return "of " + " or ".join(map(str, allowed))  # type: ignore[call-overload]


def _photometric(dataset: Dataset, pixels: str) -> str:
    keyword = "PhotometricInterpretation"
    found = (text_in(dataset, keyword) or "").strip(" \0").upper()
    known = [name for name in _SAMPLES if pixels == "PixelData" or "MONOCHROME" in name]
    if found in known:
        return found
    got = found if found in (*_SAMPLES, *_OTHER_COLOURS) else "another value" if found else "none"
    error = UnsupportedImageError if found else InputError
    raise error(f"expected {named(keyword)} of {', '.join(known)}, got {got}")
