"""Blur and interpolation against known answers."""

import numpy as np
import pytest
from scipy import ndimage

from slicewise.data.duplicates.grid import blur, interpolation


def test_blur_agrees_with_scipy_inside():
    image = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    expected = ndimage.gaussian_filter(image[0], 1.5, truncate=8)
    assert blur(image, 1.5)[0, 12:-12, 12:-12] == pytest.approx(expected[12:-12, 12:-12], abs=1e-5)


def test_blur_keeps_a_constant_up_to_the_edge():
    assert blur(np.full((2, 9, 9), 3, np.float32), 2.0) == pytest.approx(3)


def test_interpolation_is_linear_with_reach_one():
    weights = interpolation(np.array([[0.0, 2.25]], np.float32), 5, np.ones(1, np.float32))
    assert weights[0] == pytest.approx(np.array([[1, 0, 0, 0, 0], [0, 0, 0.75, 0.25, 0]]))


def test_interpolation_averages_with_a_longer_reach():
    weights = interpolation(np.array([[2.0]], np.float32), 5, np.array([2.0], np.float32))
    assert weights[0, 0] == pytest.approx([0, 0.25, 0.5, 0.25, 0])
