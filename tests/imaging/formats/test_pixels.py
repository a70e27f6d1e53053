import numpy as np
import pytest
from PIL import Image

from slicewise.errors import InputError
from slicewise.imaging.formats.pixels import fill_non_finite, luminance, require_finite


def test_luminance_is_pillows():
    rgb = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(luminance(rgb), np.asarray(Image.fromarray(rgb).convert("L")))


def test_white_of_16_bits_stays_white():
    assert luminance(np.full((1, 1, 3), 65535, np.uint16))[0, 0] == 65535


def test_values_beyond_float32_are_refused():
    with pytest.raises(InputError, match="1 of 2 NaN or infinite"):
        require_finite(np.array([1.0, 1e300]))


def test_non_finite_becomes_the_darkest():
    volume = np.array([np.nan, 4.0, -2.0, np.inf], np.float32)
    assert fill_non_finite(volume).tolist() == [-2.0, 4.0, -2.0, -2.0]


def test_nothing_finite_is_refused():
    with pytest.raises(InputError, match="finite voxels"):
        fill_non_finite(np.full(3, np.nan, np.float32))
