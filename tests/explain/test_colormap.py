"""Colormaps: their lightness must rise evenly."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.errors import ConfigError
from slicewise.explain.colormap import COLORMAPS, colours


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIELAB L* of sRGB colours (IEC 61966-2-1, D65)."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    root = np.where(luminance > 0.008856, np.cbrt(luminance), 7.787 * luminance + 16 / 116)
    return 116 * root - 16


@pytest.mark.parametrize("name", ["ember", "lagoon"])
def test_lightness_rises_in_a_straight_line(name: str) -> None:
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    light = lightness(colours(levels, name))
    line = np.linspace(light[0], light[-1], 256)
    assert np.abs(light - line).max() < 3
    assert light[-1] - light[0] > 80


def test_grey_is_grey() -> None:
    assert colours(np.array([0, 1], dtype=np.float32), "grey").tolist() == [[0] * 3, [255] * 3]


def test_unknown_names_are_refused_with_the_known() -> None:
    with pytest.raises(ConfigError, match=f"{', '.join(COLORMAPS)}, got 'jet'"):
        colours(np.zeros(1, dtype=np.float32), "jet")
