"""What a compressed image declares of itself, read before any decoder allocates for it."""

from __future__ import annotations

from dataclasses import dataclass

_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG, and of JPEG-LS the last; those taken out are of tables."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The headers of a codestream: its size in pixels, and bits of each of its samples."""

    rows: int
    columns: int
    bits: int
    samples: int
    lossy: bool = False  # JPEG 2000 and JPEG-LS: values need not be exactly those encoded


def codestream_in(frame: bytes) -> bytes:
    """The codestream in a JP2 file, which DICOM does not allow and some write; else the frame.

    The boxes round it say nothing that the header does not, and pydicom never ends on some of them.
    """
    start = frame.find(_J2K_START) if frame.startswith(_JP2_SIGNATURE) else 0
    return frame[max(0, start) :]


def declaration(codestream: bytes) -> Declaration | None:
    """What a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream declares.

    Returns:
        None where it is none of these, or where no frame header is found.
    """
    if codestream.startswith(_J2K_START):
        return _from_j2k(codestream)
    return _from_jpeg(codestream) if codestream.startswith(_JPEG_START) else None


def _from_j2k(codestream: bytes) -> Declaration | None:
    """From the SIZ segment (ISO 15444-1 A.5.1): grid size less image offset, first component.

    The wavelet is that of the COD segment (A.6.1), 0 for the one that does not give back the same.
    """
    if len(codestream) < 43:
        return None
    right, bottom, left, top = (_number(codestream, at, 4) for at in (8, 12, 16, 20))
    bits = (codestream[42] & 0x7F) + 1
    at = 4 + _number(codestream, 4, 2)
    while codestream[at : at + 1] == b"\xff" and codestream[at + 1 : at + 2] not in b"\x52\x90":
        at += 2 + _number(codestream, at + 2, 2)
    lossy = codestream[at + 1 : at + 2] == b"\x52" and codestream[at + 13 : at + 14] == b"\0"
    return Declaration(bottom - top, right - left, bits, _number(codestream, 40, 2), lossy)


def _from_jpeg(codestream: bytes) -> Declaration | None:
    """From the first start-of-frame segment (ISO 10918-1 B.2.2, ISO 14495-1 C.2.2)."""
    at = 2
    while at + 10 <= len(codestream) and codestream[at] == 0xFF:
        marker = codestream[at + 1]
        if marker == 0xFF:  # fill byte before a marker
            at += 1
        elif marker in _FRAME_HEADERS:
            rows, columns = (_number(codestream, at + skip, 2) for skip in (5, 7))
            bits, samples = codestream[at + 4], codestream[at + 9]
            scan = codestream.find(b"\xff\xda", at)
            near = scan + 5 + 2 * _number(codestream, scan + 4, 1)  # the error allowed (C.2.3)
            lossy = marker == 0xF7 and codestream[near : near + 1] > b"\0"
            return Declaration(rows, columns, bits, samples, lossy)
        else:
            at += 2 + _number(codestream, at + 2, 2)
    return None


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
