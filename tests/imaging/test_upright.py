"""Turning and squaring: what is seen, and the geometry that goes with it."""

import itertools

import numpy as np
import pytest

from builders_imaging import AXIAL, CORONAL, SAGITTAL, dicom_bytes, enhanced_bytes, ramp
from slicewise.errors import InputError, LimitError
from slicewise.imaging.limits import DEFAULT_LIMITS, Limits
from slicewise.imaging.read import read_inputs, read_slices
from slicewise.imaging.slice import Slice
from slicewise.imaging.upright import upright

PLANES = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL}


def tilted(orientation, degrees):
    """An orientation turned about the patient's left-right, then about the front-back axis."""
    a, b = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turned = np.reshape(orientation, (2, 3)) @ (about_y @ about_x).T
    return tuple(turned.ravel().tolist())


def shown(orientation=AXIAL, spacing=(1.0, 1.0), pixels=None):
    values = ramp(20, 24, np.float32) if pixels is None else pixels
    return Slice(
        values,
        "a",
        position_mm=(10.0, 20.0, 30.0),
        orientation=orientation,
        pixel_spacing_mm=spacing,
    )


def stored(slice_, transposed, flip_rows, flip_columns):
    """The same slice as a file may have it: other axes, other first pixel."""
    pixels, (height, width) = slice_.pixels, slice_.pixel_spacing_mm
    row, column = (np.array(slice_.orientation[at : at + 3]) for at in (0, 3))
    corner = np.array(slice_.position_mm)
    if flip_rows:
        corner, column, pixels = corner + column * height * (len(pixels) - 1), -column, pixels[::-1]
    if flip_columns:
        corner = corner + row * width * (pixels.shape[1] - 1)
        row, pixels = -row, pixels[:, ::-1]
    if transposed:
        row, column, pixels, height, width = column, row, pixels.T, width, height
    return Slice(
        np.ascontiguousarray(pixels),
        "a",
        position_mm=tuple(corner),
        orientation=(*row, *column),
        pixel_spacing_mm=(height, width),
    )


def one(slice_, limits=DEFAULT_LIMITS, **how):
    (found,) = upright([slice_], limits, **how)
    return found


def place(slice_, row, column):
    """LPS mm of a pixel, or of any point of the slice in pixels (PS3.3 C.7.6.2.1.1)."""
    along_row, along_column = np.reshape(slice_.orientation, (2, 3))
    height, width = slice_.pixel_spacing_mm
    return np.array(slice_.position_mm) + along_row * width * column + along_column * height * row


@pytest.mark.parametrize("turn", list(itertools.product([False, True], repeat=3)), ids=str)
@pytest.mark.parametrize("degrees", [(0, 0), (20, -15), (-35, 10), (40, 0)], ids=str)
@pytest.mark.parametrize("plane", PLANES)
def test_every_way_of_storing_a_slice_is_shown_alike(plane, degrees, turn):
    usual = shown(tilted(PLANES[plane], degrees))
    found = one(stored(usual, *turn))
    np.testing.assert_array_equal(found.pixels, usual.pixels)
    assert found.pixels.flags.c_contiguous
    assert found.orientation == pytest.approx(usual.orientation)
    assert found.position_mm == pytest.approx(usual.position_mm)
    assert found.pixel_spacing_mm == usual.pixel_spacing_mm


@pytest.mark.parametrize("orientation", [*PLANES.values(), None, tilted(AXIAL, (45, 0))], ids=str)
def test_what_is_upright_and_square_is_not_touched(orientation):
    usual = shown(orientation, (0.7, 0.703))
    assert one(usual) is usual


def test_without_a_spacing_the_height_of_the_plane_stays():
    usual = shown()
    turned = stored(usual, False, True, True)
    bare = Slice(turned.pixels, "a", position_mm=turned.position_mm, orientation=turned.orientation)
    found = one(bare)
    np.testing.assert_array_equal(found.pixels, usual.pixels)
    assert found.position_mm[2] == 30
    assert found.pixel_spacing_mm is None


