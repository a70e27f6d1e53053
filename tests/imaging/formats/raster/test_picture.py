import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import AppendingTiffWriter

from builders_imaging import picture_bytes, png_header, ramp
from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_slices


def pixels_of(data):
    (slice_,) = read_slices(data)
    assert slice_.pixels.dtype == np.float32
    return slice_.pixels


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_8_bit_grey_is_kept(kind):
    grey = (ramp() % 251).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(picture_bytes(grey, kind)), grey)


def test_lossless_webp_is_kept():
    grey = (ramp() % 251).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(picture_bytes(grey, "WEBP", lossless=True)), grey)


def test_jpeg_is_decoded_as_pillow_decodes_it():
    data = picture_bytes((ramp() // 2).astype(np.uint8), "JPEG", quality=95)
    assert np.abs(pixels_of(data) - ramp() // 2).max() < 8


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_depth(kind):
    deep = ramp(scale=130)
    np.testing.assert_array_equal(pixels_of(picture_bytes(deep, kind)), deep)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bit_tiff_keeps_its_values(dtype):
    deep = ramp(dtype=dtype, scale=-3)
    np.testing.assert_array_equal(pixels_of(picture_bytes(deep, "TIFF")), deep)


def test_big_endian_16_bit_tiff():
    deep = ramp(scale=130)
    image = Image.frombytes("I;16B", (24, 20), deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(pixels_of(picture_bytes(image, "TIFF")), deep)


def test_colour_becomes_luminance_as_pillow_rounds_it():
    rgb = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(rgb).convert("L"))
    np.testing.assert_array_equal(pixels_of(picture_bytes(rgb)), expected)


def test_transparency_is_laid_on_black():
    rgba = np.full((20, 24, 4), 200, np.uint8)
    rgba[:10, :, 3] = 0
    rgba[10:, :, 3] = 255
    expected = np.repeat([0, 200], 10)[:, None] * np.ones((1, 24))
    np.testing.assert_array_equal(pixels_of(picture_bytes(rgba)), expected)
    grey_alpha = picture_bytes(Image.fromarray(rgba), mode="LA")
    np.testing.assert_array_equal(pixels_of(grey_alpha), expected)


def test_palette_with_a_transparent_colour():
    image = Image.new("P", (24, 20), 1)
    image.putpalette([255, 255, 255, 90, 90, 90])
    image.paste(0, (0, 0, 12, 20))
    values = pixels_of(picture_bytes(image, transparency=0))
    assert set(np.unique(values[:, :12])) == {0}
    assert set(np.unique(values[:, 12:])) == {90}


def test_palette_without_transparency():
    image = Image.new("P", (24, 20), 1)
    image.putpalette([255, 255, 255, 90, 90, 90])
    assert np.all(pixels_of(picture_bytes(image)) == 90)


def test_bilevel_is_black_and_white():
    image = Image.fromarray((ramp() % 2 * 255).astype(np.uint8)).convert("1")
    assert set(np.unique(pixels_of(picture_bytes(image)))) == {0, 255}


@pytest.mark.parametrize(("kind", "depth"), [("PNG", 8), ("TIFF", 8), ("TIFF", 16), ("WEBP", 8)])
def test_exif_orientation_is_applied(kind, depth):
    pixels = ramp() if depth == 16 else (ramp() % 251).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = picture_bytes(pixels, kind, exif=exif, **lossless)
    np.testing.assert_array_equal(pixels_of(data), np.rot90(pixels, -1))


GREY = (ramp() % 251).astype(np.uint8)


def jfif(units, across, down):
    """A JPEG with these words in its JFIF segment (ISO 10918-5, 10.1)."""
    data = bytearray(picture_bytes(GREY, "JPEG"))
    assert data[6:11] == b"JFIF\0"
    data[13:18] = struct.pack(">BHH", units, across, down)
    return bytes(data)


def png_phys(unit, across, down):
    """A PNG with a pHYs chunk."""
    body = b"pHYs" + struct.pack(">IIB", across, down, unit)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    data = picture_bytes(GREY)
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (jfif(0, 2, 1), (40, 24)),
        (jfif(1, 72, 144), (20, 48)),
        (jfif(2, 30, 20), (30, 24)),
        (jfif(0, 1, 1), (20, 24)),
        (jfif(1, 300, 301), (20, 24)),
        (jfif(1, 0, 72), (20, 24)),
        (png_phys(0, 2, 1), (40, 24)),
        (png_phys(1, 1000, 2000), (20, 48)),
        (png_phys(0, 0, 0), (20, 24)),
        (picture_bytes(GREY, "TIFF", dpi=(204, 102)), (40, 24)),
        (
            picture_bytes(GREY, "TIFF", resolution_unit=1, x_resolution=1.0, y_resolution=2.0),
            (20, 48),
        ),
        (picture_bytes(GREY, "TIFF"), (20, 24)),
        (picture_bytes(GREY, "BMP", dpi=(100, 200)), (20, 48)),
    ],
)
def test_unequal_density_makes_pixels_square(data, shape):
    assert pixels_of(data).shape == shape


def test_each_page_has_its_own_density():
    pages = [Image.fromarray(GREY), Image.fromarray(GREY)]
    stream = io.BytesIO()
    with AppendingTiffWriter(stream) as writer:
        for page, dpi in zip(pages, [(100, 100), (200, 100)], strict=True):
            page.save(writer, format="TIFF", dpi=dpi)
            writer.newFrame()
    assert [slice_.shape for slice_ in read_slices(stream.getvalue())] == [(20, 24), (40, 24)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize(
    ("turn", "shape"), [(1, (40, 24)), (3, (40, 24)), (6, (24, 40)), (8, (24, 40))]
)
def test_density_turns_with_the_picture(kind, turn, shape):
    exif = Image.Exif()
    exif[0x0112] = turn
    data = picture_bytes(GREY, kind, exif=exif, dpi=(200, 100))
    assert pixels_of(data).shape == ((40, 24) if turn < 5 else (24, 40))


def test_absurd_density_is_refused():
    with pytest.raises(InputError, match="at most 20 times longer than wide"):
        read_slices(jfif(1, 300, 1))


def test_8_bit_tiff_whose_zero_is_white():
    shown = (ramp() % 251).astype(np.uint8)  # Pillow stores the inverse of it
    np.testing.assert_array_equal(pixels_of(picture_bytes(shown, "TIFF", tiffinfo={262: 0})), shown)


def test_16_bit_tiff_whose_zero_is_white():
    data = picture_bytes(ramp(), "TIFF", tiffinfo={262: 0})  # Pillow stores 16 bits as they are
    np.testing.assert_array_equal(pixels_of(data), 65535 - ramp().astype(int))


def test_float_tiff_whose_zero_is_white_is_refused():
    with pytest.raises(UnsupportedImageError, match="zero is white"):
        read_slices(picture_bytes(ramp(dtype=np.float32), "TIFF", tiffinfo={262: 0}))


def test_each_tiff_page_is_a_slice():
    pages = [Image.fromarray(ramp(scale=k)) for k in (1, 2, 3)]
    slices = read_slices(
        picture_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:]), name="a.tif"
    )
    assert [s.source for s in slices] == ["a.tif#0", "a.tif#1", "a.tif#2"]
    np.testing.assert_array_equal(slices[2].pixels, ramp(scale=3))


