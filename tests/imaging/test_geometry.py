import numpy as np
import pytest

from builders_imaging import AXIAL, CORONAL, SAGITTAL
from slicewise.imaging.geometry import first_near, heights_of, normal_of, plane_of


def tilted(degrees):
    """An axial slice turned about the left-right axis."""
    angle = np.deg2rad(degrees)
    return (1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle)))


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


def test_heights_are_along_the_normal_not_along_an_axis():
    orientation = tilted(30)
    normal = normal_of(orientation)
    heights = [5, -3, 0, 9]
    positions = [tuple(h * normal + [h * 7.0, 0, 0]) for h in heights]
    np.testing.assert_allclose(heights_of(positions, orientation), heights)


def test_heights_need_all_positions():
    assert heights_of([(0, 0, 5), None, (0, 0, 1)], AXIAL) is None


def test_without_an_orientation_the_positions_give_the_direction():
    positions = [(0, 8, 6), (0, 4, 3), (0, 0, 0)]
    np.testing.assert_allclose(heights_of(positions, None), [10, 5, 0])


def test_one_position_has_no_direction():
    assert heights_of([(3, 2, 1)] * 2, None) == [0, 0]


def test_a_near_point_is_the_first_within_reach_in_every_coordinate():
    points = [(0.0, 0.0), (0.01, 0.01), (0.0, 0.03), (1.0,), (0.02, 0.0)]
    assert first_near(points, 0.02) == [(0, 0), (0, 0), (0, 0.03), (1,), (0.02, 0)]
