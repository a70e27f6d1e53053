"""Which kinds of JPEG are not read (ISO/IEC 10918-1, B.1.1.3): told by the frame header."""

from __future__ import annotations

import io
from typing import BinaryIO

from slicewise.errors import UnsupportedImageError

_NO_FRAME = (0xC4, 0xC8, 0xCC)  # tables that stand among the markers of frames
_KINDS = {0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical"}
_LONGEST = 1 << 20  # bytes in which a frame header is looked for
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length


def jpeg_error(stream: BinaryIO) -> UnsupportedImageError | None:
    """What to tell of a JPEG that could not be opened; None where its kind is a common one."""
    stream = io.BytesIO(stream.read(_LONGEST))
    while marker := _next_marker(stream):
        if marker in _ALONE:
            continue
        length = int.from_bytes(stream.read(2), "big")
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            bits = int.from_bytes(stream.read(1), "big")
            kind = _KINDS.get(marker, "arithmetic" if marker > 0xC8 else "")
            return _told(f"{kind} JPEG of {bits} bits".strip()) if kind or bits != 8 else None
        if marker == 0xF7:
            return _told("JPEG-LS")
        stream.seek(max(0, length - 2), io.SEEK_CUR)
    return None


def _next_marker(stream: BinaryIO) -> int:
    """The code of the next marker; 0 where the file ends or the image data begin."""
    while (byte := stream.read(1)) and byte != b"\xff":
        pass
    while (byte := stream.read(1)) == b"\xff":
        pass
    return 0 if byte in (b"", b"\xda", b"\xd9") else byte[0]


def _told(got: str) -> UnsupportedImageError:
    wanted = "a baseline or progressive JPEG of 8 bits"
    return UnsupportedImageError(f"expected {wanted}, got {got}; save it as PNG")