def test_too_many_tiff_pages_are_refused():
    pages = [Image.fromarray(ramp())] * 4
    data = picture_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(LimitError, match="at most 3 images, got 4"):
        read_slices(data, limits=Limits(max_frames=3))


def test_own_text_becomes_annotations_and_no_other():
    notes = PngInfo()
    notes.add_text("slicewise:drawn", "glioma")
    notes.add_text("Comment", "Jane Doe")
    (slice_,) = read_slices(picture_bytes(ramp(), pnginfo=notes))
    assert slice_.annotations == {"drawn": "glioma"}


def test_huge_png_is_refused_by_its_header():
    with pytest.raises(LimitError, match="64,000,000 pixels, got 12000 x 12000"):
        read_slices(png_header(12000, 12000))


def test_bomb_beyond_pillows_own_limit_is_refused_too():
    data = bytearray(picture_bytes(ramp()))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(LimitError):
        read_slices(bytes(data))


def test_tiny_picture_is_refused():
    with pytest.raises(InputError, match="at least 16 x 16 pixels, got 1 x 1"):
        read_slices(picture_bytes(np.zeros((1, 1), np.uint8)))


def test_blank_picture_is_read():
    assert np.all(pixels_of(picture_bytes(np.zeros((16, 16), np.uint8))) == 0)


def test_animation_is_refused():
    frames = [Image.fromarray((ramp() % 200 + k).astype(np.uint8)) for k in (0, 20)]
    data = picture_bytes(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedImageError, match="2 animated frames"):
        read_slices(data)


@pytest.mark.parametrize("orientation", [0, 9, 99])
def test_an_orientation_that_means_nothing_turns_nothing(orientation):
    grey = (ramp() % 251).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels_of(picture_bytes(grey, exif=exif)), grey)


def test_pages_that_are_left_out_count_too():
    stream = io.BytesIO()
    page = Image.fromarray(ramp())
    thumbnails = [Image.fromarray(ramp()) for _ in range(4)]
    page.save(stream, "TIFF", save_all=True, append_images=thumbnails, tiffinfo={254: 1})
    with pytest.raises(LimitError, match="at most 3 images, got 4"):
        read_slices(stream.getvalue(), limits=Limits(max_frames=3))


def test_a_run_length_bmp_is_refused_beyond_what_is_decoded_in_a_second():
    header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 14 + 40 + 1024)
    header += struct.pack("<IiiHHIIiiII", 40, 4000, 4000, 1, 8, 1, 0, 0, 0, 256, 256)
    data = header + bytes(1024) + b"\x01\x07\x00\x00" * 4000 + b"\x00\x01"
    with pytest.raises(LimitError, match="at most 8,000,000 pixels, got 4000 x 4000"):
        read_slices(data)
