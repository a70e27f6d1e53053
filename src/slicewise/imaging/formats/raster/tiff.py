"""The tags of a TIFF page: its pixels, and what to tell where Pillow cannot read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.formats.pixels import Values, fill_non_finite

SUBFILE, OLD_SUBFILE, BITS, COMPRESSION, PHOTOMETRIC, SAMPLE_FORMAT = 254, 255, 258, 259, 262, 339
PLANAR, SAMPLES = 284, 277
_DATA = {273, 324}  # StripOffsets, TileOffsets: late in the list, so the tags before are there
_NAMES = {
    SUBFILE: "NewSubfileType", OLD_SUBFILE: "SubfileType", BITS: "BitsPerSample",
    COMPRESSION: "Compression", PHOTOMETRIC: "PhotometricInterpretation",
    SAMPLE_FORMAT: "SampleFormat", PLANAR: "PlanarConfiguration",
    SAMPLES: "SamplesPerPixel",
}  # fmt: skip
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
_COMMON = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946))
_RARE = {
    9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 33003: "JPEG 2000",
    33004: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG", 34676: "SGI Log", 34677: "SGI Log",
    34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG", 34925: "LZMA", 50000: "Zstandard",
    50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
_SIGNED, _UNSIGNED = 2, 1
_FORMATS = {1: "unsigned", 2: "signed", 3: "float", 5: "complex", 6: "complex"}
_COLOURS = {
    0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK",
    6: "YCbCr", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "colour filter array",
    32844: "LogL", 32845: "LogLuv", 34892: "linear raw",
}  # fmt: skip


def opening_error(stream: BinaryIO) -> InputError | None:
    """Why Pillow could not open a TIFF, by the tags of its first page; None where it is broken.

    Raises:
        InputError: Not even the tags can be read.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    stream.seek(0)
    head = stream.read(8)
    if head.startswith(b"MM\x00+"):
        return UnsupportedImageError("expected a TIFF or a little-endian BigTIFF, got a big-endian")
    with decoding("TIFF picture"):
        tags = ImageFileDirectory_v2(head + stream.read(8) if head[2] == 43 else head)
        stream.seek(tags.next)
        tags.load(stream)
        whole = _DATA.intersection(tags)
    known = known_tags(tags)
    return (compression_error(known) or pixels_error(known)) if whole else None


def known_tags(tags: Mapping[int, Any]) -> dict[int, Any]:
    """Of the tags of a page those that are used here: others may be large, or broken."""
    with decoding("TIFF page"):
        return {tag: tags[tag] for tag in _NAMES if tag in tags}


def number_of(tags: Mapping[int, Any], tag: int, default: int) -> int:
    """The first number of a tag; `InputError` where it holds another kind of value."""
    value = tags.get(tag, default)
    first = value[0] if isinstance(value, tuple) and value else value
    if not isinstance(first, int):
        raise InputError(f"expected a whole number in {_named(tag)}, got another value")
    return first


def is_extra(tags: Mapping[int, Any]) -> bool:
    """Whether a page is a smaller copy of another page, or a mask of it."""
    reduced = number_of(tags, SUBFILE, 0) & (_REDUCED | _MASK)
    return bool(reduced) or number_of(tags, OLD_SUBFILE, 0) == _OLD_REDUCED


def is_misread(tags: Mapping[int, Any], big_endian: bool) -> bool:
    """Whether Pillow gives other values than a page has.

    It mistakes planes of grey with alpha, and those of more than 8 bits that are not compressed. It
    swaps the bytes of big-endian numbers, other than unsigned ones of 16 bits, again after a
    library that decompresses has done so.
    """
    bits, kind = number_of(tags, BITS, 1), number_of(tags, SAMPLE_FORMAT, _UNSIGNED)
    packed = number_of(tags, COMPRESSION, 1) != 1
    if number_of(tags, PLANAR, 1) == 2 and number_of(tags, SAMPLES, 1) > 1:
        return number_of(tags, PHOTOMETRIC, 1) < 2 or (bits > 8 and not packed)
    return bits > 8 and big_endian and packed and (bits, kind) != (16, _UNSIGNED)


def as_tagged(values: Values, tags: Mapping[int, Any]) -> Values:
    """(H, W) values of a grey page as its tags have them: signed or not, larger is brighter.

    NaN and infinity become the smallest finite value.

    Raises:
        UnsupportedImageError: Zero is white, and the values are not unsigned.
        InputError: No value is finite.
    """
    kind = number_of(tags, SAMPLE_FORMAT, _UNSIGNED)
    if kind == _SIGNED and values.dtype == np.uint8:
        values = values.view(np.int8)
    if kind == _UNSIGNED and values.dtype == np.int32 and number_of(tags, BITS, 1) == 32:
        values = values.view(np.uint32)
    if number_of(tags, PHOTOMETRIC, 1) == 0 and values.dtype != np.uint8:  # Pillow turns 8 bits
        if kind != _UNSIGNED:
            raise UnsupportedImageError("expected unsigned values where zero is white, got others")
        return (1 << number_of(tags, BITS, 1)) - 1 - values.astype(np.int64)
    return fill_non_finite(values) if values.dtype.kind == "f" else values


def compression_error(tags: Mapping[int, Any]) -> UnsupportedImageError | None:
    """What to tell of a page that cannot be decoded and is not compressed in a common way."""
    if (method := number_of(tags, COMPRESSION, 1)) in _COMMON:
        return None
    got = f"{_named(COMPRESSION)} {method} ({_RARE.get(method, 'unknown')})"
    return UnsupportedImageError(
        f"expected a TIFF that can be decoded here, got {got} or broken data; "
        "save it without compression"
    )


def pixels_error(tags: Mapping[int, Any]) -> UnsupportedImageError:
    """What to tell of a page whose kind of pixels is not read."""
    colour, kind = number_of(tags, PHOTOMETRIC, 1), number_of(tags, SAMPLE_FORMAT, _UNSIGNED)
    got = (
        f"{_named(PHOTOMETRIC)} {colour} ({_COLOURS.get(colour, 'unknown')}), "
        f"{_named(BITS)} {number_of(tags, BITS, 1)}, "
        f"{_named(SAMPLE_FORMAT)} {kind} ({_FORMATS.get(kind, 'unknown')})"
    )
    got += f", {_named(PLANAR)} 2 (planes)" if number_of(tags, PLANAR, 1) == 2 else ""
    return UnsupportedImageError(
        f"expected pixels of a kind that is read, got {got}; save it as 16-bit or float32 grey "
        "without compression"
    )


def _named(tag: int) -> str:
    return f"{_NAMES[tag]} ({tag})"
