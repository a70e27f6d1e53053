import nibabel
import numpy as np
import pytest

from builders_imaging import gzip_bytes, nifti_bytes
from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_slices

RAS = (20, 24, 17)


def ras_volume():
    """Bright at the patient's right front at the top: voxel axes run right, anterior, superior."""
    volume = np.zeros(RAS, np.int16)
    volume[-1, -1, -1] = 100
    volume[0, 0, 0] = 50
    return volume


def turned(code):
    """The same volume stored along other axes, with the affine that says so."""
    source = nibabel.Nifti1Image(ras_volume(), np.diag([2.0, 3.0, 4.0, 1.0]))
    transform = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(code)
    )
    return source.as_reoriented(transform)


@pytest.mark.parametrize("code", ["RAS", "LPS", "LAS", "SAR", "PIR", "ASL"])
def test_display_is_radiological_however_the_voxels_are_stored(code):
    image = turned(code)
    slices = read_slices(nifti_bytes(np.asarray(image.dataobj), image.affine), name="v.nii")
    assert len(slices) == 17
    assert slices[0].shape == (24, 20)
    # The patient's right is on the left of the image, the front at its top, the top comes last.
    assert slices[-1].pixels[0, 0] == 100
    assert slices[0].pixels[-1, -1] == 50
    assert slices[3].source == "v.nii#3"


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAR"])
def test_geometry_is_dicoms(code):
    image = turned(code)
    slices = read_slices(nifti_bytes(np.asarray(image.dataobj), image.affine))
    assert slices[0].orientation == pytest.approx((1, 0, 0, 0, 1, 0))
    assert slices[0].pixel_spacing_mm == pytest.approx((3, 2))
    assert slices[2].position_mm == pytest.approx((-2 * 19, -3 * 23, 8))


def test_gzip_and_plain_are_the_same():
    data = nifti_bytes(ras_volume())
    for plain, packed in zip(read_slices(data), read_slices(gzip_bytes(data)), strict=True):
        np.testing.assert_array_equal(plain.pixels, packed.pixels)


def test_scale_is_applied():
    image = nibabel.Nifti1Image(ras_volume(), np.eye(4))
    image.header.set_slope_inter(2, -5)
    assert read_slices(image.to_bytes())[-1].pixels[0, 0] == 195


def test_nifti2():
    image = nibabel.Nifti2Image(ras_volume(), np.eye(4))
    assert read_slices(image.to_bytes())[-1].pixels[0, 0] == 100


def test_without_orientation_the_geometry_is_unknown():
    slices = read_slices(nifti_bytes(ras_volume(), code=0))
    assert slices[0].orientation is None
    assert slices[-1].pixels[0, 0] == 100


def test_trailing_axes_of_one_are_one_volume():
    assert len(read_slices(nifti_bytes(ras_volume()[..., None]))) == 17
    assert len(read_slices(nifti_bytes(ras_volume()[..., 0]))) == 1


def test_several_volumes_are_refused():
    with pytest.raises(UnsupportedImageError, match=r"one volume, got the shape \(20, 24, 17, 2\)"):
        read_slices(nifti_bytes(np.zeros((*RAS, 2), np.int16)))


def test_complex_voxels_are_refused():
    with pytest.raises(UnsupportedImageError, match="real voxels"):
        read_slices(nifti_bytes(np.zeros(RAS, np.complex64)))


def test_nan_becomes_the_darkest_voxel():
    volume = ras_volume().astype(np.float32) + 7
    volume[:, :, 2] = np.nan
    slices = read_slices(nifti_bytes(volume))
    assert np.all(slices[2].pixels == 7)
    assert np.all(np.isfinite(np.stack([s.pixels for s in slices])))


def test_only_nan_is_refused():
    with pytest.raises(InputError, match="finite voxels"):
        read_slices(nifti_bytes(np.full(RAS, np.nan, np.float32)))


def test_thin_volume_is_refused():
    with pytest.raises(InputError, match="at least 16 x 16 pixels, got 24 x 8"):
        read_slices(nifti_bytes(np.zeros((8, 24, 17), np.int16)))


def test_expansion_is_limited_before_it_happens():
    packed = gzip_bytes(nifti_bytes(np.zeros((200, 200, 200), np.int16)))
    with pytest.raises(LimitError, match="at most 1,000,000 bytes"):
        read_slices(packed, limits=Limits(max_bytes=1_000_000))
    with pytest.raises(LimitError, match="1,000,000 pixels in 200 images"):
        read_slices(packed, limits=Limits(max_volume_pixels=1_000_000))


def test_bytes_after_the_volume_are_not_expanded():
    packed = gzip_bytes(nifti_bytes(ras_volume())) + gzip_bytes(bytes(10_000_000))
    assert len(read_slices(packed, limits=Limits(max_bytes=1_000_000))) == 17


def test_truncated_volume_says_so():
    with pytest.raises(InputError, match=r"\(truncated\)"):
        read_slices(nifti_bytes(ras_volume())[:-100])
    with pytest.raises(InputError, match="NIfTI"):
        read_slices(gzip_bytes(nifti_bytes(np.random.default_rng(0).random(RAS)))[:-5000])


def test_volume_that_cannot_be_in_so_few_bytes_is_not_expanded():
    packed = gzip_bytes(nifti_bytes(np.zeros((400, 400, 400), np.int16))[:100_000])
    with pytest.raises(InputError, match="got at most"):
        read_slices(packed)


def test_header_of_a_pair_is_refused():
    data = bytearray(nifti_bytes(ras_volume()))
    data[344:348] = b"ni1\0"
    with pytest.raises(UnsupportedImageError, match="pair"):
        read_slices(bytes(data))
