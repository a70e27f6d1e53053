"""Stored values: the bits that count, whatever else is in a cell and however it was compressed."""

import subprocess
import sys

import imagecodecs
import numpy as np
import pydicom.uid as uid
import pytest
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate, encapsulate_extended

from builders_imaging import (
    around,
    dicom_bytes,
    dicom_dataset,
    encapsulated_bytes,
    picture_bytes,
    ramp,
    written,
)
from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.read import read_slices

SIDE = 64
VALUES = ramp(SIDE, SIDE)  # 0 to 4095, each of the 12 bits in use


def one(data):
    (slice_,) = read_slices(data)
    return slice_.pixels


def signed(values, bits=12):
    """What unsigned values of so many bits mean where the highest is a sign."""
    return np.where(values >> (bits - 1), values.astype(int) - (1 << bits), values)


def jpeg2000(cells, bits=None):
    """Sign and number of bits as its samples have them."""
    bits = bits or 8 * cells.itemsize
    return bytes(encode_array(cells, bits_stored=bits, photometric_interpretation=2, use_mct=False))


def stored_as(cells, syntax, **tags):
    encode = {
        uid.JPEG2000Lossless: jpeg2000,
        uid.HTJ2KLossless: imagecodecs.htj2k_encode,
        uid.JPEGLSLossless: imagecodecs.jpegls_encode,
        uid.JPEGLosslessSV1: imagecodecs.ljpeg_encode,
    }.get(syntax)
    if encode is None:
        return dicom_bytes(cells, syntax, **tags)
    return encapsulated_bytes(cells, bytes(encode(cells)), syntax, **tags)


@pytest.mark.parametrize("length", [None, 0, 1, 7, 2**31])
def test_the_boxes_round_a_jpeg_2000_codestream_are_not_followed(length):
    frame = bytes(imagecodecs.jpeg2k_encode(VALUES, codecformat="JP2", reversible=True))
    if length is not None:  # of the second box: with 0 pydicom would never end
        frame = frame[:12] + length.to_bytes(4, "big") + frame[16:]
    found = one(encapsulated_bytes(VALUES, frame, uid.JPEG2000Lossless))
    np.testing.assert_array_equal(found, VALUES)


every_syntax = pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEG2000Lossless,
        uid.HTJ2KLossless,
        uid.JPEGLSLossless,
        uid.JPEGLosslessSV1,
    ],
    ids=lambda syntax: syntax.keyword,
)