@pytest.mark.parametrize(
    ("spacing", "shape"),
    [((2, 1), (40, 24)), ((1, 2), (20, 48)), ((0.75, 0.5), (30, 24)), ((0.5, 0.8), (20, 38))],
)
@pytest.mark.parametrize("orientation", [*PLANES.values(), tilted(CORONAL, (10, 5))], ids=str)
def test_long_pixels_become_square_over_the_same_extent(spacing, shape, orientation):
    given = shown(orientation, spacing)
    found = one(given)
    assert found.shape == shape
    assert found.pixels.dtype == np.float32
    assert found.pixel_spacing_mm == pytest.approx([min(spacing)] * 2, rel=0.02)
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):  # outer corners, half a pixel outside
        ends = [np.multiply(corner, s.shape) - 0.5 for s in (given, found)]
        np.testing.assert_allclose(place(given, *ends[0]), place(found, *ends[1]), atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slope_stays_a_slope(axis):
    """Linear interpolation keeps a plane of values, but for the half pixels at its ends."""
    coarse = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None] * 8, (20, 20))
    spacing = (2.0, 1.0)
    if axis:
        coarse, spacing = coarse.T, (1.0, 2.0)
    found = one(shown(AXIAL, spacing, np.ascontiguousarray(coarse))).pixels
    found = found.T if axis else found
    np.testing.assert_allclose(found[1:-1, 0], 2 + 4 * np.arange(38), rtol=1e-6)
    assert (found.min(), found.max()) == (0, 152)


def test_nothing_goes_beyond_the_range():
    noise = np.random.default_rng(0).normal(0, 1e30, (20, 24)).astype(np.float32)
    found = one(shown(AXIAL, (1.7, 1.0), noise)).pixels
    assert noise.min() <= found.min() < found.max() <= noise.max()
    flat = one(shown(AXIAL, (1.7, 1.0), np.full((20, 24), 0.1, np.float32))).pixels
    assert (flat == np.float32(0.1)).all()


def test_labels_stay_labels():
    mask = np.zeros((20, 24), np.float32)
    mask[4:9, 5:9], mask[9:12, 5:9] = 4, 1
    found = one(shown(AXIAL, (3.0, 1.0), mask), labels=True).pixels
    np.testing.assert_array_equal(found, mask.repeat(3, axis=0))


def test_stored_on_its_side_with_long_pixels():
    usual = shown(CORONAL, (2.0, 1.0))
    found, wanted = one(stored(usual, True, True, False)), one(usual)
    np.testing.assert_array_equal(found.pixels, wanted.pixels)
    assert found.position_mm == pytest.approx(wanted.position_mm)


@pytest.mark.parametrize("spacing", [(1, 100), (100, 1), (1e-300, 1e300), (25.0, 1.0)])
def test_absurd_pixels_are_refused(spacing):
    with pytest.raises(InputError, match="at most 20 times longer than wide, got"):
        one(shown(AXIAL, spacing))


def test_limits_hold_for_the_square_size():
    long = shown(AXIAL, (10.0, 1.0))
    with pytest.raises(LimitError, match="at most 4,000 pixels, got 200 x 24"):
        one(long, Limits(max_pixels=4000))
    with pytest.raises(LimitError, match="9,600 pixels in 3 images, got 14,400"):
        upright([long] * 3, Limits(max_volume_pixels=9600))


def test_a_series_of_long_pixels_is_limited_as_a_whole(tmp_path):
    for z in range(4):
        data = dicom_bytes(
            ramp(),
            ImageOrientationPatient=list(AXIAL),
            ImagePositionPatient=[0, 0, z],
            PixelSpacing=[10, 1],
        )
        (tmp_path / f"{z}.dcm").write_bytes(data)
    answers = list(read_inputs([tmp_path], Limits(max_volume_pixels=9600)))
    assert [len(getattr(answer, "slices", ())) for answer in answers] == [0, 0, 2]


