"""Sizes and fields that all out-of-distribution kinds share."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.synthetic.ood.picture import draw_shape, draw_side, fitted, smooth_field


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


def test_sides_are_those_of_ordinary_files() -> None:
    rng = np.random.default_rng(0)
    sides = np.array([draw_side(rng) for _ in range(4000)])
    assert 100 <= sides.min() < 120
    assert 500 < sides.max() <= 600
    assert np.median(sides) == pytest.approx(np.sqrt(100 * 600), rel=0.1)
    shapes = np.array([draw_shape(rng) for _ in range(200)])
    assert shapes.max() <= 600
    assert shapes.min() >= 64


def test_fitted_keeps_proportions_and_stays_within_limits() -> None:
    steps = np.zeros((40, 80, 3))
    steps[:, 40:] = 1
    small, large = fitted(steps, 20), fitted(steps[..., 0], 200)
    assert small.shape == (10, 20, 3)
    assert large.shape == (100, 200)
    assert (large.min(), large.max()) == (0, 1)