class TestBitsOfACell:
    @every_syntax
    @pytest.mark.parametrize("sign", [0, 1])
    @pytest.mark.parametrize("above", [0x1000, 0x8000, 0xF000], ids=hex)
    def test_those_above_bits_stored_are_no_values(self, syntax, sign, above):
        cells = VALUES | np.where(VALUES % 3 == 0, above, 0).astype(np.uint16)
        data = stored_as(cells, syntax, BitsStored=12, HighBit=11, PixelRepresentation=sign)
        np.testing.assert_array_equal(one(data), signed(VALUES) if sign else VALUES)

    @every_syntax
    @pytest.mark.parametrize("sign", [0, 1])
    @pytest.mark.parametrize("high", [12, 13, 15])
    def test_those_below_are_none_either(self, syntax, sign, high):
        shift = high - 11
        below = np.where(VALUES % 3 == 0, (1 << shift) - 1, 0).astype(np.uint16)
        data = stored_as(
            (VALUES << shift) | below, syntax,
            BitsStored=12, HighBit=high, PixelRepresentation=sign,
        )  # fmt: skip
        np.testing.assert_array_equal(one(data), signed(VALUES) if sign else VALUES)

    def test_both_sides_at_once(self):
        cells = (VALUES << 2) | 0xC003
        data = dicom_bytes(cells, BitsStored=12, HighBit=13, PixelRepresentation=1)
        np.testing.assert_array_equal(one(data), signed(VALUES))

    @pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint32, np.int32, np.uint64])
    def test_cells_of_other_sizes(self, kind):
        stored = (VALUES % 128).astype(kind)
        data = dicom_bytes(stored, BitsStored=7, HighBit=6)
        expected = signed(VALUES % 128, 7) if kind(0).dtype.kind == "i" else VALUES % 128
        np.testing.assert_array_equal(one(data), expected)

    def test_single_bits_are_unpacked(self):
        bits = (VALUES % 2).astype(np.uint8)
        packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
        tags = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
        np.testing.assert_array_equal(one(dicom_bytes(bits, PixelData=packed, **tags)), bits)

    def test_single_bits_run_on_from_frame_to_frame(self):
        bits = np.random.default_rng(0).integers(0, 2, (3, 17, 19), dtype=np.uint8)
        packed = np.packbits(bits.ravel(), bitorder="little").tobytes() + b"\0"
        data = dicom_bytes(bits, PixelData=packed, BitsAllocated=1, BitsStored=1, HighBit=0)
        np.testing.assert_array_equal(np.stack([s.pixels for s in read_slices(data)]), bits)

    @pytest.mark.parametrize(
        ("tags", "message"),
        [
            ({"BitsAllocated": 12}, r"BitsAllocated \(0028,0100\) of 1 or 8 or .*, got 12"),
            ({"BitsAllocated": 24}, r"BitsAllocated \(0028,0100\) of .*, got 24"),
            ({"BitsAllocated": 0}, r"BitsAllocated \(0028,0100\) of .*, got 0"),
            ({"BitsStored": 17}, r"BitsStored \(0028,0101\) from 1 to 16, got 17"),
            ({"BitsStored": 0}, r"BitsStored \(0028,0101\) from 1 to 16, got 0"),
            ({"BitsStored": 12, "HighBit": 10}, r"HighBit \(0028,0102\) from 11 to 15, got 10"),
            ({"BitsStored": 12, "HighBit": 16}, r"HighBit \(0028,0102\) from 11 to 15, got 16"),
            ({"PixelRepresentation": 2}, r"PixelRepresentation \(0028,0103\) of 0 or 1, got 2"),
            ({"SamplesPerPixel": 3}, r"SamplesPerPixel \(0028,0002\) of 1, got 3"),
            ({"PhotometricInterpretation": "ARGB"}, r"\(0028,0004\) of MONOCHROME1, .*, got ARGB"),
            (
                {"PhotometricInterpretation": "DOE JANE"},
                r"\(0028,0004\) of MONOCHROME1, .*, got another value",
            ),
            ({"PhotometricInterpretation": "HSV"}, r"\(0028,0004\) of MONOCHROME1, .*, got HSV"),
            ({"PhotometricInterpretation": "RGB"}, r"SamplesPerPixel \(0028,0002\) of 3, got 1"),
        ],
        ids=str,
    )
    def test_the_impossible_names_its_attribute(self, tags, message):
        with pytest.raises(InputError, match=message) as caught:
            read_slices(dicom_bytes(VALUES, **tags))
        assert "Error" not in str(caught.value)

    @pytest.mark.parametrize(
        "keyword", ["BitsAllocated", "BitsStored", "PhotometricInterpretation", "Rows", "Columns"]
    )
    @pytest.mark.parametrize("how", ["absent", "empty"])
    def test_what_is_needed_names_itself(self, keyword, how):
        dataset = dicom_dataset(VALUES)
        dataset["PixelData"].VR = "OW"
        if how == "absent":
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, None)
        with pytest.raises(InputError, match=rf"expected {keyword} \(0028,\d+\) .*got none"):
            read_slices(written(dataset))

    @pytest.mark.parametrize("keyword", ["SamplesPerPixel", "HighBit", "PixelRepresentation"])
    def test_what_follows_from_others_may_be_absent(self, keyword):
        dataset = dicom_dataset(VALUES, BitsStored=13, HighBit=12)
        delattr(dataset, keyword)
        np.testing.assert_array_equal(one(written(dataset)), VALUES)

    @pytest.mark.parametrize("word", [b"monochrome2 ", b" MONOCHROME2", b"MONOCHROME2\0"])
    def test_a_word_is_known_however_it_is_written(self, word):
        data = dicom_bytes(VALUES).replace(b"MONOCHROME2 ", word)
        np.testing.assert_array_equal(one(data), VALUES)

    def test_colours_lie_together_where_nothing_else_is_said(self):
        dataset = dicom_dataset(np.repeat((VALUES % 256).astype("u1")[..., None], 3, axis=2))
        del dataset.PlanarConfiguration, dataset.SamplesPerPixel
        np.testing.assert_array_equal(one(written(dataset)), VALUES % 256)

    @pytest.mark.parametrize(
        "tags", [{"BitsStored": 12, "HighBit": 11}, {"PhotometricInterpretation": "MONOCHROME1"}]
    )
    def test_an_absent_sign_is_asked_for_where_it_matters(self, tags):
        dataset = dicom_dataset(VALUES, **tags)
        del dataset.PixelRepresentation
        with pytest.raises(InputError, match=r"PixelRepresentation \(0028,0103\).*got none"):
            read_slices(written(dataset))


