import numpy as np
import pytest
from PIL import Image

from builders_imaging import picture_bytes, ramp, tiff_bytes
from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.raster.tiff import is_misread
from slicewise.imaging.read import read_slices


def pixels_of(data):
    (slice_,) = read_slices(data)
    return slice_.pixels


GREY = (ramp() % 251).astype(np.uint8)


NUMBERS = ("u1", "i1", "u2", "i2", "i4", "f4")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_grey_tiff_of_any_number_type_keeps_its_values(dtype, order):
    values = (ramp(dtype=np.float64) % 251 - (0 if dtype[0] == "u" else 100)).astype(dtype)
    np.testing.assert_array_equal(pixels_of(tiff_bytes(values, order=order)), values)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_compressed_tiff_is_read(dtype, compression):
    values = (ramp() % 251).astype(dtype)
    data = picture_bytes(values, "TIFF", compression=compression)
    np.testing.assert_array_equal(pixels_of(data), values)


def test_large_unsigned_values_of_a_tiff_are_positive():
    values = ramp(dtype=np.uint32) + np.uint32(3_000_000_000)
    np.testing.assert_array_equal(pixels_of(tiff_bytes(values)), values.astype(np.float32))


@pytest.mark.parametrize("layout", [{"big": True}, {"tile": True}])
def test_a_tiff_in_tiles_and_a_bigtiff_are_read(layout):
    values = ramp(32, 32)
    np.testing.assert_array_equal(pixels_of(tiff_bytes(values, **layout)), values)


def test_a_12_bit_tiff_is_read():
    values = (ramp() * 8).reshape(-1, 2).astype(np.uint32)
    packed = (values[:, 0] << 12 | values[:, 1]).astype(">u4").view("u1").reshape(-1, 4)[:, 1:]
    data = tiff_bytes(packed.reshape(20, 36), t256=24, t258=12)
    np.testing.assert_array_equal(pixels_of(data), ramp() * 8)


def test_a_tiff_of_planes_is_colour():
    planes = np.stack([GREY] * 3)
    data = tiff_bytes(planes, t262=2, t258=[8, 8, 8], t339=[1, 1, 1])
    np.testing.assert_array_equal(pixels_of(data), GREY)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "RGBA", "LA"])
def test_colour_of_a_tiff_becomes_brightness(mode):
    colour = Image.fromarray(np.stack([GREY // 2] * 3, -1))
    values = pixels_of(picture_bytes(colour, "TIFF", mode=mode))
    assert np.abs(values - GREY // 2).max() <= 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_in_a_tiff_becomes_the_smallest_value(wrong):
    values = ramp(dtype=np.float32) - 100
    values[0], values[3, 4] = wrong, wrong
    expected = np.where(np.isfinite(values), values, -76)
    np.testing.assert_array_equal(pixels_of(tiff_bytes(values)), expected)


def test_a_tiff_without_any_number_is_refused():
    with pytest.raises(InputError, match=r"expected finite .* got only NaN or infinite"):
        read_slices(tiff_bytes(np.full((20, 24), np.nan, np.float32)))


@pytest.mark.parametrize("mark", [{"t254": 1}, {"t254": 4}, {"t254": 5}, {"t255": 2}])
def test_thumbnails_and_masks_of_a_tiff_are_no_slices(mark):
    with pytest.raises(UnsupportedImageError, match="full-resolution page, got only thumbnails"):
        read_slices(tiff_bytes(ramp(), **mark))
    assert len(read_slices(tiff_bytes(ramp(), ramp(), t254=2))) == 2


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (tiff_bytes(ramp(dtype="f8")), r"BitsPerSample \(258\) 64, SampleFormat \(339\) 3 \(float"),
        (tiff_bytes(ramp(dtype="f2")), r"BitsPerSample \(258\) 16, SampleFormat \(339\) 3 \(float"),
        (
            tiff_bytes(np.stack([GREY] * 3), t262=8, t258=[8] * 3, t339=[1] * 3),
            r"PhotometricInterpretation \(262\) 8 \(CIELab\)",
        ),
        (tiff_bytes(ramp(), t262=32803), r"\(262\) 32803 \(colour filter array\)"),
        (tiff_bytes(ramp(), t259=34887), r"Compression \(259\) 34887 \(LERC\)"),
        (tiff_bytes(ramp(), t259=34712), r"Compression \(259\) 34712 \(JPEG 2000\)"),
        (tiff_bytes(ramp(), t259=34925), r"Compression \(259\) 34925 \(LZMA\) or broken data"),
        (tiff_bytes(ramp(), t259=9999), r"Compression \(259\) 9999 \(unknown\)"),
        (tiff_bytes(ramp(), big=True, order=">"), "little-endian BigTIFF, got a big-endian"),
    ],
)
def test_a_tiff_that_is_not_read_is_told_by_its_tags(data, got):
    with pytest.raises(UnsupportedImageError, match=got):
        read_slices(data)


def test_a_broken_tiff_is_told_and_its_library_says_nothing(capfd):
    data = picture_bytes(ramp(), "TIFF", compression="tiff_lzw")
    at = data.index(b"\x80", 8)
    with pytest.raises(InputError, match=r"readable TIFF picture, got broken or truncated data$"):
        read_slices(data[:at] + b"\xff" * 40 + data[at + 40 :])
    with pytest.raises(InputError, match=r"got broken or truncated data$"):
        read_slices(data[: len(data) * 3 // 4])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("tags", "big_endian", "misread"),
    [
        ({284: 2, 277: 3, 262: 2, 258: (16, 16, 16)}, False, True),
        ({284: 2, 277: 3, 262: 2, 258: (16, 16, 16), 259: 8}, False, False),
        ({284: 2, 277: 3, 262: 2, 258: (8, 8, 8)}, False, False),
        ({284: 2, 277: 2, 262: 1, 258: (8, 8)}, False, True),
        ({284: 2, 277: 1, 262: 1, 258: 16}, False, False),
        ({258: 16}, True, False),
        ({258: 16, 259: 8}, True, False),
        ({258: 16, 259: 8, 339: 2}, True, True),
        ({258: 32, 259: 5, 339: 3}, True, True),
        ({258: 32, 259: 5, 339: 3}, False, False),
        ({258: 8, 259: 5, 339: 2}, True, False),
    ],
)
def test_what_pillow_reads_as_other_values(tags, big_endian, misread):
    assert is_misread(tags, big_endian) is misread


def test_planes_of_16_bits_are_refused_by_name():
    planes = np.stack([ramp()] * 3)
    with pytest.raises(UnsupportedImageError, match=r"PlanarConfiguration \(284\) 2 \(planes\)"):
        read_slices(tiff_bytes(planes, t262=2))
