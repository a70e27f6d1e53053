"""Shapes and fields: known distances, unit spread, the same seed the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.synthetic.ood.sketch import Sketch, coverage, joined, smooth_field


@pytest.fixture
def sketch() -> Sketch:
    """A plane that is neither bent nor turned, so that distances are exact."""
    plane = Sketch(np.random.default_rng(0), side=201, bend=0.0)
    plane.x, plane.y = np.meshgrid(*[np.linspace(-1, 1, 201, dtype=np.float32)] * 2)
    return plane


def at(sketch: Sketch, distance: np.ndarray, x: float, y: float) -> float:
    row, column = (round((value + 1) * 100) for value in (y, x))
    return float(distance[row, column])


def test_circle_has_exact_distances(sketch: Sketch) -> None:
    circle = sketch.ellipse((0.2, 0.0), (0.5, 0.5))
    assert at(sketch, circle, 0.4, 0.0) == pytest.approx(-0.3, abs=1e-3)
    assert at(sketch, circle, 0.7, 0.0) == pytest.approx(0.0, abs=1e-3)
    assert at(sketch, circle, 0.2, -0.9) == pytest.approx(0.4, abs=1e-3)


def test_turned_ellipse_is_long_along_its_turned_axis(sketch: Sketch) -> None:
    ellipse = sketch.ellipse((0.0, 0.0), (0.8, 0.2), turn=np.pi / 2)
    assert at(sketch, ellipse, 0.0, 0.8) == pytest.approx(0.0, abs=1e-3)
    assert at(sketch, ellipse, 0.5, 0.0) > 0.1


def test_rod_and_box_have_exact_distances(sketch: Sketch) -> None:
    rod = sketch.rod([(-0.5, 0.0), (0.5, 0.0)], [0.1, 0.3])
    assert at(sketch, rod, 0.0, 0.6) == pytest.approx(0.6 - 0.2, abs=1e-3)
    assert at(sketch, rod, 0.9, 0.0) == pytest.approx(0.4 - 0.3, abs=1e-3)
    box = sketch.box((0.0, 0.0), (0.4, 0.2), corner=0.0)
    assert at(sketch, box, 0.0, 0.5) == pytest.approx(0.3, abs=1e-3)
    assert at(sketch, box, 0.7, 0.6) == pytest.approx(0.5, abs=1e-3)


def test_blob_stays_near_its_ellipse_and_is_not_one(sketch: Sketch) -> None:
    difference = sketch.blob((0, 0), (0.5, 0.5), 0.1) - sketch.ellipse((0, 0), (0.5, 0.5))
    assert 0.01 < np.abs(difference).max() < 0.5


def test_paint_covers_the_inside_only(sketch: Sketch) -> None:
    circle = sketch.ellipse((0.0, 0.0), (0.5, 0.5))
    sketch.paint(0.7, circle)
    assert sketch.image[circle < -0.03] == pytest.approx(0.7)
    assert not sketch.image[circle > 0.03].any()
    sketch.add(0.2, circle)
    assert sketch.image[circle < -0.03] == pytest.approx(0.9)


def test_joined_shapes_hold_both(sketch: Sketch) -> None:
    left, right = (sketch.ellipse((x, 0.0), (0.4, 0.4)) for x in (-0.35, 0.35))
    union = joined(left, right)
    assert (union <= np.minimum(left, right) + 1e-6).all()
    assert (union < np.minimum(left, right) - 1e-3).any()  # the meeting edge is filled


def test_coverage_is_a_soft_step() -> None:
    steps = coverage(np.array([-1.0, 0.0, 1.0], dtype=np.float32), 0.1)
    assert steps == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize("feature_px", [4.0, 30.0])
def test_smooth_field_has_unit_spread_and_wanted_features(feature_px: float) -> None:
    field = smooth_field(np.random.default_rng(1), (120, 90), feature_px)
    assert field.shape == (120, 90)
    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-4)
    # The correlation of neighbours one feature apart is low, that of neighbouring pixels high.
    centred = field - field.mean()
    near = float((centred[:, 1:] * centred[:, :-1]).mean())
    far = float((centred[:, int(2 * feature_px) :] * centred[:, : -int(2 * feature_px)]).mean())
    assert near > 0.8
    assert abs(far) < 0.5


def test_equal_seeds_draw_equal_pictures() -> None:
    first, second = (Sketch(np.random.default_rng(4)).field(0.2) for _ in range(2))
    np.testing.assert_array_equal(first, second)
