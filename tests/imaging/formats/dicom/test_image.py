import subprocess
import sys

import imagecodecs
import numpy as np
import pydicom.uid as uid
import pytest
from pydicom.sequence import Sequence

from builders_imaging import (
    dicom_bytes,
    dicom_dataset,
    encapsulated_bytes,
    enhanced_bytes,
    group,
    picture_bytes,
    ramp,
    written,
)
from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Window


def one(data, **options):
    (slice_,) = read_slices(data, **options)
    return slice_


def lut(first, entries, signed=False):
    descriptor = [len(entries), first, 16]
    item = group(LUTDescriptor=descriptor, LUTData=np.asarray(entries, "<u2").tobytes())
    item["LUTData"].VR = "OW"
    item["LUTDescriptor"].VR = "SS" if signed else "US"
    return Sequence([item])


class TestTransferSyntaxes:
    @pytest.mark.parametrize(
        "syntax",
        [
            uid.ExplicitVRLittleEndian,
            uid.ImplicitVRLittleEndian,
            uid.ExplicitVRBigEndian,
            uid.DeflatedExplicitVRLittleEndian,
            uid.RLELossless,
            uid.JPEG2000Lossless,
            uid.JPEGLSLossless,
        ],
        ids=lambda syntax: syntax.keyword,
    )
    def test_lossless_ones_give_the_stored_values(self, syntax):
        stored = ramp(64, 64, scale=15)
        np.testing.assert_array_equal(one(dicom_bytes(stored, syntax)).pixels, stored)

    @pytest.mark.parametrize(
        ("syntax", "encode"),
        [
            (uid.HTJ2KLossless, imagecodecs.htj2k_encode),
            (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode),
        ],
        ids=["HTJ2K", "JPEGLossless"],
    )
    def test_those_that_pydicom_does_not_write(self, syntax, encode):
        stored = ramp(scale=130)
        data = encapsulated_bytes(stored, bytes(encode(stored)), syntax)
        np.testing.assert_array_equal(one(data).pixels, stored)

    def test_jpeg_baseline(self):
        stored = (ramp() // 2).astype(np.uint8)
        codestream = picture_bytes(stored, "JPEG", quality=95)
        pixels = one(encapsulated_bytes(stored, codestream, uid.JPEGBaseline8Bit)).pixels
        assert np.abs(pixels - stored).max() < 8

    def test_jpeg_baseline_in_colour(self):
        grey = np.linspace(20, 220, 480).reshape(20, 24).astype(np.uint8)
        rgb = np.repeat(grey[..., None], 3, axis=2)
        codestream = picture_bytes(rgb, "JPEG", quality=95)
        data = encapsulated_bytes(
            rgb, codestream, uid.JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422"
        )
        assert np.abs(one(data).pixels - grey).max() < 8

    def test_signed_values(self):
        stored = ramp(dtype=np.int16) - 200
        np.testing.assert_array_equal(one(dicom_bytes(stored)).pixels, stored)

    @pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
    def test_without_preamble(self, syntax):
        bare = dicom_bytes(ramp(), syntax)[132:]
        np.testing.assert_array_equal(one(bare).pixels, ramp())

    def test_without_preamble_and_meta_information(self):
        data = dicom_bytes(ramp(), uid.ImplicitVRLittleEndian)
        start = data.index(b"\x08\x00\x16\x00")
        np.testing.assert_array_equal(one(data[start:]).pixels, ramp())

    def test_what_no_decoder_takes_names_the_syntax(self):
        codestream = bytes(imagecodecs.jpeg8_encode(ramp(scale=8), bitspersample=12))
        data = encapsulated_bytes(
            ramp(scale=8), codestream, uid.JPEGExtended12Bit, BitsStored=12, HighBit=11
        )
        with pytest.raises(UnsupportedImageError, match=r"JPEG Extended.*1\.2\.840"):
            read_slices(data)


class TestValues:
    def test_rescale_is_applied_once(self):
        data = dicom_bytes(ramp(), RescaleSlope="2", RescaleIntercept="-10")
        np.testing.assert_array_equal(one(data).pixels, ramp() * 2.0 - 10)

    def test_modality_lut_stands_in_for_the_rescale(self):
        table = np.arange(480)[::-1].copy()
        data = dicom_bytes(ramp(), ModalityLUTSequence=lut(0, table))
        np.testing.assert_array_equal(one(data).pixels, 479 - ramp().astype(int))

    def test_window_is_recorded_and_not_applied(self):
        slice_ = one(dicom_bytes(ramp(), WindowCenter=["40", "90"], WindowWidth=["100", "10"]))
        assert slice_.window == Window(40.0, 100.0)
        np.testing.assert_array_equal(slice_.pixels, ramp())

    def test_voi_lut_without_window_is_applied(self):
        data = dicom_bytes(ramp(), VOILUTSequence=lut(100, [5, 7, 1000]))
        pixels = one(data).pixels
        assert pixels.ravel()[[0, 100, 101, 102, 479]].tolist() == [5, 5, 7, 1000, 1000]

    def test_window_goes_before_voi_lut(self):
        data = dicom_bytes(
            ramp(), VOILUTSequence=lut(0, [1, 2]), WindowCenter="40", WindowWidth="100"
        )
        np.testing.assert_array_equal(one(data).pixels, ramp())

    def test_monochrome1_is_inverted_with_its_window(self):
        data = dicom_bytes(
            ramp(),
            PhotometricInterpretation="MONOCHROME1",
            BitsStored=12,
            HighBit=11,
            WindowCenter="100",
            WindowWidth="50",
        )
        slice_ = one(data)
        np.testing.assert_array_equal(slice_.pixels, 4095 - ramp().astype(int))
        assert slice_.window == Window(4095 - 100 + 1, 50)

    def test_inversion_follows_the_rescale(self):
        data = dicom_bytes(
            ramp(),
            PhotometricInterpretation="MONOCHROME1",
            BitsStored=12,
            HighBit=11,
            RescaleSlope="2",
            RescaleIntercept="100",
        )
        expected = (4095 - ramp().astype(int)) * 2 + 100
        np.testing.assert_array_equal(one(data).pixels, expected)

    def test_padding_is_darkest(self):
        stored = ramp(dtype=np.int16) + 50
        stored[:2] = -2000
        padding = one(dicom_bytes(stored, PixelPaddingValue=-2000)).pixels
        assert np.all(padding[:2] == stored[2:].min())
        np.testing.assert_array_equal(padding[2:], stored[2:])

    def test_padding_of_monochrome1_is_darkest_too(self):
        stored = ramp()
        stored[:2] = 0
        data = dicom_bytes(stored, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0)
        pixels = one(data).pixels
        assert np.all(pixels[:2] == pixels[2:].min())

    def test_colour_becomes_luminance(self):
        rgb = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        exact = rgb @ np.array([0.299, 0.587, 0.114])
        assert np.abs(one(dicom_bytes(rgb)).pixels - exact).max() <= 0.51

    @pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 4095)])
    def test_colour_is_measured_as_in_pictures(self, dtype, top):
        rgb = np.zeros((20, 24, 3), dtype)
        rgb[:10, :, 0] = top
        bits = {} if top == 255 else {"BitsStored": 12, "HighBit": 11}
        found = one(dicom_bytes(rgb, Modality="MR", **bits))
        assert found.modality == "MR"
        assert found.colour == pytest.approx(0.5)
        png = read_slices(picture_bytes((rgb // (top // 255)).clip(0, 255).astype(np.uint8)))[0]
        assert found.colour == png.colour

    def test_grey_in_colour_is_grey_and_grey_has_no_colour(self):
        grey = np.repeat((ramp() % 256).astype(np.uint8)[..., None], 3, axis=2)
        assert one(dicom_bytes(grey)).colour == 0
        assert one(dicom_bytes(ramp())).colour is None

    def test_ybr_keeps_its_brightness(self):
        ybr = np.full((20, 24, 3), 128, np.uint8)
        ybr[..., 0] = ramp() % 251
        data = dicom_bytes(ybr, PhotometricInterpretation="YBR_FULL")
        assert np.abs(one(data).pixels - ybr[..., 0]).max() <= 1

    def test_palette_becomes_luminance(self):
        table = (np.arange(256) * 257).astype("<u2").tobytes()
        dataset = dicom_dataset((ramp() % 256).astype(np.uint8))
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for colour in ("Red", "Green", "Blue"):
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
            setattr(dataset, f"{colour}PaletteColorLookupTableData", table)
        np.testing.assert_array_equal(one(written(dataset)).pixels, ramp() % 256 * 257)
        assert one(written(dataset)).colour == 0


class TestPadding:
    """Below 50 is nothing but padding, so that what becomes of it is seen."""

    @pytest.mark.parametrize(
        ("kind", "vr", "value", "limit", "first", "last"),
        [
            (np.int16, "SS", -2000, None, -2000, -2000),
            (np.int16, "US", 63536, None, -2000, -2000),
            (np.int16, "US", 63536, 63546, -2000, -1990),
            (np.int16, "US", 63546, 63536, -2000, -1990),
            (np.int16, "US", 65526, 10, -10, 10),
            (np.uint16, "US", 40000, None, 40000, 40000),
            (np.uint16, "SS", -25536, None, 40000, 40000),
            (np.uint16, "SS", -25536, -25526, 40000, 40010),
            (np.uint16, "SS", 0, -25536, 0, 40),
            (np.int8, "US", 206, None, -50, -50),
            (np.int8, "US", 65486, None, -50, -50),
            (np.uint8, "SS", -50, None, 206, 206),
        ],
    )
    def test_it_has_the_sign_of_the_pixels(self, kind, vr, value, limit, first, last):
        stored = (ramp() % 50 + 50).astype(kind)
        stored[0, 0], stored[0, 1] = first, last
        dataset = dicom_dataset(stored)
        for part, number in (("Value", value), ("RangeLimit", limit)):
            if number is not None:
                setattr(dataset, f"PixelPadding{part}", 0)
                element = dataset[f"PixelPadding{part}"]
                element.VR, element.value = vr, number
        pixels = one(written(dataset)).pixels
        if limit != -25536 or value:  # there everything up to 40000 is padding
            assert pixels[0, :2].tolist() == [50, 50]
            np.testing.assert_array_equal(pixels[1:], stored[1:])

    def test_twelve_bits_with_a_sign(self):
        stored = ramp() % 50 + 50
        stored[0, 0] = 0x830  # -2000 in 12 bits
        data = dicom_bytes(
            stored, BitsStored=12, HighBit=11, PixelRepresentation=1, PixelPaddingValue=0x830
        )
        assert one(data).pixels[0, 0] == 50

    def test_in_implicit_syntax(self):
        stored = (ramp() % 50 + 50).astype(np.int16)
        stored[0, 0] = -2000
        data = dicom_bytes(stored, uid.ImplicitVRLittleEndian, PixelPaddingValue=-2000)
        assert one(data).pixels[0, 0] == 50

    def test_a_value_that_no_pixel_can_have_is_none(self):
        data = dicom_bytes(ramp(), BitsStored=12, HighBit=11, PixelPaddingValue=63536)
        np.testing.assert_array_equal(one(data).pixels, ramp())

    @pytest.mark.parametrize("sign", [0, 1])
    def test_of_monochrome1_is_darkest_whatever_the_sign(self, sign):
        stored = (ramp() % 50 + 50).astype([np.uint16, np.int16][sign])
        stored[0, 0] = padding = [40000, -2000][sign]
        dataset = dicom_dataset(
            stored, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=padding
        )
        pixels = one(written(dataset)).pixels
        np.testing.assert_array_equal(pixels[1:], [65535, -1][sign] - stored[1:].astype(int))
        assert pixels[0, 0] == [65535, -1][sign] - 99


class TestFloat:
    def data(self, stored, **tags):
        dataset = dicom_dataset(stored, **tags)
        keyword = "FloatPixelData" if stored.dtype == np.float32 else "DoubleFloatPixelData"
        setattr(dataset, keyword, dataset.PixelData)
        for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(dataset, name)
        return written(dataset)

    kinds = pytest.mark.parametrize("kind", [np.float32, np.float64])

    @kinds
    def test_values_are_what_is_stored(self, kind):
        stored = ramp(dtype=kind) / 7 - 5
        np.testing.assert_array_equal(one(self.data(stored)).pixels, stored.astype(np.float32))

    @kinds
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_background_of_no_numbers_is_darkest(self, kind, value):
        stored = ramp(dtype=kind) - 10
        stored[2:5] = value
        pixels = one(self.data(stored)).pixels
        assert np.all(pixels[2:5] == -10)
        np.testing.assert_array_equal(pixels[5:], stored[5:])

    @kinds
    def test_frames_share_their_darkest(self, kind):
        stored = np.stack([ramp(dtype=kind) - 10, np.full((20, 24), np.nan, kind)])
        first, second = read_slices(self.data(stored))
        np.testing.assert_array_equal(first.pixels, stored[0])
        assert np.all(second.pixels == -10)

    @kinds
    def test_nothing_but_no_numbers_is_refused(self, kind):
        with pytest.raises(InputError, match="only NaN or infinite"):
            read_slices(self.data(np.full((20, 24), np.nan, kind)))

    @kinds
    @pytest.mark.parametrize("limit", [None, -800.25])
    def test_padding(self, kind, limit):
        stored = ramp(dtype=kind) + 0.5
        stored[0, 0], stored[0, 1] = -999.5, np.nan
        prefix = "Float" if kind == np.float32 else "DoubleFloat"
        tags = {f"{prefix}PixelPaddingValue": -999.5}
        if limit:
            stored[0, 2] = -850
            tags[f"{prefix}PixelPaddingRangeLimit"] = limit
        pixels = one(self.data(stored, **tags)).pixels
        assert np.all(pixels[0, : 3 if limit else 2] == stored[0, 3 if limit else 2])
        np.testing.assert_array_equal(pixels[1:], stored[1:].astype(np.float32))

    @pytest.mark.parametrize("photometric", ["PALETTE COLOR", "RGB"])
    def test_in_colour_is_refused(self, photometric):
        data = self.data(ramp(dtype=np.float32), PhotometricInterpretation=photometric)
        with pytest.raises(InputError, match=r"of MONOCHROME1, MONOCHROME2, got"):
            read_slices(data)

    def test_of_another_size_names_the_attribute(self):
        with pytest.raises(InputError, match=r"BitsAllocated \(0028,0100\) of 32, got 16"):
            read_slices(self.data(ramp(dtype=np.float32), BitsAllocated=16))


class TestLookupTables:
    """Of a modality LUT and of a VOI LUT; `ends` looks up the first and the last entry."""

    def item(self, descriptor, entries, vr="OW", descriptor_vr="US"):
        item = group(LUTDescriptor=[0, 0, 16], LUTData=b"")
        item["LUTDescriptor"].VR = descriptor_vr
        item.LUTDescriptor = descriptor
        item["LUTData"].VR = vr
        item.LUTData = entries
        return Sequence([item])

    tables = pytest.mark.parametrize("keyword", ["ModalityLUTSequence", "VOILUTSequence"])

    @tables
    @pytest.mark.parametrize(
        ("bits", "vr", "entries"),
        [
            (16, "OW", np.arange(1000, 1480, dtype="<u2").tobytes()),
            (16, "US", list(range(1000, 1480))),
            (12, "US", list(range(1000, 1480))),
            (16, "OW", np.arange(1000, 1490, dtype="<u2").tobytes()),
        ],
        ids=["OW", "US", "12 bits", "too long"],
    )
    def test_entries(self, keyword, bits, vr, entries):
        data = dicom_bytes(ramp(), **{keyword: self.item([480, 0, bits], entries, vr)})
        np.testing.assert_array_equal(one(data).pixels, ramp() + 1000)

    @tables
    @pytest.mark.parametrize("count", [255, 256])
    def test_entries_of_eight_bits(self, keyword, count):
        entries = np.arange(count)[::-1].astype("u1").tobytes() + bytes(count % 2)
        data = dicom_bytes(ramp() % 255, **{keyword: self.item([count, 0, 8], entries)})
        np.testing.assert_array_equal(one(data).pixels, count - 1 - ramp() % 255)

    @tables
    @pytest.mark.parametrize("syntax", [uid.ExplicitVRBigEndian, uid.ImplicitVRLittleEndian])
    def test_in_other_syntaxes(self, keyword, syntax):
        kind = "<u2" if syntax.is_little_endian else ">u2"
        table = self.item([480, 0, 16], np.arange(1000, 1480, dtype=kind).tobytes())
        data = dicom_bytes(ramp(), syntax, **{keyword: table})
        np.testing.assert_array_equal(one(data).pixels, ramp() + 1000)

    @tables
    @pytest.mark.parametrize(("vr", "first"), [("SS", -100), ("US", 65436)])
    def test_a_first_value_with_a_sign(self, keyword, vr, first):
        table = self.item([480, first, 16], list(range(480)), "US", vr)
        stored = ramp(dtype=np.int16) - 100
        np.testing.assert_array_equal(
            one(dicom_bytes(stored, **{keyword: table})).pixels, stored + 100
        )

    def test_a_first_value_with_a_sign_after_the_rescale(self):
        table = self.item([480, 65436, 16], list(range(480)), "US")
        data = dicom_bytes(ramp(), VOILUTSequence=table, RescaleIntercept="-100")
        np.testing.assert_array_equal(one(data).pixels, ramp())

    @tables
    def test_a_large_first_value_without_one(self, keyword):
        table = self.item([480, 40000, 16], list(range(480)), "US")
        data = dicom_bytes(ramp() + 40000, **{keyword: table})
        np.testing.assert_array_equal(one(data).pixels, ramp())

    @tables
    def test_a_single_entry(self, keyword):
        data = dicom_bytes(ramp(), **{keyword: self.item([1, 0, 16], 77, "US")})
        assert np.all(one(data).pixels == 77)

    def test_it_goes_before_the_rescale(self):
        table = self.item([480, 0, 16], list(range(1000, 1480)), "US")
        data = dicom_bytes(ramp(), ModalityLUTSequence=table, RescaleSlope="2")
        np.testing.assert_array_equal(one(data).pixels, ramp() + 1000)

    @tables
    @pytest.mark.parametrize(
        "items",
        [
            [],
            [group()],
            [group(LUTDescriptor=[480, 0, 16])],
            [group(LUTDescriptor=[480, 0, 16], LUTData=None)],
            [group(LUTData=b"\0\0")],
            [group(LUTExplanation="none")],
        ],
        ids=["no item", "empty item", "no data", "empty data", "no descriptor", "neither"],
    )
    def test_what_is_no_table_is_passed_over(self, keyword, items):
        for item in items:
            for name, vr in (("LUTDescriptor", "US"), ("LUTData", "OW")):
                if name in item:
                    item[name].VR = vr
        data = dicom_bytes(ramp(), RescaleSlope="2", **{keyword: Sequence(items)})
        np.testing.assert_array_equal(one(data).pixels, ramp() * 2)
        more = Sequence([*items, *self.item([480, 0, 16], list(range(1000, 1480)), "US")])
        if keyword == "ModalityLUTSequence":
            pixels = one(dicom_bytes(ramp(), RescaleSlope="2", **{keyword: more})).pixels
            np.testing.assert_array_equal(pixels, ramp() + 1000)

    @tables
    @pytest.mark.parametrize(
        ("descriptor", "entries", "vr", "message"),
        [
            ([480, 0], [1, 2], "US", r"three numbers in LUTDescriptor \(0028,3002\)"),
            ([480, 0, 16], [1, 2], "US", r"480 entries in LUTData \(0028,3006\), got 2"),
            ([480, 0, 16], bytes(100), "OW", r"480 entries in LUTData \(0028,3006\), got 100"),
        ],
    )
    def test_a_table_that_contradicts_itself_is_refused(
        self, keyword, descriptor, entries, vr, message
    ):
        data = dicom_bytes(ramp(), **{keyword: self.item(descriptor, entries, vr)})
        with pytest.raises(InputError, match=message):
            read_slices(data)


class TestRescale:
    @pytest.mark.parametrize(
        ("slope", "intercept"),
        [("1.0E-4", "0"), ("0.5", "-1024.5"), ("-1", "100"), ("+2.", " 3 "), ("1e3", "")],
    )
    def test_as_it_is_written(self, slope, intercept):
        pixels = one(dicom_bytes(ramp(), RescaleSlope=slope, RescaleIntercept=intercept)).pixels
        expected = ramp() * float(slope) + float(intercept or 0)
        np.testing.assert_allclose(pixels, expected, rtol=1e-6)

    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    @pytest.mark.parametrize("value", [b"nan ", b"inf ", b"1,5 ", b"abc "])
    def test_what_is_no_number_names_its_attribute(self, keyword, value):
        data = dicom_bytes(ramp(), **{keyword: "7654"}).replace(b"7654", value)
        with pytest.raises(InputError, match=rf"{keyword} \(0028,105\d\)") as caught:
            read_slices(data)
        assert "Error" not in str(caught.value)

    def test_an_empty_item_of_a_frame_says_nothing(self):
        empty = group(PixelValueTransformationSequence=Sequence([group()]))
        shared = group(PixelValueTransformationSequence=Sequence([group(RescaleSlope=3)]))
        data = dicom_bytes(
            ramp(),
            PerFrameFunctionalGroupsSequence=Sequence([empty]),
            SharedFunctionalGroupsSequence=Sequence([shared]),
        )
        np.testing.assert_array_equal(one(data).pixels, ramp() * 3)


class TestHeader:
    def test_identity_and_geometry(self):
        data = dicom_bytes(
            ramp(),
            ImagePositionPatient=[1, 2, 3],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[0.5, 0.5],
            SliceThickness=4,
        )
        slice_ = one(data, name="x.dcm")
        assert slice_.source == "x.dcm"
        assert slice_.modality == "MR"
        assert (slice_.patient_id, slice_.study_uid, slice_.series_uid) == (
            "PATIENT-1",
            "1.2.3",
            "1.2.3.4",
        )
        assert slice_.instance_uid is not None
        assert slice_.position_mm == (1, 2, 3)
        assert slice_.orientation == (1, 0, 0, 0, 1, 0)
        assert slice_.pixel_spacing_mm == (0.5, 0.5)
        assert slice_.slice_thickness_mm == 4

    def test_useless_geometry_is_no_geometry(self):
        data = dicom_bytes(ramp(), ImageOrientationPatient=[0] * 6, PixelSpacing=[0, 0])
        slice_ = one(data)
        assert slice_.orientation is None
        assert slice_.pixel_spacing_mm is None
        assert slice_.position_mm is None

    def test_phantom_comments_become_annotations(self):
        comment = "slicewise:synthetic=true; drawn=glioma"
        data = dicom_bytes(ramp(), Manufacturer="SliceWise phantom", ImageComments=comment)
        assert one(data).annotations == {"synthetic": "true", "drawn": "glioma"}

    def test_other_comments_do_not(self):
        comment = "slicewise:drawn=glioma"
        assert (
            one(dicom_bytes(ramp(), Manufacturer="Other", ImageComments=comment)).annotations == {}
        )
        data = dicom_bytes(ramp(), Manufacturer="SliceWise phantom", ImageComments="Jane Doe")
        assert one(data).annotations == {}

    def test_patient_is_not_printed(self):
        assert "PATIENT-1" not in repr(one(dicom_bytes(ramp())))


class TestMultiFrame:
    def test_each_frame_has_its_own_place_and_rescale(self):
        volume = np.stack([ramp(), ramp(scale=2)])
        data = enhanced_bytes(volume, [(0, 0, 3), (0, 0, 0)], slopes=[1, 3])
        first, second = read_slices(data, name="e.dcm")
        assert [first.source, second.source] == ["e.dcm#0", "e.dcm#1"]
        assert [first.position_mm, second.position_mm] == [(0, 0, 3), (0, 0, 0)]
        np.testing.assert_array_equal(second.pixels, ramp() * 6.0)
        assert second.orientation == (1, 0, 0, 0, 1, 0)
        assert second.pixel_spacing_mm == (0.5, 0.5)
        assert second.slice_thickness_mm == 3
        assert second.window == Window(100, 200)

    def test_compressed_frames(self):
        volume = np.stack([ramp(), ramp(scale=2), ramp(scale=3)])
        slices = read_slices(dicom_bytes(volume, uid.RLELossless))
        np.testing.assert_array_equal(np.stack([s.pixels for s in slices]), volume)

    def test_frames_without_groups_have_no_position(self):
        volume = np.stack([ramp(), ramp()])
        slices = read_slices(dicom_bytes(volume, ImagePositionPatient=[0, 0, 0]))
        assert [s.position_mm for s in slices] == [None, None]

    def test_too_many_frames_are_refused(self):
        data = dicom_bytes(np.zeros((5, 16, 16), np.uint16))
        with pytest.raises(LimitError, match="at most 4 images, got 5"):
            read_slices(data, limits=Limits(max_frames=4))


class TestBroken:
    def test_no_pixel_data_names_the_tag(self):
        dataset = dicom_dataset(ramp())
        del dataset.PixelData
        with pytest.raises(InputError, match=r"without Pixel Data \(7FE0,0010\)"):
            read_slices(written(dataset))

    def test_no_image_at_all_names_the_tag(self):
        dataset = dicom_dataset(ramp())
        for keyword in ("PixelData", "Rows", "Columns", "PhotometricInterpretation"):
            delattr(dataset, keyword)
        with pytest.raises(InputError, match=r"without Pixel Data \(7FE0,0010\)"):
            read_slices(written(dataset))

    def test_missing_attribute_is_named(self):
        dataset = dicom_dataset(ramp())
        del dataset.Columns
        with pytest.raises(InputError, match=r"Columns \(0028,0011\)"):
            read_slices(written(dataset))

    def test_short_pixel_data_say_how_many_bytes(self):
        data = dicom_bytes(ramp()[:-1], Rows=20)
        with pytest.raises(InputError, match=r"960 bytes of PixelData \(7FE0,0010\), got 912"):
            read_slices(data)

    def test_declared_extent_is_limited_before_decoding(self):
        data = dicom_bytes(ramp(), Rows=60_000, Columns=60_000)
        with pytest.raises(LimitError, match="got 60000 x 60000"):
            read_slices(data)

    def test_extent_inside_the_codestream_is_limited_too(self):
        stored = ramp()
        codestream = bytearray(imagecodecs.jpegls_encode(stored))
        at = codestream.index(b"\xff\xf7") + 5
        codestream[at : at + 4] = (40_000).to_bytes(2, "big") * 2
        with pytest.raises(LimitError, match="got 40000 x 40000"):
            read_slices(encapsulated_bytes(stored, bytes(codestream), uid.JPEGLSLossless))

    def test_other_extent_inside_the_codestream_is_refused(self):
        codestream = bytes(imagecodecs.jpegls_encode(ramp(32, 32)))
        with pytest.raises(InputError, match=r"expected 20 x 24 pixels .* got 32 x 32"):
            read_slices(encapsulated_bytes(ramp(), codestream, uid.JPEGLSLossless))

    def test_depth_that_crashes_a_decoder_never_reaches_it(self):
        stored = ramp(scale=130)
        codestream = bytearray(imagecodecs.ljpeg_encode(stored))
        codestream[codestream.index(b"\xff\xc3") + 4] = 51
        with pytest.raises(InputError, match=r"1 x 16 bits, got 20 x 24 of 1 x 51"):
            read_slices(encapsulated_bytes(stored, bytes(codestream), uid.JPEGLosslessSV1))

    def test_codestream_without_a_frame_header_is_refused(self):
        stored = ramp()
        codestream = bytearray(imagecodecs.ljpeg_encode(stored))
        codestream[2] = 0
        with pytest.raises(InputError, match="frame header, got none"):
            read_slices(encapsulated_bytes(stored, bytes(codestream), uid.JPEGLosslessSV1))

    def test_deflated_bomb_is_refused_before_it_expands(self):
        data = dicom_bytes(np.zeros((1000, 1000), np.uint16), uid.DeflatedExplicitVRLittleEndian)
        assert len(data) < 10_000
        with pytest.raises(LimitError, match="at most 1,000,000 bytes"):
            read_slices(data, limits=Limits(max_bytes=1_000_000))
        bomb = dicom_bytes(np.zeros((3000, 3000), np.uint16), uid.DeflatedExplicitVRLittleEndian)
        with pytest.raises(LimitError, match="expand at most 200 times"):
            read_slices(bomb)

    def test_errors_hold_no_patient_data(self):
        data = dicom_bytes(ramp())
        for end in range(132, len(data), 37):
            with pytest.raises(InputError) as caught:
                read_slices(data[:end])
            assert "Secret" not in str(caught.value)
            assert "PATIENT" not in str(caught.value)

    def test_no_warning_or_log_quotes_patient_data(self, tmp_path):
        data = dicom_bytes(ramp())
        path = tmp_path / "x.dcm"
        path.write_bytes(data.replace(b"1.2.3.4\0", b"Jane^Doe"))
        code = (
            "import logging, sys; logging.basicConfig(level=0);"
            "from slicewise.imaging.read import read_slices; read_slices(sys.argv[1])"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        assert "Jane" not in ran.stdout + ran.stderr


def test_deep_inverted_pixels_are_not_rounded():
    pixels = ramp(40, 40, np.uint32)
    (slice_,) = read_slices(dicom_bytes(pixels, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(slice_.pixels, pixels.max() - pixels.astype(float))
