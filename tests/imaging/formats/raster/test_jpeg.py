import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from builders_imaging import picture_bytes, ramp
from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.read import read_slices


def pixels_of(data):
    (slice_,) = read_slices(data)
    return slice_.pixels


GREY = (ramp() % 251).astype(np.uint8)
JPEG = picture_bytes(GREY // 2, "JPEG", quality=95)
COLOUR = Image.fromarray(np.stack([GREY // 2] * 3, -1))


def with_segments(data, *segments):
    """A JPEG with further segments, (marker, data), before its own."""
    extra = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
        for marker, content in segments
    )
    return data[:2] + extra + data[2:]


def pictures_in_one():
    pages = [Image.fromarray(GREY // 2), Image.fromarray(GREY)]
    return picture_bytes(pages[0], "MPO", save_all=True, append_images=pages[1:], quality=95)


@pytest.mark.parametrize(
    "data",
    [
        picture_bytes(GREY // 2, "JPEG", quality=95, progressive=True),
        picture_bytes(COLOUR, "JPEG", quality=95),
        picture_bytes(COLOUR, "JPEG", mode="CMYK", quality=95),
        pictures_in_one(),
        JPEG + b"trailing" * 99,
        with_segments(JPEG, (0xE1, b"Exif\0\0junkjunkjunk")),
        with_segments(JPEG, (0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x05\1\x12")),
        with_segments(JPEG, (0xE1, b"http://ns.adobe.com/xap/1.0/\0tiff:Orientation='Q'")),
        with_segments(JPEG, *[(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"x" * 60_000)] * 5),
        with_segments(JPEG, (0xE2, b"ICC_PROFILE\0\1\x09junk"), (0xE2, b"MPF\0junkjunk")),
        with_segments(JPEG, (0xED, b"Photoshop 3.0\0008BIMjunk"), (0xEE, b"Adobe\0d\0\0\0\0\0")),
    ],
)
def test_any_common_jpeg_is_read(data):
    assert np.abs(pixels_of(data) - GREY // 2).max() < 12


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (imagecodecs.jpeg8_encode(ramp(scale=8), bitspersample=12), "JPEG of 12 bits"),
        (imagecodecs.ljpeg_encode(ramp()), "lossless JPEG of 16 bits"),
        (imagecodecs.jpegls_encode(ramp()), "JPEG-LS"),
    ],
)
def test_a_jpeg_that_is_not_read_is_named(data, got):
    with pytest.raises(UnsupportedImageError, match=f"JPEG of 8 bits, got {got}; save it as PNG"):
        read_slices(data)


def test_a_truncated_jpeg_is_refused():
    with pytest.raises(InputError, match=r"readable JPEG picture, got broken or truncated data$"):
        read_slices(JPEG[: len(JPEG) * 3 // 4])
