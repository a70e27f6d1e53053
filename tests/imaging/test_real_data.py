"""Readers on public data, where `SLICEWISE_DATA` points to it."""

import io
from itertools import pairwise

import numpy as np
import pytest

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.read import read_inputs, read_slices
from slicewise.imaging.slice import Failure, Series

pytestmark = pytest.mark.realdata


def without_mosaic(file):
    """The bytes of a mosaic that no longer says that it is one; the pixels stay as they are."""
    import pydicom

    dataset = pydicom.dcmread(file)
    dataset.ImageType = dataset.ImageType[:-1]
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def test_a_mosaic_is_refused_by_name(real_data):
    answers = list(read_inputs([real_data / "dicom" / "dcm_qa_ts"]))
    assert len(answers) == 9
    assert all("got a Siemens mosaic" in answer.error for answer in answers)


def test_nine_transfer_syntaxes_give_the_same_pixels(real_data):
    files = [real_data / "dicom" / "dcm_qa_ts" / f"{n}.dcm" for n in range(1, 10)]
    first, *others = (read_slices(without_mosaic(file))[0].pixels for file in files)
    assert first.shape == (384, 384)
    assert first.max() == 2362
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_small_mr_is_the_same_in_every_syntax(real_data):
    folder = real_data / "dicom" / "pydicom"
    files = sorted(folder.glob("MR_small*.dcm"))
    assert len(files) == 8
    first, *others = (read_slices(file)[0] for file in files)
    for other in others:
        np.testing.assert_array_equal(other.pixels, first.pixels)
        assert other.window == first.window


def test_series_is_ordered_from_below(real_data):
    (series,) = read_inputs([real_data / "dicom" / "datalad_t1"])
    assert isinstance(series, Series)
    assert (len(series.slices), series.plane, series.is_volume) == (24, "axial", True)
    heights = [s.position_mm[2] for s in series.slices]
    assert all(low < high for low, high in pairwise(heights))
    names = [s.source.rsplit("_", 1)[1] for s in series.slices]
    assert names == sorted(names)


def test_enhanced_frames_have_their_own_place(real_data):
    slices = read_slices(real_data / "dicom" / "dcm_qa_enh" / "XA10_6_1.dcm")
    assert len(slices) == 6
    steps = np.diff([s.position_mm[2] for s in slices])
    np.testing.assert_allclose(steps, 2.4, atol=1e-3)
    assert slices[0].window is not None
    assert slices[0].slice_thickness_mm == pytest.approx(2.4)


def test_enhanced_rescale_is_applied_once(real_data):
    import pydicom

    path = real_data / "dicom" / "dcm_qa_enh" / "Philips_IM_0027_fMAP.dcm"
    stored = pydicom.dcmread(path).pixel_array
    slices = read_slices(path)
    np.testing.assert_allclose(slices[0].pixels, stored[0] * 1.27985347985347, rtol=1e-6)


def test_enhanced_frames_are_divided_by_component_and_time(real_data):
    answers = list(read_inputs([real_data / "dicom" / "dcm_qa_enh"]))
    found = [(len(a.slices), a.source.partition(" ")[2]) for a in answers]
    times = [(6, f"[time {number}]") for number in (1, 2, 3, 4)]
    assert found == [(32, ""), (32, "[field map]"), *times]


def test_broken_and_unsupported_files_say_why(real_data):
    folder = real_data / "dicom" / "pydicom"
    with pytest.raises(InputError, match=r"8,192 bytes of PixelData \(7FE0,0010\), got 8,130"):
        read_slices(folder / "MR_truncated.dcm")
    with pytest.raises(UnsupportedImageError, match="JPEG Extended"):
        read_slices(folder / "JPEG-lossy.dcm")
    with pytest.raises(InputError, match="at least 16 x 16"):
        read_slices(folder / "JPEGLSNearLossless_08.dcm")


def test_nifti_volume_shows_the_face_at_the_top(real_data):
    """The air in front of a head is no mirror image of the air behind it: the nose sticks out."""
    slices = read_slices(real_data / "btp" / "05" / "Pre_Scan_T1.nii.gz")
    assert len(slices) == 24
    head = np.argwhere(slices[3].pixels > 0.2 * np.percentile(slices[3].pixels, 99))
    top = head[head[:, 0] < head[:, 0].min() + 12]
    bottom = head[head[:, 0] > head[:, 0].max() - 12]
    assert np.ptp(top[:, 1]) < np.ptp(bottom[:, 1]) / 2


def test_mask_lies_on_its_scan(real_data):
    scan = read_slices(real_data / "btp" / "05" / "Pre_Scan_T1.nii.gz")
    mask = read_slices(real_data / "btp" / "05" / "Pre_Mask.nii.gz")
    inside = np.concatenate([s.pixels[m.pixels > 0] for s, m in zip(scan, mask, strict=True)])
    assert inside.size > 1000
    assert np.mean(inside) > np.mean(np.stack([s.pixels for s in scan]))


@pytest.mark.parametrize("name", ["figshare", "nickparvar", "navoneel", "br35h"])
def test_pictures_of_every_set_are_read(real_data, name):
    files = sorted(f for f in (real_data / name).rglob("*") if f.suffix.lower() in (".jpg", ".png"))
    answers = list(read_inputs(files[:: max(1, len(files) // 40)]))
    assert len(answers) >= 40
    assert not [a for a in answers if isinstance(a, Failure)]