class TestCodestreams:
    """Where a compressed image and the header differ in bits or in sign."""

    @pytest.mark.parametrize(
        ("cells", "bits", "sign", "expected"),
        [
            (VALUES, 12, 1, signed(VALUES)),
            (VALUES, 16, 1, signed(VALUES)),
            (signed(VALUES).astype("i2"), 12, 0, VALUES),
            (signed(VALUES).astype("i2"), 16, 0, VALUES),
            (signed(VALUES).astype("i2"), 12, 1, signed(VALUES)),
            ((VALUES % 256).astype("u1"), 8, 0, VALUES % 256),
            ((VALUES % 32).astype("u1"), 5, 0, VALUES % 32),
        ],
        ids=["sign of the header", "and more bits", "no sign", "none, more bits", "both signed",
             "8 bits", "5 bits"],
    )  # fmt: skip
    def test_jpeg_2000(self, cells, bits, sign, expected):
        tags = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": sign}
        data = encapsulated_bytes(VALUES, jpeg2000(cells, bits), uid.JPEG2000Lossless, **tags)
        np.testing.assert_array_equal(one(data), expected)

    @pytest.mark.parametrize("allocated", [1, 8])
    def test_jpeg_2000_of_one_bit(self, allocated):
        bits = (VALUES % 2).astype(np.uint8)
        tags = {"BitsAllocated": allocated, "BitsStored": 1, "HighBit": 0}
        data = encapsulated_bytes(bits, jpeg2000(bits, 1), uid.JPEG2000Lossless, **tags)
        np.testing.assert_array_equal(one(data), bits)

    @pytest.mark.parametrize(
        ("encode", "syntax"),
        [
            (jpeg2000, uid.JPEG2000Lossless),
            (imagecodecs.htj2k_encode, uid.HTJ2KLossless),
            (imagecodecs.jpegls_encode, uid.JPEGLSLossless),
            (imagecodecs.ljpeg_encode, uid.JPEGLosslessSV1),
            (lambda cells: picture_bytes(cells, "JPEG", quality=100), uid.JPEGBaseline8Bit),
            (lambda cells: picture_bytes(cells, "JPEG", quality=100), uid.JPEGExtended12Bit),
        ],
    )
    def test_eight_bits_in_cells_of_sixteen(self, encode, syntax):
        stored = (VALUES // 16).astype(np.uint8)
        data = encapsulated_bytes(VALUES, bytes(encode(stored)), syntax)
        assert np.abs(one(data) - stored).max() <= 2

    @pytest.mark.parametrize(
        ("codec", "level", "syntax"),
        [("jpeg2k", 60, uid.JPEG2000), ("jpegls", 3, uid.JPEGLSNearLossless)],
    )
    @pytest.mark.parametrize("sign", [0, 1])
    def test_what_loss_puts_above_the_largest_value_is_the_largest(
        self, codec, level, syntax, sign
    ):
        top = 2047 if sign else 4095
        stored = np.where(np.random.default_rng(0).random((SIDE, SIDE)) < 0.5, top, 0)
        stored[:, ::2] = top - 1
        encode, decode = (getattr(imagecodecs, f"{codec}_{how}") for how in ("encode", "decode"))
        codestream = bytes(encode(stored.astype(np.uint16), level=level))
        decoded = decode(codestream)
        assert decoded.max() > top
        tags = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": sign}
        pixels = one(encapsulated_bytes(VALUES, codestream, syntax, **tags))
        np.testing.assert_array_equal(pixels, decoded.clip(0, top))

    def test_frames_of_different_depths(self):
        frames = [jpeg2000((VALUES % 256).astype("u1")), jpeg2000(VALUES, 12)]
        dataset = dicom_dataset(np.stack([VALUES, VALUES]), BitsStored=12, HighBit=11)
        data = around(dataset, encapsulate(frames), uid.JPEG2000Lossless)
        first, second = (s.pixels for s in read_slices(data))
        np.testing.assert_array_equal(first, VALUES % 256)
        np.testing.assert_array_equal(second, VALUES)

    @pytest.mark.parametrize("zeros", [1, 2, 5])
    @pytest.mark.parametrize("after", [b"", b"\0"])
    def test_jpeg_ls_with_zeros_before_its_end(self, zeros, after):
        codestream = bytes(imagecodecs.jpegls_encode(VALUES))
        padded = codestream[:-2] + bytes(zeros) + codestream[-2:] + after
        data = encapsulated_bytes(VALUES, padded, uid.JPEGLSLossless)
        np.testing.assert_array_equal(one(data), VALUES)

    def test_jpeg_ls_that_ends_early_is_refused(self):
        codestream = bytes(imagecodecs.jpegls_encode(VALUES))
        cut = codestream[: len(codestream) // 2] + b"\0\xff\xd9"
        with pytest.raises(UnsupportedImageError, match=r"JPEG-LS .*no decoder accepts"):
            read_slices(encapsulated_bytes(VALUES, cut, uid.JPEGLSLossless))

    @pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
    def test_jpeg_ls_without_an_end_is_refused_at_once(self, share):
        noise = np.random.default_rng(0).integers(0, 4096, (SIDE, SIDE)).astype(np.uint16)
        codestream = bytes(imagecodecs.jpegls_encode(noise))
        cut = codestream[: int(len(codestream) * share) // 8 * 8]
        with pytest.raises(InputError, match=r"with an end, got none \(truncated\)"):
            read_slices(encapsulated_bytes(noise, cut, uid.JPEGLSLossless))

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_lossless_jpeg_that_ends_early_is_refused(self, share):
        codestream = bytes(imagecodecs.ljpeg_encode(VALUES))
        cut = codestream[: int(len(codestream) * share)]
        with pytest.raises(UnsupportedImageError, match=r"JPEG Lossless.*no decoder accepts"):
            read_slices(encapsulated_bytes(VALUES, cut, uid.JPEGLosslessSV1))

    def test_jpeg_of_twelve_bits_says_so(self):
        codestream = bytes(imagecodecs.jpeg8_encode(VALUES, bitspersample=12))
        data = encapsulated_bytes(VALUES, codestream, uid.JPEGExtended12Bit)
        with pytest.raises(UnsupportedImageError, match=r"8 bits, got JPEG Extended.* of 12 bits"):
            read_slices(data)


class TestColour:
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
    @pytest.mark.parametrize("planar", [0, 1])
    @pytest.mark.parametrize("frames", [1, 2])
    def test_brightness_of_every_size(self, kind, planar, frames):
        top = np.iinfo(kind).max
        rgb = np.random.default_rng(0).integers(0, top, (frames, 20, 24, 3), kind, endpoint=True)
        rgb[0, 0, 0] = top
        dataset = dicom_dataset(rgb[0] if frames == 1 else rgb, PlanarConfiguration=planar)
        if planar:
            dataset.PixelData = rgb.transpose(0, 3, 1, 2).tobytes()
        exact = rgb @ np.array([0.299, 0.587, 0.114])
        pixels = np.stack([s.pixels for s in read_slices(written(dataset))])
        np.testing.assert_allclose(pixels, exact, atol=0.5 + 1e-5 * top)

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
    def test_how_colourful_it_is_does_not_depend_on_the_size(self, kind):
        rgb = np.zeros((20, 24, 3), kind)
        rgb[:10, :, 0] = np.iinfo(kind).max
        assert read_slices(dicom_bytes(rgb))[0].colour == pytest.approx(0.5)

    @pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL"])
    def test_eight_bits_in_cells_of_sixteen(self, photometric):
        rgb = np.zeros((20, 24, 3), np.uint8)
        rgb[:10] = 200
        codestream = picture_bytes(rgb, "JPEG", quality=95)
        data = encapsulated_bytes(
            rgb.astype("u2"),
            codestream,
            uid.JPEGBaseline8Bit,
            PhotometricInterpretation=photometric,
        )
        assert np.abs(one(data) - rgb[..., 0]).max() < 8
        assert read_slices(data)[0].colour < 0.02

    def test_colour_in_cells_of_sixteen_is_measured_as_what_it_is(self):
        rgb = np.zeros((32, 32, 3), np.uint8)
        rgb[:16, :, 0] = 255
        codestream = bytes(imagecodecs.jpegls_encode(rgb))
        data = encapsulated_bytes(rgb.astype("u2"), codestream, uid.JPEGLSLossless)
        assert read_slices(data)[0].colour == pytest.approx(0.5)

    @pytest.mark.parametrize("high", [11, 12, 15])
    def test_other_bits_are_no_colour(self, high):
        rgb = np.repeat(VALUES[..., None], 3, axis=2) << (high - 11)
        rgb |= np.uint16(0xFFFF & ~(0xFFF << (high - 11)))
        data = dicom_bytes(rgb, BitsStored=12, HighBit=high)
        np.testing.assert_array_equal(one(data), VALUES)

    def test_rle_of_sixteen_bits(self):
        rgb = np.repeat(ramp(scale=130)[..., None], 3, axis=2)
        np.testing.assert_array_equal(one(dicom_bytes(rgb, uid.RLELossless)), ramp(scale=130))

    @pytest.mark.parametrize("planar", [0, 1])
    def test_ybr_full(self, planar):
        ybr = np.full((20, 24, 3), 128, np.uint8)
        ybr[..., 0] = ramp() % 251
        dataset = dicom_dataset(
            ybr, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=planar
        )
        if planar:
            dataset.PixelData = ybr.transpose(2, 0, 1).tobytes()
        assert np.abs(one(written(dataset)) - ybr[..., 0]).max() <= 1

    def subsampled(self, **tags):
        ybr = np.full((20, 12, 4), 128, np.uint8)  # two of brightness share two of colour
        grey = (ramp() % 251).astype(np.uint8)
        ybr[..., :2] = grey.reshape(20, 12, 2)
        tags = {"PhotometricInterpretation": "YBR_FULL_422", "PixelData": ybr.tobytes(), **tags}
        return grey, dicom_bytes(np.zeros((20, 24, 3), np.uint8), **tags)

    def test_ybr_full_422(self):
        grey, data = self.subsampled()
        assert np.abs(one(data) - grey).max() <= 1

    def test_ybr_full_422_without_its_subsampling_is_refused(self):
        _, data = self.subsampled(PixelData=bytes(20 * 24 * 3))
        with pytest.raises(InputError, match=r"960 bytes of PixelData.*got 1,440, .*subsampling"):
            read_slices(data)

    @pytest.mark.parametrize(
        ("kind", "tags", "message"),
        [
            (np.uint8, {"PlanarConfiguration": 2}, r"PlanarConfiguration \(0028,0006\) of 0 or 1"),
            (np.int8, {}, r"PixelRepresentation \(0028,0103\) of 0, got 1"),
            (
                np.uint16,
                {"PhotometricInterpretation": "YBR_FULL"},
                r"expected 8 bits in .*YBR_FULL, got 16",
            ),
            (np.uint8, {"PhotometricInterpretation": "YBR_PARTIAL_422"}, "got YBR_PARTIAL_422"),
            (np.uint8, {"PhotometricInterpretation": "HSV"}, "got HSV"),
            (np.uint8, {"PhotometricInterpretation": "MONOCHROME2"}, r"\(0028,0002\) of 1, got 3"),
        ],
        ids=str,
    )
    def test_colour_that_nobody_reads_is_named(self, kind, tags, message):
        with pytest.raises(InputError, match=message):
            read_slices(dicom_bytes(np.zeros((20, 24, 3), kind), **tags))


class TestPalettes:
    """Every palette here is grey, so that brightness is what an entry says."""

    def palette(self, stored, descriptor, entries, segmented=False, **tags):
        dataset = dicom_dataset(stored, PhotometricInterpretation="PALETTE COLOR", **tags)
        for colour in ("Red", "Green", "Blue"):
            name = f"{colour}PaletteColorLookupTable"
            setattr(dataset, f"{name}Descriptor", descriptor)
            setattr(dataset, f"{'Segmented' * segmented}{name}Data", entries.tobytes())
        return dataset

    @pytest.mark.parametrize(
        ("kind", "first", "descriptor", "width"),
        [
            (np.uint8, 0, [256, 0, 16], "<u2"),
            (np.uint8, 0, [256, 0, 8], "u1"),
            (np.uint8, 10, [200, 10, 16], "<u2"),
            (np.uint8, 10, [199, 10, 8], "u1"),
            (np.uint16, 0, [4096, 0, 16], "<u2"),
            (np.uint16, 100, [1000, 100, 8], "u1"),
            (np.int16, -50, [400, -50, 16], "<u2"),
            (np.int16, -50, [400, 65486, 16], "<u2"),
            (np.uint16, 0, [0, 0, 16], "<u2"),
        ],
        ids=str,
    )
    def test_entries_start_at_the_first_value(self, kind, first, descriptor, width):
        stored = (ramp(20, 24).astype(int) - (200 if kind == np.int16 else 0)).astype(kind)
        count = descriptor[0] or 65536
        entries = np.random.default_rng(0).integers(0, 256, count).astype(width)
        written_as = entries if entries.nbytes % 2 == 0 else np.append(entries, entries[:1])
        dataset = self.palette(stored, [descriptor[0], 0, descriptor[2]], written_as)
        for colour in ("Red", "Green", "Blue"):
            element = dataset[f"{colour}PaletteColorLookupTableDescriptor"]
            element.VR = "SS" if descriptor[1] < 0 else "US"
            element.value = descriptor
        expected = entries[np.clip(stored.astype(int) - first, 0, count - 1)]
        np.testing.assert_array_equal(one(written(dataset)), expected)

    @pytest.mark.parametrize("width", ["<u2", "u1"])
    def test_segments(self, width):
        size = np.dtype(width).itemsize
        again = [2, 2] + ([0, 0] if size == 2 else [0, 0, 0, 0])  # the first two once more
        segments = np.array([0, 3, 10, 20, 30, 1, 5, 80, *again, 0, 1, 7], width)
        expected = np.array([10, 20, 30, 40, 50, 60, 70, 80, 10, 20, 30, 40, 50, 60, 70, 80, 7])
        stored = (ramp() % 17).astype(np.uint8)
        padded = segments if segments.nbytes % 2 == 0 else np.append(segments, segments[-1:] * 0)
        dataset = self.palette(stored, [17, 0, 8 * size], padded, segmented=True)
        np.testing.assert_array_equal(one(written(dataset)), expected[stored])

    def test_a_segment_of_another_place_is_found_by_its_bytes(self):
        segments = np.array([0, 1, 5, 0, 2, 60, 70, 2, 1, 6, 0], "<u2")  # 6 bytes from the start
        stored = (ramp() % 5).astype(np.uint8)
        dataset = self.palette(stored, [5, 0, 16], segments, segmented=True)
        np.testing.assert_array_equal(one(written(dataset)), np.array([5, 60, 70, 60, 70])[stored])

    @pytest.mark.parametrize(
        "segments",
        [[1, 4, 9], [0, 9, 1], [3, 1, 1], [0, 1, 1, 2, 1, 6, 0, 2, 1, 6, 0]],
        ids=["line first", "cut off", "unknown", "a repeat of repeats"],
    )
    def test_odd_segments_are_refused(self, segments):
        dataset = self.palette(
            (ramp() % 5).astype("u1"), [9, 0, 16], np.array(segments, "<u2"), segmented=True
        )
        with pytest.raises(InputError, match="palette of"):
            read_slices(written(dataset))

    def test_segments_that_repeat_without_end_stop_at_the_last_entry(self):
        line = [0, 1, 0, *([1, 0xFFFF, 9] * 50), *([2, 0xFFFF, 0, 0] * 50)]
        dataset = self.palette(
            (ramp() % 5).astype("u1"), [0, 0, 16], np.array(line, "<u2"), segmented=True
        )
        assert one(written(dataset)).max() == 0

    @pytest.mark.parametrize("part", ["Descriptor", "Data"])
    def test_what_a_palette_lacks_is_named(self, part):
        dataset = self.palette((ramp() % 5).astype("u1"), [5, 0, 16], np.arange(5, dtype="<u2"))
        delattr(dataset, f"GreenPaletteColorLookupTable{part}")
        with pytest.raises(InputError, match=r"GreenPaletteColorLookupTableData \(0028,1202\)"):
            read_slices(written(dataset))

    @pytest.mark.parametrize("bits", [0, 7, 12, 60000])
    def test_odd_numbers_of_bits_are_passed_over(self, bits):
        stored = (ramp() % 256).astype(np.uint8)
        dataset = self.palette(stored, [256, 0, bits], np.arange(256, dtype="<u2") * 257)
        found = read_slices(written(dataset))[0]
        np.testing.assert_array_equal(found.pixels, stored * 257.0)
        assert found.colour == 0

    def test_too_few_entries_are_counted(self):
        dataset = self.palette((ramp() % 5).astype("u1"), [9, 0, 16], np.arange(3, dtype="<u2"))
        with pytest.raises(InputError, match=r"expected 9 entries in Red.*\(0028,1201\), got 6"):
            read_slices(written(dataset))


class TestFragments:
    """How frames lie in fragments, and tables of offsets that are absent or wrong."""

    volume = np.stack([VALUES, VALUES[::-1], VALUES[:, ::-1]])
    frames = tuple(bytes(imagecodecs.jpegls_encode(frame)) for frame in volume)

    def read(self, pixel_data, count=3, **tags):
        dataset = dicom_dataset(self.volume, **tags)
        dataset.NumberOfFrames = count
        data = around(dataset, pixel_data, uid.JPEGLSLossless)
        return np.stack([s.pixels for s in read_slices(data)])

    @pytest.mark.parametrize("offsets", [True, False])
    @pytest.mark.parametrize("fragments", [1, 2, 3])
    def test_with_and_without_offsets(self, offsets, fragments):
        pixel_data = encapsulate([*self.frames], fragments_per_frame=fragments, has_bot=offsets)
        np.testing.assert_array_equal(self.read(pixel_data), self.volume)

    @pytest.mark.parametrize("fragments", [1, 2])
    @pytest.mark.parametrize("offsets", [[0, 6, 7], [0, 0, 0], [8, 1 << 20, 1 << 31]])
    def test_wrong_offsets(self, fragments, offsets):
        pixel_data = bytearray(encapsulate([*self.frames], fragments_per_frame=fragments))
        pixel_data[8:20] = np.array(offsets, "<u4").tobytes()
        np.testing.assert_array_equal(self.read(bytes(pixel_data)), self.volume)

    def test_extended_offsets(self):
        pixel_data, offsets, lengths = encapsulate_extended([*self.frames])
        table = {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}
        np.testing.assert_array_equal(self.read(pixel_data, **table), self.volume)
        wrong = {"ExtendedOffsetTable": bytes(24), "ExtendedOffsetTableLengths": bytes(24)}
        np.testing.assert_array_equal(self.read(pixel_data, **wrong), self.volume)

    @pytest.mark.parametrize("count", [1, 2])
    def test_frames_beyond_their_number_are_left_out(self, count):
        found = self.read(encapsulate([*self.frames]), count)
        np.testing.assert_array_equal(found, self.volume[:count])

    def test_fewer_frames_than_their_number_are_an_error(self):
        with pytest.raises(
            InputError, match=r"expected 5 frames in PixelData \(7FE0,0010\), got 3"
        ):
            self.read(encapsulate([*self.frames]), 5)

    @pytest.mark.parametrize("missing", [8, 4, 1])
    def test_without_the_end_of_the_sequence(self, missing):
        data = encapsulated_bytes(VALUES, self.frames[0], uid.JPEGLSLossless)
        np.testing.assert_array_equal(one(data[:-missing]), VALUES)

    def test_without_fragments(self):
        with pytest.raises(InputError, match=r"expected 3 frames in PixelData.*got 0"):
            self.read(bytes.fromhex("feff00e000000000"))

    def test_native_frames_in_fragments(self):
        dataset = dicom_dataset(self.volume)
        pixel_data = encapsulate([frame.tobytes() for frame in self.volume])
        data = around(dataset, pixel_data, uid.UID("1.2.840.10008.1.2.1.98"))
        pixels = np.stack([s.pixels for s in read_slices(data)])
        np.testing.assert_array_equal(pixels, self.volume)

    def test_a_private_syntax_of_swapped_bytes(self):
        swapped = VALUES.astype(">u2").tobytes()
        syntax = uid.UID("1.2.840.113619.5.2")
        data = around(dicom_dataset(VALUES), swapped, syntax, undefined_length=False)
        np.testing.assert_array_equal(one(data), VALUES)


class TestNumberOfFrames:
    """Native pixels; padding may follow them."""

    @pytest.mark.parametrize("count", [0, None, "", 1])
    @pytest.mark.parametrize("padding", [0, 1, 7])
    def test_one_frame(self, count, padding):
        dataset = dicom_dataset(VALUES, PixelData=VALUES.tobytes() + bytes(padding))
        dataset.NumberOfFrames = count
        np.testing.assert_array_equal(one(written(dataset)), VALUES)

    @pytest.mark.parametrize("padded", [b"", b"\0"])
    def test_an_odd_number_of_bytes(self, padded):
        stored = ramp(17, 19, np.uint8)
        data = dicom_bytes(stored, PixelData=stored.tobytes() + padded)
        np.testing.assert_array_equal(one(data), stored)

    @pytest.mark.parametrize("count", [1, 2, None])
    def test_data_beyond_it_are_padding(self, count):
        volume = np.stack([VALUES] * 3)
        dataset = dicom_dataset(volume)
        if count is None:
            del dataset.NumberOfFrames
        else:
            dataset.NumberOfFrames = count
        assert len(read_slices(written(dataset))) == (count or 1)

    @pytest.mark.parametrize(
        ("count", "message"),
        [
            (0, r"NumberOfFrames \(0028,0008\) of 3 for so many bytes of PixelData.*got 0"),
            (4, r"expected 32,768 bytes of PixelData \(7FE0,0010\), got 24,576"),
            (-1, r"NumberOfFrames \(0028,0008\) of 1 or more, got -1"),
        ],
    )
    def test_a_wrong_number_is_named(self, count, message):
        with pytest.raises(InputError, match=message):
            read_slices(dicom_bytes(np.stack([VALUES] * 3), NumberOfFrames=count))

    @pytest.mark.parametrize("text", [b"1A  ", b"one ", b"1,5 "])
    def test_what_is_no_number_is_named(self, text):
        data = dicom_bytes(VALUES, NumberOfFrames="7654").replace(b"7654", text)
        with pytest.raises(InputError, match=r"NumberOfFrames \(0028,0008\)") as caught:
            read_slices(data)
        assert "Error" not in str(caught.value)


def test_nothing_is_printed_about_broken_pixels():
    """Past Python: some decoders write to the stream itself."""
    program = """
import sys
from slicewise.errors import InputError
from slicewise.imaging.read import read_slices
for line in sys.stdin:
    try:
        read_slices(bytes.fromhex(line))
    except InputError:
        pass
"""
    lines = []
    for syntax in (
        uid.JPEGLosslessSV1,
        uid.JPEG2000Lossless,
        uid.JPEGLSLossless,
        uid.HTJ2KLossless,
    ):
        data = stored_as(VALUES, syntax)
        half = len(data) - len(data) // 3
        broken = bytearray(data)
        broken[half : half + 40] = bytes(range(40))
        lines += [data[:half].hex(), bytes(broken).hex()]
    done = subprocess.run(
        [sys.executable, "-c", program], input="\n".join(lines), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
