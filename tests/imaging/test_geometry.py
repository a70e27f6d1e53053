import numpy as np
import pytest

from builders_imaging import AXIAL, CORONAL, SAGITTAL
from slicewise.imaging.geometry import along_normal, normal_of, plane_of, split_series
from slicewise.imaging.slice import Slice


def tilted(degrees):
    """An axial slice turned about the left-right axis."""
    angle = np.deg2rad(degrees)
    return (1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle)))


def at(position, orientation=AXIAL, source="a"):
    return Slice(
        np.zeros((16, 16), np.float32), source, position_mm=position, orientation=orientation
    )


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [
        (AXIAL, "axial"),
        (CORONAL, "coronal"),
        (SAGITTAL, "sagittal"),
        (tilted(30), "axial"),
        (tilted(45), "oblique"),
        (tilted(70), "coronal"),
        (None, None),
    ],
)
def test_plane(orientation, plane):
    assert plane_of(orientation) == plane


def test_normal_points_up_whichever_way_the_rows_run():
    np.testing.assert_allclose(normal_of(AXIAL), [0, 0, 1])
    np.testing.assert_allclose(normal_of((-1, 0, 0, 0, 1, 0)), [0, 0, 1])
    np.testing.assert_allclose(normal_of(CORONAL), [0, 1, 0])


def test_order_is_along_the_normal_not_along_an_axis():
    orientation = tilted(30)
    normal = normal_of(orientation)
    heights = [5, -3, 0, 9]
    slices = [at(tuple(h * normal + [h * 7.0, 0, 0]), orientation, str(h)) for h in heights]
    assert [s.source for s in along_normal(slices)] == ["-3", "0", "5", "9"]


def test_echoes_of_one_position_keep_their_order():
    slices = [at((0, 0, z), source=f"{z}{echo}") for echo in "ab" for z in (6, 3)]
    assert [s.source for s in along_normal(slices)] == ["3a", "3b", "6a", "6b"]


def test_without_positions_the_order_stays():
    slices = [at((0, 0, 5), source="x"), at(None, source="y"), at((0, 0, 1), source="z")]
    assert [s.source for s in along_normal(slices)] == ["x", "y", "z"]


def test_mixed_orientations_become_named_series():
    slices = [at((0, 0, z), o) for z in (0, 1) for o in (AXIAL, CORONAL, SAGITTAL)]
    series = split_series(slices, "localizer")
    assert [s.plane for s in series] == ["axial", "coronal", "sagittal"]
    assert [s.source for s in series] == [
        "localizer [axial]",
        "localizer [coronal]",
        "localizer [sagittal]",
    ]
    assert all(s.is_volume and len(s.slices) == 2 for s in series)


def test_two_oblique_parts_have_two_names():
    series = split_series([at((0, 0, 0), tilted(44)), at((0, 0, 0), tilted(50))], "x")
    assert [s.source for s in series] == ["x [oblique]", "x [oblique 2]"]


def test_rounding_of_cosines_does_not_split():
    slices = [at((0, 0, z), tilted(10 + z / 100)) for z in range(5)]
    (series,) = split_series(slices, "x")
    assert series.source == "x"
    assert len(series.slices) == 5


def test_one_slice_is_no_volume():
    (series,) = split_series([at((0, 0, 0))], "x")
    assert not series.is_volume
