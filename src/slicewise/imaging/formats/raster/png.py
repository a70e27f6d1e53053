"""What of a PNG file its picture needs (ISO/IEC 15948): Pillow is given that and nothing else.

Text, profiles and times beside a picture may be broken or huge; none of them changes a pixel.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from slicewise.errors import InputError, UnsupportedImageError

ANNOTATION_PREFIX = "slicewise:"
"""How the keys of PNG text begin that become annotations."""

_SIGNATURE_BYTES = 8
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_TEXT = (b"tEXt", b"iTXt")
_MOST_BYTES = 1 << 16  # of one chunk beside the picture, and of all own text together


def bare_png(stream: BinaryIO) -> BinaryIO:
    """A PNG with what makes its picture, its orientation and shape of pixels, and our own text.

    Raises:
        UnsupportedImageError: It is an animation, or has a chunk that must be known and is not.
        InputError: It ends within the picture.
    """
    bare = io.BytesIO()
    bare.write(stream.read(_SIGNATURE_BYTES))
    text = 0
    for kind, data, check in _chunks(stream):
        if kind not in _CRITICAL:
            whole = int.from_bytes(check, "big") == zlib.crc32(kind + data)
            if not (whole and _is_wanted(kind, data)):
                continue
            text += len(data) if kind in _TEXT else 0
            if text > _MOST_BYTES:
                continue
        for part in (len(data).to_bytes(4, "big"), kind, data, check):
            bare.write(part)
    bare.seek(0)
    return bare


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Type, data and check sum of every chunk up to the end; of large ones beside it, no data."""
    while len(head := stream.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if not kind.isalpha():
            raise InputError("expected a readable PNG picture, got broken data between its chunks")
        if kind not in _CRITICAL:
            if kind[:1].isupper():
                got = f"the chunk {kind.decode('ascii')}"
                raise UnsupportedImageError(f"expected a PNG of chunks of the standard, got {got}")
            if length > _MOST_BYTES:
                stream.seek(length + 4, io.SEEK_CUR)
                continue
        data, check = stream.read(length), stream.read(4)
        if len(data) < length or (len(check) < 4 and kind in _CRITICAL[:3]):
            break
        yield kind, data, check
        if kind == b"IEND":
            return
    else:
        kind = b""
    if kind in _CRITICAL[:3]:
        got = f"one that ends within its chunk {kind.decode('ascii')}"
        raise InputError(f"expected a complete PNG picture, got {got} (truncated)")
    yield b"IEND", b"", zlib.crc32(b"IEND").to_bytes(4, "big")


def _is_wanted(kind: bytes, data: bytes) -> bool:
    if kind == b"acTL" and (frames := int.from_bytes(data[:4], "big")) > 1:
        raise UnsupportedImageError(f"expected a still picture, got {frames} animated frames")
    if kind in _TEXT:
        _, _, rest = data.partition(b"\0")
        plain = kind == b"tEXt" or rest[:1] == b"\0"  # not compressed
        return plain and data.startswith(ANNOTATION_PREFIX.encode())
    return kind in (b"tRNS", b"eXIf") or (kind == b"pHYs" and len(data) == 9)
