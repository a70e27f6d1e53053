"""NIfTI volumes: how they are cut and turned, and headers that say too little or too much."""

import itertools
import struct
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from nibabel.quaternions import mat2quat

from builders_imaging import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    dicom_bytes,
    gzip_bytes,
    nifti_bytes,
    zip_bytes,
)
from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.entry import bytes_entry
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_inputs, read_slice, read_slices

RAS = (20, 24, 17)
KINDS = (nibabel.Nifti1Image, nibabel.Nifti2Image)
LPS = np.array([-1, -1, 1])
PLANES = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL}


def ras_volume():
    """Bright at the patient's right front at the top: voxel axes run right, anterior, superior."""
    volume = np.zeros(RAS, np.int16)
    volume[-1, -1, -1] = 100
    volume[0, 0, 0] = 50
    return volume


def turned(code):
    """The same volume stored along other axes, with the affine that says so."""
    source = nibabel.Nifti1Image(ras_volume(), np.diag([2.0, 2.0, 4.0, 1.0]))
    transform = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(code)
    )
    return source.as_reoriented(transform)


def shape_and_plane(data):
    (series,) = read_inputs([bytes_entry(data, "v.nii")])
    return (len(series.slices), *series.slices[0].shape), series.plane


def flipped(voxels, affine, flips):
    """The same volume stored backwards along some axes."""
    ends = [size - 1 if flip < 0 else 0 for size, flip in zip(voxels.shape, flips, strict=True)]
    corner = affine[:3, :3] @ ends + affine[:3, 3]
    turned = np.vstack([np.column_stack([affine[:3, :3] * flips, corner]), affine[3]])
    return voxels[tuple(slice(None, None, flip) for flip in flips)], turned


def by_qform(data, affine=None, **fields):
    """The volume placed by the quaternion of an affine without shear, and not by its sform."""
    affine = np.eye(4) if affine is None else affine
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    matrix = affine[:3, :3] / sizes
    qfac = 1.0 if np.linalg.det(matrix) > 0 else -1.0
    b, c, d = mat2quat(matrix * [1, 1, qfac])[1:]
    known = {
        "pixdim": [qfac, *sizes, 1, 1, 1, 1],
        **dict(zip(("quatern_b", "quatern_c", "quatern_d"), (b, c, d), strict=True)),
        **dict(zip(("qoffset_x", "qoffset_y", "qoffset_z"), affine[:3, 3], strict=True)),
        "qform_code": 1,
        "sform_code": 0,
    }
    return nifti_bytes(data, **{**known, **fields})


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
    assert slices[0].pixel_spacing_mm == pytest.approx((2, 2))
    assert slices[2].position_mm == pytest.approx((-2 * 19, -2 * 23, 8))


class TestSameScanAsDicom:
    """One scan as both formats, stored in ways that converters do, gives the same slices."""

    @pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.75)], ids=str)
    @pytest.mark.parametrize("tilt", [0, 17])
    @pytest.mark.parametrize("plane", PLANES)
    def test_pixels_place_and_order(self, tmp_path, plane, tilt, spacing):
        angle = np.deg2rad(tilt)
        about_x = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
        row, column = np.reshape(PLANES[plane], (2, 3)) @ np.transpose(about_x)
        normal = np.cross(row, column)
        volume = np.random.default_rng(0).integers(0, 4000, (5, 20, 24)).astype(np.int16)
        corner = np.array([-40.0, 30.0, 7.0])
        for at, pixels in enumerate(volume):
            data = dicom_bytes(
                pixels,
                ImagePositionPatient=(corner + 4.0 * at * normal).tolist(),
                ImageOrientationPatient=[*row, *column],
                PixelSpacing=list(spacing),
            )
            (tmp_path / f"{at}.dcm").write_bytes(data)
        (wanted,) = read_inputs([tmp_path])
        affine = np.eye(4)
        along = np.stack([row * spacing[1], column * spacing[0], normal * 4.0], axis=1)
        affine[:3, :3], affine[:3, 3] = along * LPS[:, None], corner * LPS
        for flips in itertools.product([1, -1], repeat=3):
            stored = flipped(volume.transpose(2, 1, 0), affine, flips)
            for data in (nifti_bytes(*stored), by_qform(*stored)):
                self.check(data, wanted, plane)

    def check(self, data, wanted, plane):
        (found,) = read_inputs([bytes_entry(data, "v.nii")])
        assert found.plane == wanted.plane == plane
        for ours, theirs in zip(found.slices, wanted.slices, strict=True):
            np.testing.assert_array_equal(ours.pixels, theirs.pixels)
            assert ours.orientation == pytest.approx(theirs.orientation, abs=1e-6)
            assert ours.position_mm == pytest.approx(theirs.position_mm, abs=1e-4)
            assert ours.pixel_spacing_mm == pytest.approx(theirs.pixel_spacing_mm, rel=1e-6)

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
    def test_whichever_stored_axis_goes_from_slice_to_slice(self, order):
        volume = np.random.default_rng(0).integers(0, 4000, (20, 24, 18)).astype(np.int16)
        affine = np.diag([1.0, 1.0, 5.0, 1.0])
        wanted = read_slices(nifti_bytes(volume, affine))
        exchanged = nifti_bytes(volume.transpose(order), affine[:, [*order, 3]])
        for ours, theirs in zip(read_slices(exchanged), wanted, strict=True):
            np.testing.assert_array_equal(ours.pixels, theirs.pixels)
            assert ours.position_mm == theirs.position_mm


