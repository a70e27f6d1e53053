"""What a file holds, told from its first bytes and never from its name."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO, Literal

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.known import known_as
from slicewise.imaging.formats.neuroimaging import known_volume, pair_of

Content = Literal["PNG", "JPEG", "TIFF", "BMP", "WEBP", "DICOM", "NIFTI", "ZIP"]

FORMATS = "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI or zip"
"""What is read, in words."""

HEAD_BYTES = 1024
"""How many first bytes `content_of` wants to see."""

_MAGIC: tuple[tuple[bytes, Content], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
)
_GZIP = zlib.MAX_WBITS | 16
_CHUNK = 1 << 16
_EMPTY_MEMBERS = 1000  # of gzip data, more than any program writes
_BMP_HEADER_SIZES = frozenset(n.to_bytes(4, "little") for n in (12, 16, 40, 52, 56, 64, 108, 124))
_VALUE_REPRESENTATIONS = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UI UL UN US OB".split())


def content_of(head: bytes) -> Content | None:
    """The format of a file, None where it is none that is read here.

    Args:
        head: Its first `HEAD_BYTES` bytes, or all of them if it is shorter.
    """
    if has_preamble(head):  # first, because the preamble may make the file a TIFF as well
        return "DICOM"
    for magic, content in _MAGIC:
        if head.startswith(magic):
            return content
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[14:18] in _BMP_HEADER_SIZES:
        return "BMP"
    if _is_bare_dataset(head):
        return "DICOM"
    return "NIFTI" if _is_nifti(_inflated(head)) else None


def has_preamble(head: bytes) -> bool:
    """Whether a file starts as PS3.10 says: 128 bytes of preamble, then DICM."""
    return head[128:132] == b"DICM"


def is_gzip(head: bytes) -> bool:
    """Whether a file is compressed with gzip."""
    return head.startswith(b"\x1f\x8b")


def looks_like_text(head: bytes) -> bool:
    """Whether a file starts as readable text: UTF-8 without control characters."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut at the end of the head is still text
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(c.isprintable() or c.isspace() for c in text)


def unknown_content(head: bytes, name: str = "") -> UnsupportedImageError:
    """The error for a file whose format is not read here."""
    got, pair = known_volume(inner := _inflated(head)), pair_of(name)
    if got is None and pair is not None and not looks_like_text(head):
        got = f"half of {pair[1]}"
    if got is None and is_gzip(head):
        content = content_of(inner)
        within = f"{content}; unpack it first" if content else known_as(inner)
        got = f"gzip data that hold {within or 'no NIfTI volume'}"
    got = got or known_as(head) or ("text" if looks_like_text(head) else "unknown content")
    return UnsupportedImageError(f"expected {FORMATS}, got {got}")


def _is_bare_dataset(head: bytes) -> bool:
    """Whether the bytes start with an element of group 0002 or 0008, with no preamble before it."""
    explicit = head[4:6] in _VALUE_REPRESENTATIONS
    if len(head) < 16 or head[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return False
    if explicit or head[:2] == b"\x00\x08":  # what is big-endian is explicit
        return explicit
    length = int.from_bytes(head[4:8], "little")
    return head[3] < 0x20 and length < len(head) and _second_group(head, length) >= 0


def _second_group(head: bytes, length: int) -> int:
    """How far the group of the second implicit element lies behind the first; -1 if unreadable."""
    start = 8 + length
    if len(head) < start + 8:
        return -1
    first, second = (int.from_bytes(head[at : at + 2], "little") for at in (0, start))
    return second - first if second - first <= 0x20 else -1


def inflate(stream: BinaryIO, size: int) -> bytearray:
    """At most so many first bytes of what gzip data hold; fewer if they end, or are cut off.

    Members follow each other, and what is no member ends them. The checksum of each that ends
    within these bytes is checked.

    Raises:
        InputError: The data are damaged.
    """
    found, member = bytearray(), zlib.decompressobj(_GZIP)
    packed = stream.read(_CHUNK)
    begun = empty = 0
    try:
        while packed and len(found) <= size:  # one more byte shows whether a member goes on
            found += member.decompress(packed, size + 1 - len(found))
            packed = (member.unused_data or member.unconsumed_tail) or stream.read(_CHUNK)
            if member.eof:
                packed += stream.read(_CHUNK) if len(packed) < 2 else b""
                empty, begun = empty + (len(found) == begun), len(found)
                if not is_gzip(packed):
                    break
                if empty > _EMPTY_MEMBERS:
                    raise InputError(f"expected gzip data, got {empty:,} empty members of them")
                member = zlib.decompressobj(_GZIP)
    except zlib.error as error:
        raise InputError("expected intact gzip data, got damaged ones") from error
    del found[size:]
    return found


def _inflated(head: bytes) -> bytes:
    """What gzip data start with; other bytes as they are."""
    if not is_gzip(head):
        return head
    try:
        return bytes(inflate(io.BytesIO(head), HEAD_BYTES))
    except InputError:
        return b""


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\x00", b"ni1\x00") or head[4:8] in (b"n+2\x00", b"ni2\x00")