class TestDicom:
    def test_flipped_and_usual_slices_are_one_series(self, tmp_path):
        volume = np.stack([ramp(scale=n) for n in (1, 2, 3, 4)])
        for z, pixels in enumerate(volume):
            flipped = z % 2
            data = dicom_bytes(
                pixels[:, ::-1] if flipped else pixels,
                ImagePositionPatient=[23 if flipped else 0, 0, z],
                ImageOrientationPatient=[-1 if flipped else 1, 0, 0, 0, 1, 0],
                PixelSpacing=[1, 1],
            )
            (tmp_path / f"{z}.dcm").write_bytes(data)
        (series,) = read_inputs([tmp_path])
        assert series.plane == "axial"
        np.testing.assert_array_equal(np.stack([s.pixels for s in series.slices]), volume)
        assert {s.position_mm[:2] for s in series.slices} == {(0, 0)}

    @pytest.mark.parametrize(("plane", "orientation"), PLANES.items())
    def test_plane_and_order_stay(self, tmp_path, plane, orientation):
        row, column = np.reshape(orientation, (2, 3))
        normal = np.abs(np.cross(row, column))
        for at in range(3):
            data = dicom_bytes(
                ramp(scale=at + 1).T,
                ImagePositionPatient=(5.0 * at * normal).tolist(),
                ImageOrientationPatient=[*column, *row],
                PixelSpacing=[1, 1],
            )
            (tmp_path / f"{at}.dcm").write_bytes(data)
        (series,) = read_inputs([tmp_path])
        assert series.plane == plane
        for at, slice_ in enumerate(series.slices):
            np.testing.assert_array_equal(slice_.pixels, ramp(scale=at + 1))

    def test_enhanced_frames(self):
        data = enhanced_bytes(
            np.stack([ramp()] * 2), [(0, 0, 0), (0, 0, 3)], [1, 1], spacing=(1, 2)
        )
        assert [s.shape for s in read_slices(data)] == [(20, 48), (20, 48)]

    @pytest.mark.parametrize(
        ("tags", "shape"),
        [
            ({"PixelAspectRatio": ["2", "1"]}, (40, 24)),
            ({"PixelAspectRatio": ["1", "2"]}, (20, 48)),
            ({"PixelAspectRatio": ["3", "2"]}, (30, 24)),
            ({"PixelAspectRatio": ["0", "0"]}, (20, 24)),
            ({"PixelAspectRatio": ["1", "1"]}, (20, 24)),
            ({"NominalScannedPixelSpacing": [0.2, 0.1]}, (40, 24)),
            ({"ImagerPixelSpacing": [0.1, 0.2]}, (20, 48)),
            ({"PixelAspectRatio": ["2", "1"], "PixelSpacing": [1, 1]}, (20, 24)),
            ({"PixelAspectRatio": ["2", "1"], "NominalScannedPixelSpacing": [1, 1]}, (20, 24)),
        ],
        ids=str,
    )
    def test_aspect_counts_where_no_spacing_is(self, tags, shape):
        (slice_,) = read_slices(dicom_bytes(ramp(), **tags))
        assert slice_.shape == shape
        assert slice_.pixel_spacing_mm == ((1, 1) if "PixelSpacing" in tags else None)

    def test_aspect_is_of_the_stored_rows(self):
        data = dicom_bytes(
            ramp().T, PixelAspectRatio=["1", "2"], ImageOrientationPatient=[0, 1, 0, 1, 0, 0]
        )
        assert read_slices(data)[0].shape == (40, 24)

    def test_absurd_aspect_is_refused(self):
        with pytest.raises(InputError, match="got a pixel aspect ratio of 50"):
            read_slices(dicom_bytes(ramp(), PixelAspectRatio=["50", "1"]))