class TestCut:
    @pytest.mark.parametrize(
        ("shape", "spacing", "named", "found"),
        [
            ((20, 24, 17), (1, 1, 1), 0, (17, 24, 20)),
            ((20, 24, 17), (5, 1, 1), 0, (20, 17, 24)),
            ((20, 24, 17), (1, 5, 1), 0, (24, 17, 20)),
            ((20, 24, 17), (1, 1, 5), 0, (17, 24, 20)),
            ((256, 4, 64), (1, 1, 1), 0, (4, 64, 256)),
            ((4, 256, 64), (1, 1, 1), 0, (4, 64, 256)),
            ((256, 64, 4), (1, 1, 1), 0, (4, 64, 256)),
            ((20, 24, 17), (1, 1, 1), 1, (20, 17, 24)),
            ((20, 24, 17), (1, 1, 1), 2, (24, 17, 20)),
            ((20, 24, 17), (1, 1, 1), 3, (17, 24, 20)),
            ((20, 24, 17), (1, 1.2, 1), 0, (17, 29, 20)),
            ((20, 24, 17), (1, 1.3, 1), 0, (24, 17, 20)),
            ((20, 24, 17), (1, 1.2, 1), 1, (20, 17, 29)),
            ((20, 24, 17), (1, 5, 1), 1, (24, 17, 20)),
            ((20, 24, 17), (1, 3, 3), 0, (17, 72, 20)),
            ((20, 1, 17), (1, 1, 5), 0, (1, 85, 20)),
            ((20, 1, 17), (1, 1, 1), 3, (1, 17, 20)),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("kind", KINDS)
    def test_axis(self, kind, shape, spacing, named, found):
        data = nifti_bytes(
            np.zeros(shape, np.int16), np.diag([*spacing, 1]), kind=kind, dim_info=named << 4
        )
        plane = ("sagittal", "coronal", "axial")[shape.index(found[0])]
        assert shape_and_plane(data) == (found, plane)

    def test_by_its_voxels_where_the_place_is_not_known(self):
        data = nifti_bytes(
            np.zeros((20, 24, 17), np.int16),
            np.diag([5, 1, 2, 1]),
            code=0,
            pixdim=[1, 5, 1, 2, 1, 1, 1, 1],
        )
        assert shape_and_plane(data) == ((20, 34, 24), None)

    def test_oblique(self):
        angle = np.deg2rad(45)
        affine = np.eye(4)
        affine[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        affine[:3, 2] *= 4
        data = nifti_bytes(np.zeros(RAS, np.int16), affine)
        assert shape_and_plane(data) == ((17, 24, 20), "oblique")

    def test_too_small_in_every_cut(self):
        with pytest.raises(InputError, match="at least 16 x 16 pixels, got 8 x 20"):
            read_slices(nifti_bytes(np.zeros((20, 8, 9), np.int16)))

    def test_index_counts_from_the_lowest(self, tmp_path):
        volume = np.arange(20 * 24 * 17, dtype=np.int16).reshape(20, 24, 17)
        path = tmp_path / "v.nii.gz"
        path.write_bytes(gzip_bytes(nifti_bytes(volume, np.diag([-3.0, 1, 1, 1]))))
        lowest = read_slice(f"{path}#0")  # LPS: the patient's right
        np.testing.assert_array_equal(lowest.pixels, volume[0, ::-1, ::-1].T)
        assert lowest.position_mm == pytest.approx((0, -23, 16))


@pytest.mark.parametrize("kind", KINDS)
def test_gzip_and_plain_are_the_same(kind):
    data = nifti_bytes(ras_volume(), kind=kind)
    packed = (gzip_bytes(data), gzip_bytes(data[:400]) + gzip_bytes(data[400:]))
    for other in (*packed, gzip_bytes(data) + b"and more"):
        for plain, found in zip(read_slices(data), read_slices(other), strict=True):
            np.testing.assert_array_equal(plain.pixels, found.pixels)


@pytest.mark.parametrize("first", [1, 10, 100, 348])
def test_gzip_members_may_begin_anywhere(first):
    data = nifti_bytes(ras_volume())
    packed = gzip_bytes(b"") + gzip_bytes(data[:first]) + gzip_bytes(data[first:])
    assert len(read_slices(packed)) == 17


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_every_type_in_both_byte_orders(kind, order, dtype):
    volume = (ras_volume() + 3).astype(dtype)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype)
    image = kind(volume, np.eye(4), header)
    slices = read_slices(image.to_bytes())
    assert image.header.endianness == order
    assert slices[-1].pixels[0, 0] == 103
    assert slices[0].pixels[0, 0] == 3
    assert slices[0].pixels.dtype == np.dtype(np.float32)


@pytest.mark.parametrize(
    ("slope", "intercept", "value"),
    [
        (2, -5, 195),
        (-1, 0, -100),
        (1, np.nan, 100),
        (2, np.inf, 200),
        (0, 7, 100),
        (np.nan, np.nan, 100),
        (np.nan, 3, 100),
        (np.inf, 0, 100),
        (1, 32768, 32868),
        (1e-5, 1e6, np.float32(1e-5 * 100 + 1e6)),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_scale(kind, slope, intercept, value):
    data = nifti_bytes(ras_volume(), kind=kind, scl_slope=slope, scl_inter=intercept)
    assert read_slices(data)[-1].pixels[0, 0] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        nifti_bytes(ras_volume(), scl_slope=1e38),
        nifti_bytes(ras_volume().astype(np.float64) * 1e300),
        nifti_bytes(ras_volume().astype(np.float64) * -1e300),
    ],
    ids=["slope", "voxels", "negative"],
)
def test_values_beyond_32_bit_floats_are_refused(data):
    with pytest.raises(InputError, match="within the range of 32-bit floats"):
        read_slices(data)


class TestPlaceOfTheVoxels:
    """Extensions and `vox_offset`."""

    @pytest.mark.parametrize(
        "extension",
        [
            struct.pack("<ii", 32, 4) + bytes(24),
            struct.pack("<ii", 1024, 4) + b"<AFNI_attributes/>".ljust(1016),
            b"".join(struct.pack("<ii", n, 6) + bytes(n - 8) for n in (16, 2000, 32)),
            struct.pack("<ii", 7, 4) + bytes(24),
            struct.pack("<ii", -16, 4) + bytes(24),
            struct.pack("<ii", 2**31 - 1, 4) + bytes(24),
            struct.pack("<ii", 0, 0) + bytes(24),
            b"odd",
        ],
        ids=["one", "afni", "three", "unaligned", "negative", "endless", "empty", "no size"],
    )
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("pack", [bytes, gzip_bytes])
    def test_extensions_are_passed_over(self, kind, pack, extension):
        size = kind.header_class.sizeof_hdr
        data = nifti_bytes(ras_volume(), kind=kind, vox_offset=size + 4 + len(extension))
        voxels = data[size + 4 :]
        found = read_slices(pack(data[:size] + b"\1\0\0\0" + extension + voxels))
        np.testing.assert_array_equal(found[-1].pixels, read_slices(data_of(kind))[-1].pixels)
        assert found[-1].pixels[0, 0] == 100

    @pytest.mark.parametrize("kind", KINDS)
    def test_flag_without_an_extension(self, kind):
        size = kind.header_class.sizeof_hdr
        data = bytearray(nifti_bytes(ras_volume(), kind=kind, vox_offset=size + 4))
        data[size] = 1
        assert read_slices(bytes(data))[-1].pixels[0, 0] == 100

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_offset_is_behind_the_header(self, kind):
        data = nifti_bytes(ras_volume(), kind=kind, vox_offset=0)
        assert read_slices(data)[-1].pixels[0, 0] == 100
        assert read_slices(data)[0].pixels[-1, -1] == 50

    def test_no_offset_with_an_extension_is_refused(self):
        data = bytearray(nifti_bytes(ras_volume(), vox_offset=0))
        data[348] = 1
        with pytest.raises(InputError, match="vox_offset behind the header extension, got 0"):
            read_slices(bytes(data))

    @pytest.mark.parametrize("gap", [0, 1, 4, 5, 16, 333])
    @pytest.mark.parametrize("kind", KINDS)
    def test_any_whole_offset_is_taken_at_its_word(self, kind, gap):
        size = kind.header_class.sizeof_hdr
        data = nifti_bytes(ras_volume(), kind=kind, vox_offset=size + gap)
        found = read_slices(data[:size] + bytes(gap) + data[size + 4 :])
        assert found[-1].pixels[0, 0] == 100

    @pytest.mark.parametrize("offset", [1, 100, 347, 352.5, -352, np.nan, np.inf, -np.inf])
    def test_other_offsets_are_refused(self, offset):
        with pytest.raises(InputError, match="expected a whole vox_offset of 348 or more, got"):
            read_slices(nifti_bytes(ras_volume(), vox_offset=offset))

    @pytest.mark.parametrize("offset", [30_000, 1_000_000])
    @pytest.mark.parametrize("pack", [bytes, gzip_bytes])
    def test_beyond_the_file(self, pack, offset):
        with pytest.raises(InputError, match=r"bytes of NIfTI, got .* \(truncated\)"):
            read_slices(pack(nifti_bytes(ras_volume(), vox_offset=offset)))

    def test_far_beyond_every_limit(self):
        with pytest.raises(LimitError, match="at most 536,870,912 bytes"):
            read_slices(nifti_bytes(ras_volume(), kind=nibabel.Nifti2Image, vox_offset=2**62))


def data_of(kind):
    return nifti_bytes(ras_volume(), kind=kind)


class TestPlaceInThePatient:
    """sform, qform, units."""

    AFFINE = np.array([[-2.0, 0, 0, 30], [0, 0, 2, -40], [0, 2, 0, -50], [0, 0, 0, 1]])

    def place(self, data):
        first = read_slices(data)[0]
        return (*first.position_mm, *first.orientation, *first.pixel_spacing_mm)

    @pytest.mark.parametrize(
        "srow",
        [[0, 0, 0, 0], [np.nan, 0, 0, 0], [0, 0, 0, 5], [np.inf, 0, 0, 0], [1e-42, 0, 0, 0]],
        ids=str,
    )
    def test_sform_that_is_none_beside_a_qform(self, srow):
        wanted = self.place(nifti_bytes(ras_volume(), self.AFFINE))
        rows = dict.fromkeys(("srow_x", "srow_y", "srow_z"), srow)
        data = by_qform(ras_volume(), self.AFFINE, sform_code=1, **rows)
        assert self.place(data) == pytest.approx(wanted, abs=1e-5)

    @pytest.mark.parametrize("quaternion", [np.nan, 5.0, np.inf])
    def test_qform_that_is_none_beside_a_sform(self, quaternion):
        wanted = self.place(nifti_bytes(ras_volume(), self.AFFINE))
        data = nifti_bytes(ras_volume(), self.AFFINE, qform_code=1, quatern_b=quaternion)
        assert self.place(data) == wanted

    @pytest.mark.parametrize("code", [(1, 0), (0, 1), (1, 1), (2, 3)])
    def test_neither_is_refused(self, code):
        rows = {f"srow_{axis}": [1, 1, 1, 0] for axis in "xyz"}
        data = nifti_bytes(
            ras_volume(), qform_code=code[0], sform_code=code[1], quatern_c=2, **rows
        )
        with pytest.raises(InputError, match=r"invertible sform \(srow_x.* or qform \(quatern_b"):
            read_slices(data)

    def test_quaternion_a_little_too_long_is_rounding(self):
        data = by_qform(
            ras_volume(), np.diag([-1.0, -1, 1, 1]), quatern_b=0, quatern_c=0, quatern_d=1.0001
        )
        assert read_slices(data)[0].orientation == pytest.approx(AXIAL)
        assert read_slices(data)[0].position_mm == pytest.approx((0, 0, 0))

    @pytest.mark.parametrize(("qfac", "sign"), [(1, 1), (0, 1), (np.nan, 1), (3, 1), (-1, -1)])
    def test_qfac(self, qfac, sign):
        data = by_qform(ras_volume(), pixdim=[qfac, 1, 1, 1, 0, 0, 0, 0])
        heights = [slice_.position_mm[2] for slice_ in read_slices(data)]
        assert (min(heights), max(heights)) == ((0, 16) if sign > 0 else (-16, 0))
        assert read_slices(data)[-1 if sign > 0 else 0].pixels[0, 0] == 100

    @pytest.mark.parametrize("size", [0, np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("code", [0, 1])
    def test_pixdim_that_is_no_length_is_not_known(self, size, code):
        data = by_qform(ras_volume(), qform_code=code, pixdim=[1, size, 0.5, 3, 0, 0, 0, 0])
        slices = read_slices(data)
        assert slices[0].shape == (24, 20)
        assert slices[0].pixel_spacing_mm is None

    @pytest.mark.parametrize("code", [0, 1])
    def test_negative_pixdim_is_a_length(self, code):
        data = by_qform(ras_volume(), qform_code=code, pixdim=[1, -2, -2, -4, 0, 0, 0, 0])
        assert read_slices(data)[0].pixel_spacing_mm == (2, 2)
        assert read_slices(data)[-1].pixels[0, 0] == 100

    @pytest.mark.parametrize(
        ("units", "mm"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (10, 1), (9, 1000)]
    )
    def test_units(self, units, mm):
        affine = np.diag([2.0, 2, 4, 1])
        affine[:3, 3] = 7
        for data in (
            nifti_bytes(ras_volume(), affine, xyzt_units=units),
            by_qform(ras_volume(), affine, xyzt_units=units),
        ):
            first = read_slices(data)[0]
            assert first.pixel_spacing_mm == pytest.approx((2 * mm, 2 * mm))
            assert first.position_mm[2] == pytest.approx(7 * mm)

    def test_unknown(self):
        slices = read_slices(nifti_bytes(ras_volume(), code=0))
        assert slices[0].orientation is slices[0].position_mm is None
        assert slices[0].pixel_spacing_mm == (1, 1)
        assert slices[-1].pixels[0, 0] == 100

    def test_long_voxels_become_square_without_a_place(self):
        data = nifti_bytes(ras_volume(), code=0, pixdim=[1, 2, 1, 8, 1, 1, 1, 1])
        assert read_slices(data)[0].shape == (24, 40)


class TestShape:
    @pytest.mark.parametrize(
        "dim",
        [
            [3, 20, 24, 17, 1, 1, 1, 1],
            [4, 20, 24, 17, 1, 1, 1, 1],
            [7, 20, 24, 17, 1, 1, 1, 1],
            [4, 20, 24, 17, 0, 0, 0, 0],
            [3, 20, 24, 17, -9, 99, 0, 0],
        ],
        ids=str,
    )
    @pytest.mark.parametrize("kind", KINDS)
    def test_one_volume(self, kind, dim):
        assert len(read_slices(nifti_bytes(ras_volume(), kind=kind, dim=dim))) == 17

    @pytest.mark.parametrize(
        "dim",
        [[2, 20, 24, 1, 1, 1, 1, 1], [2, 20, 24, 0, 0, 0, 0, 0], [3, 20, 24, 1, 1, 1, 1, 1],
         [3, 20, 24, 0, 1, 1, 1, 1], [4, 20, 24, 1, 1, 1, 1, 1]],
        ids=str,
    )  # fmt: skip
    @pytest.mark.parametrize("code", [0, 2])
    def test_one_slice(self, code, dim):
        (slice_,) = read_slices(nifti_bytes(ras_volume()[..., -1], code=code, dim=dim), name="a")
        assert (slice_.source, slice_.shape) == ("a", (24, 20))
        assert slice_.pixels[0, 0] == 100

    @pytest.mark.parametrize(
        ("dim", "words"),
        [
            ([4, 20, 24, 17, 2, 1, 1, 1], r"got 2 \(dim is 20 x 24 x 17 x 2\)"),
            ([5, 20, 24, 17, 1, 3, 1, 1], r"got 3 \(dim is 20 x 24 x 17 x 1 x 3\)"),
            ([7, 20, 24, 17, 2, 2, 1, 3], r"got 12 \(dim is"),
        ],
        ids=str,
    )
    def test_several_volumes_are_refused(self, dim, words):
        with pytest.raises(UnsupportedImageError, match=f"expected one volume, {words}"):
            read_slices(nifti_bytes(np.zeros((*RAS, 12), np.int16), dim=dim))

    @pytest.mark.parametrize(
        ("dim", "words"),
        [
            ([1, 20, 24, 17, 1, 1, 1, 1], r"2 to 7 axes in dim\[0\], got 1"),
            ([3, 0, 24, 17, 1, 1, 1, 1], "got 0 x 24 x 17"),
            ([3, 20, -24, 17, 1, 1, 1, 1], "got 20 x -24 x 17"),
            ([3, 20, 24, -1, 1, 1, 1, 1], "got 20 x 24 x -1"),
        ],
        ids=str,
    )
    def test_other_shapes_are_refused(self, dim, words):
        with pytest.raises(InputError, match=words):
            read_slices(nifti_bytes(ras_volume(), dim=dim))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "others"),
        (1, "1-bit ones"),
        (32, "complex ones"),
        (128, "colour ones"),
        (1536, "128-bit ones"),
        (1792, "complex ones"),
        (2048, "complex ones"),
        (2304, "colour ones"),
        (99, "others"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_other_voxels_are_refused_by_name(kind, code, words):
    expected = rf"real voxels of 8 to 64 bits, got {words} \(datatype {code}\)"
    with pytest.raises(UnsupportedImageError, match=expected):
        read_slices(nifti_bytes(ras_volume(), kind=kind, datatype=code))


def test_nan_becomes_the_darkest_voxel():
    volume = ras_volume().astype(np.float32) + 7
    volume[:, :, 2] = np.nan
    volume[0, 0, 0] = -np.inf
    slices = read_slices(nifti_bytes(volume))
    assert np.all(slices[2].pixels == 7)
    assert np.all(np.isfinite(np.stack([s.pixels for s in slices])))


def test_only_nan_is_refused():
    with pytest.raises(InputError, match="finite voxels"):
        read_slices(nifti_bytes(np.full(RAS, np.nan, np.float32)))


def test_expansion_is_limited_before_it_happens():
    packed = gzip_bytes(nifti_bytes(np.zeros((200, 200, 200), np.int16)))
    with pytest.raises(LimitError, match="at most 1,000,000 bytes"):
        read_slices(packed, limits=Limits(max_bytes=1_000_000))
    with pytest.raises(LimitError, match="1,000,000 pixels in 200 images"):
        read_slices(packed, limits=Limits(max_volume_pixels=1_000_000))


def test_bytes_after_the_volume_are_not_expanded():
    packed = gzip_bytes(nifti_bytes(ras_volume())) + gzip_bytes(bytes(10_000_000))
    assert len(read_slices(packed, limits=Limits(max_bytes=1_000_000))) == 17


@pytest.mark.parametrize("left", [345, 352, 500, 10_000])
def test_truncated_volume_says_so(left):
    with pytest.raises(InputError, match=r"bytes of NIfTI, got .* \(truncated\)|got unknown"):
        read_slices(nifti_bytes(ras_volume())[:left])


@pytest.mark.parametrize("left", [600, 10_000, -5000])
def test_truncated_gzip_says_so(left):
    packed = gzip_bytes(nifti_bytes(np.random.default_rng(0).random(RAS)))
    with pytest.raises(InputError, match=r"expected 65,632 bytes of NIfTI, .* \(truncated\)"):
        read_slices(packed[:left])


@pytest.mark.parametrize("at", [-8, -4, -6000, 400])
def test_damaged_gzip_says_so(at):
    packed = bytearray(gzip_bytes(nifti_bytes(np.random.default_rng(0).random(RAS))))
    packed[at] ^= 0x10
    with pytest.raises(InputError, match=r"expected intact gzip data, got damaged ones|truncated"):
        read_slices(bytes(packed))


def test_volume_that_cannot_be_in_so_few_bytes_is_not_expanded():
    packed = gzip_bytes(nifti_bytes(np.zeros((400, 400, 400), np.int16))[:100_000])
    with pytest.raises(InputError, match="got at most"):
        read_slices(packed)


class TestPairs:
    def header(self, kind=nibabel.Nifti1Image):
        data = bytearray(nifti_bytes(ras_volume(), kind=kind)[: kind.header_class.sizeof_hdr])
        at = 344 if kind is nibabel.Nifti1Image else 4
        data[at : at + 4] = b"ni1\0" if kind is nibabel.Nifti1Image else b"ni2\0"
        return bytes(data)

    @pytest.mark.parametrize("kind", KINDS)
    def test_header_is_refused(self, kind):
        with pytest.raises(UnsupportedImageError, match=r"half of a \.hdr/\.img pair; save both"):
            read_slices(self.header(kind))

    @pytest.mark.parametrize(
        "names", [("a.hdr", "a.img"), ("A.HDR", "A.IMG"), ("a.hdr.gz", "a.img.gz")]
    )
    @pytest.mark.parametrize("as_zip", [False, True])
    def test_one_answer_for_both(self, tmp_path, names, as_zip):
        members = {names[0]: self.header(), names[1]: ras_volume().tobytes()}
        if names[0].endswith(".gz"):
            members = {name: gzip_bytes(data) for name, data in members.items()}
        for name, data in members.items():
            (tmp_path / name).write_bytes(data)
        if as_zip:
            (tmp_path / "b.zip").write_bytes(zip_bytes(members))
        (answer,) = read_inputs([tmp_path / "b.zip" if as_zip else tmp_path])
        assert answer.source.endswith(names[0])
        assert "save both as one .nii file" in answer.error

    def test_voxels_alone(self, tmp_path):
        (tmp_path / "a.img").write_bytes(ras_volume().tobytes())
        (answer,) = read_inputs([tmp_path])
        assert "got half of a .hdr/.img pair" in answer.error

    def test_an_image_that_is_named_like_one_is_read(self, tmp_path):
        (tmp_path / "a.hdr").write_bytes(self.header())
        (tmp_path / "a.img").write_bytes(dicom_bytes(ras_volume()[..., 0].astype(np.uint16)))
        header, image = read_inputs([tmp_path])
        assert "pair" in header.error
        assert len(image.slices) == 1


def test_nothing_is_printed_or_logged(tmp_path):
    odd = {"pixdim": [0, -1, 0, np.nan, 0, 0, 0, 0], "bitpix": 3, "qform_code": 77, "sizeof_hdr": 0}
    path = tmp_path / "v.nii"
    path.write_bytes(nifti_bytes(ras_volume(), vox_offset=0, **odd))
    script = (
        "import sys, logging; logging.basicConfig(level=20);"
        "from slicewise.imaging.read import read_slices;"
        "print(len(read_slices(sys.argv[1])))"
    )
    run = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("17\n", "")


@pytest.mark.parametrize(
    ("shape", "zooms", "axis"),
    [
        ((64, 4, 40), (1, 1, 4), 1),
        ((4, 64, 30), (1, 1, 5), 0),
        ((64, 4, 64), (1, 1.2, 1.6), 1),
        ((64, 40, 5), (3, 1, 1), 2),
    ],
)
def test_a_thin_axis_is_the_one_that_is_cut_across(shape, zooms, axis):
    slices = read_slices(nifti_bytes(np.zeros(shape, np.float32), np.diag([*zooms, 1.0])))
    assert len(slices) == shape[axis]
