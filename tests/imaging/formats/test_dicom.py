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

    def test_bits_above_bits_stored_are_no_values(self):
        stored = ramp() | 0x8000
        data = dicom_bytes(stored, BitsStored=12, HighBit=11)
        np.testing.assert_array_equal(one(data).pixels, ramp())

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

    def test_float_pixels_that_are_no_numbers_are_refused(self):
        stored = ramp(dtype=np.float32)
        stored[0, 0] = np.nan
        dataset = dicom_dataset(stored)
        dataset.FloatPixelData = dataset.PixelData
        del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
        with pytest.raises(InputError, match="finite pixels, got 1"):
            read_slices(written(dataset))


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
