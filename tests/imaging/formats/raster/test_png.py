import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from builders_imaging import picture_bytes, png_with, ramp
from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.read import read_slices


def pixels_of(data):
    (slice_,) = read_slices(data)
    return slice_.pixels


GREY = (ramp() % 251).astype(np.uint8)
PNG = picture_bytes(GREY)
MEGABYTES = b"x" * 3_000_000
BOMB = zlib.compress(bytes(9_000_000))


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    "chunks",
    [
        [(b"tEXt", b"Comment\0" + MEGABYTES)],
        [(b"zTXt", b"Comment\0\0" + BOMB)],
        [(b"iTXt", b"Comment\0\1\0\0\0" + BOMB)],
        [(b"iCCP", b"profile\0\0" + BOMB)],
        [(b"tEXt", b"C\0" + MEGABYTES)] * 4,
        [(b"tEXt", b"slicewise:x\0" + MEGABYTES[:9_000])] * 80,
        [(b"tEXt", b"C\0x", False)],
        [(b"zTXt", b"C\0\0junk")],
        [(b"iCCP", b"")],
        [(b"iCCP", b"profile\0\7junk")],
        [(b"eXIf", b"junk")],
        [(b"eXIf", b"MM\0*\0\0\0\x08\0\x05\1\x12")],
        [(b"gAMA", (45455).to_bytes(4, "big"))],
        [(b"gAMA", b"\0", False)],
        [(b"pHYs", b"x"), (b"tIME", b""), (b"sRGB", b""), (b"prVt", MEGABYTES)],
        [(b"acTL", bytes([0, 0, 0, 1, 0, 0, 0, 0]))],
        [(b"acTL", bytes([0, 0, 0, 9, 0, 0, 0, 0]), False)],
    ],
)
def test_what_stands_beside_a_png_picture_does_not_lose_it(chunks, behind):
    np.testing.assert_array_equal(pixels_of(png_with(PNG, *chunks, behind=behind)), GREY)


def test_own_text_is_kept_beside_text_that_is_too_long():
    data = png_with(PNG, (b"tEXt", b"a\0" + MEGABYTES), (b"tEXt", b"slicewise:drawn\0yes"))
    (slice_,) = read_slices(data)
    assert slice_.annotations == {"drawn": "yes"}


@pytest.mark.parametrize("data", [PNG[:-12], PNG[:-5], PNG + b"garbage" * 99])
def test_a_png_needs_no_right_end(data):
    np.testing.assert_array_equal(pixels_of(data), GREY)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (PNG[:-40], r"complete PNG picture, got one that ends within its chunk IDAT \(truncated\)"),
        (PNG[:20], "ends within its chunk IHDR"),
        (png_with(PNG, (b"CgBI", b"abcd")), "chunks of the standard, got the chunk CgBI"),
        (PNG[:33] + bytes(8) + PNG[33:], "broken data between its chunks"),
        (PNG.replace(b"IDAT", b"JUNK"), "got the chunk JUNK"),
        (PNG[:60] + bytes(9) + PNG[69:], "readable PNG picture, got broken or truncated data$"),
    ],
)
def test_a_broken_png_is_told(data, error):
    with pytest.raises(InputError, match=error):
        read_slices(data)


def test_an_animated_png_is_refused():
    frames = [Image.fromarray(GREY + k) for k in (0, 1, 2)]
    data = picture_bytes(frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedImageError, match="a still picture, got 3 animated frames"):
        read_slices(data)


def png_of(raw, bits, colour, *, interlaced=False):
    """A PNG whose lines are the bytes of an array; interlaced only where one pass holds all."""
    header = struct.pack(">IIBBBBB", raw.shape[1], raw.shape[0], bits, colour, 0, 0, interlaced)
    lines = zlib.compress(b"".join(b"\0" + line.tobytes() for line in raw))
    bare = b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82"
    return png_with(png_with(bare, (b"IHDR", header), behind=True), (b"IDAT", lines), behind=True)


def test_16_bit_grey_with_transparency_is_read_with_8_bits():
    deep = np.stack([ramp(scale=130), np.full((20, 24), 65535)], -1).astype(">u2")
    np.testing.assert_array_equal(pixels_of(png_of(deep, 16, 4)), deep[..., 0] >> 8)


def test_16_bit_grey_of_the_transparent_value_is_black():
    data = png_with(picture_bytes(ramp()), (b"tRNS", b"\0\7"))
    np.testing.assert_array_equal(pixels_of(data), np.where(ramp() == 7, 0, ramp()))


def test_an_interlaced_png_is_read():
    small = np.arange(256, dtype=np.uint8).reshape(16, 16)
    passes = [
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]  # fmt: skip
    lines = b"".join(
        b"\0" + line.tobytes()
        for top, left, down, across in passes
        for line in small[top::down, left::across]
    )
    whole = png_of(small, 8, 0, interlaced=True)
    at = whole.index(b"IDAT") - 4
    bare = whole[:at] + whole[-12:]
    data = png_with(bare, (b"IDAT", zlib.compress(lines)), behind=True)
    np.testing.assert_array_equal(pixels_of(data), small)


PALETTE = (b"PLTE", bytes([200] * 30))


@pytest.mark.parametrize(
    "chunks",
    [[], [PALETTE, (b"tRNS", bytes(range(150)) * 2)]],
    ids=["no-colours", "alphas-past-256"],
)
def test_a_broken_palette_is_the_fault_of_the_file(chunks):
    data = png_with(png_of((ramp() % 10).astype(np.uint8), 8, 3), *chunks)
    with pytest.raises(InputError, match="expected a readable PNG picture") as told:
        read_slices(data)
    assert type(told.value) is InputError


def test_a_palette_is_read_with_its_transparency():
    indices = (ramp() % 10).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(png_with(png_of(indices, 8, 3), PALETTE)), 200)
    data = png_with(png_of(indices, 8, 3), PALETTE, (b"tRNS", bytes([255, 0, 255])))
    np.testing.assert_array_equal(pixels_of(data), np.where(indices == 1, 0, 200))
