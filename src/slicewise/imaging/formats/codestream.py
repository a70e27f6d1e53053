"""What a compressed image declares of itself, read before any decoder acts on it.

A decoder allocates for, and some crash on, what stands here, whatever the DICOM header says.
"""

from __future__ import annotations

from dataclasses import dataclass

_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_NO_FRAME_HEADER = (0xC4, 0xC8, 0xCC)  # inside C0 to CF, but tables, not a start of frame
_JPEG_LS_FRAME = 0xF7


@dataclass(frozen=True, slots=True)
class Declaration:
    """The frame header of a codestream.

    Args:
        rows: Height in pixels.
        columns: Width in pixels.
    """

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
        elif _is_frame_header(marker):
            rows, columns = (_number(codestream, at + skip, 2) for skip in (5, 7))
            return Declaration(rows, columns, codestream[at + 4], codestream[at + 9])
        else:
            at += 2 + _number(codestream, at + 2, 2)
    return None


def _is_frame_header(marker: int) -> bool:
    in_range = 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER
    return in_range or marker == _JPEG_LS_FRAME


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
