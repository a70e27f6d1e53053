"""What a file is that is not read here, told from its first bytes, and what to do about it."""

from __future__ import annotations

import re

_SAVE = "save it as PNG or JPEG"
_UNPACK = "unpack it first, or make it a zip"
_FILM = "save the picture as PNG or JPEG"

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", f"a GIF picture; {_SAVE}"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", f"a JPEG 2000 picture; {_SAVE}"),
    (0, b"\xff\x4f\xff\x51", f"a JPEG 2000 picture; {_SAVE}"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", f"a JPEG XL picture; {_SAVE}"),
    (0, b"\xff\x0a", f"a JPEG XL picture; {_SAVE}"),
    (0, b"II\xbc\x01", f"a JPEG XR picture; {_SAVE}"),
    (0, b"8BPS", f"a Photoshop picture; {_SAVE}"),
    (0, b"\x00\x00\x01\x00", f"an icon; {_SAVE}"),
    (0, b"\x00\x00\x02\x00", f"a cursor; {_SAVE}"),
    (0, b"icns", f"an icon; {_SAVE}"),
    (0, b"\x8aMNG", f"an MNG animation; {_SAVE}"),
    (0, b"\x8bJNG", f"a JNG picture; {_SAVE}"),
    (0, b"v/1\x01", f"an OpenEXR picture; {_SAVE}"),
    (0, b"qoif", f"a QOI picture; {_SAVE}"),
    (0, b"DDS ", f"a DDS picture; {_SAVE}"),
    (0, b"BPG\xfb", f"a BPG picture; {_SAVE}"),
    (0, b"SIMPLE  =", f"a FITS file; {_SAVE}"),
    (0, b"AT&TFORM", f"a DjVu document; {_SAVE}"),
    (0, b"%PDF-", f"a PDF document; {_FILM}"),
    (0, b"%!PS", f"a PostScript document; {_FILM}"),
    (0, b"{\\rtf", f"an RTF document; {_FILM}"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document or Windows database"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (0, b"Rar!\x1a\x07", f"a RAR archive; {_UNPACK}"),
    (0, b"PK\x07\x08", "the first part of a split zip; join its parts first"),
    (0, b"MSCF", f"a cabinet archive; {_UNPACK}"),
    (4, b"1AY&SY", f"bzip2 data; {_UNPACK}"),
    (0, b"\xfd7zXZ\x00", f"XZ data; {_UNPACK}"),
    (0, b"\x28\xb5\x2f\xfd", f"Zstandard data; {_UNPACK}"),
    (0, b"\x04\x22\x4d\x18", f"LZ4 data; {_UNPACK}"),
    (0, b"\x1f\x9d", f"compress (.Z) data; {_UNPACK}"),
    (257, b"ustar", f"a tar archive; {_UNPACK}"),
    (0, b"\x1a\x45\xdf\xa3", f"a Matroska film; {_FILM}"),
    (0, b"\x00\x00\x01\xba", f"an MPEG film; {_FILM}"),
    (0, b"MATLAB ", "a MATLAB file; save its slices as PNG, TIFF or NIfTI"),
    (0, b"\x93NUMPY", "a NumPy array; give the array itself in Python, or save it as TIFF"),
    (0, b"SQLite format 3\x00", "an SQLite database"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"\x00\x05\x16\x07", "an AppleDouble file, which macOS puts beside others"),
)
"""Offset, bytes and words; what comes first counts."""

_RIFF = {b"AVI ": f"an AVI film; {_FILM}", b"WAVE": "a sound file"}
_BRANDS = {
    b"avif": f"an AVIF picture; {_SAVE}",
    b"avis": f"an AVIF picture; {_SAVE}",
    b"jp2 ": f"a JPEG 2000 picture; {_SAVE}",
    b"crx ": f"a raw photograph; {_SAVE}",
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
        f"a HEIC picture; {_SAVE}",
    ),
}
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")
_MARKUP = (
    (re.compile(rb"<svg[\s>]", re.I), f"an SVG drawing; {_SAVE}"),
    (re.compile(rb"<(!doctype html|html)[\s>]", re.I), "a web page (a failed download?)"),
)
_PORTABLE = re.compile(rb"P[1-7fF]\s")


def known_as(head: bytes) -> str | None:
    """What a file is called, with an article and with advice; None where it is not known.

    Args:
        head: Its first bytes.
    """
    if head[4:8] == b"ftyp":
        brands = (head[8:12], *(head[at : at + 4] for at in range(16, 64, 4)))
        known = next((words for brand, words in _BRANDS.items() if brand in brands), None)
        return known or f"an MP4 or QuickTime film; {_FILM}"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if _PORTABLE.match(head):
        return f"a PGM, PPM or PFM picture; {_SAVE}"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()  # of a mark, and of spaces
    if start.startswith(b"<"):
        return next((words for pattern, words in _MARKUP if pattern.search(start)), None)
    if is_program(head):
        return "a program"
    return next((words for at, magic, words in _MAGIC if head.startswith(magic, at)), None)


def is_program(head: bytes) -> bool:
    """Whether a file is a program for some system, which lies beside images on patients' discs."""
    return head.startswith(_PROGRAMS) and b"\x00" in head  # what holds no zero may be text
