import numpy as np
import pytest
from PIL import Image

from slicewise.errors import InputError
from slicewise.imaging.formats.pixels import (
    LookupTable,
    eight_bits,
    expand_segments,
    fill_non_finite,
    fill_padding,
    invert,
    invert_window,
    is_padding,
    linear_window,
    luminance,
    require_finite,
    rescale,
    signed_as,
    stored_range,
)
from slicewise.imaging.slice import Window


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


@pytest.mark.parametrize("shape", [(6,), (2, 3), (3, 2, 1), (1, 1, 2, 3)])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8"])
def test_non_finite_of_any_shape(shape, kind):
    volume = np.array([np.nan, 4, -2, np.inf, -np.inf, 7], kind).reshape(shape)
    filled = fill_non_finite(volume)
    assert filled.shape == shape
    assert filled.ravel().tolist() == [-2, 4, -2, -2, -2, 7]
    assert np.isnan(volume.flat[0])


def test_nothing_finite_is_refused():
    with pytest.raises(InputError, match="finite voxels"):
        fill_non_finite(np.full(3, np.nan, np.float32))


def shown(value, window):
    """The linear function of PS3.3 C.11.2.1.2."""
    return (value - (window.center - 0.5)) / (window.width - 1) + 0.5


def test_rescale_is_slope_times_value_plus_intercept():
    np.testing.assert_allclose(rescale(np.array([0, 10]), 2.5, -7.0), [-7.0, 18.0])


def test_rescale_by_one_keeps_integers():
    assert rescale(np.array([1, 2], np.uint16), 1.0, 0.0).dtype == np.uint16


def test_zero_slope_is_refused():
    with pytest.raises(InputError, match=r"Rescale Slope \(0028,1053\)"):
        rescale(np.array([1]), 0.0, 3.0)


def test_stored_range():
    assert stored_range(12, signed=False) == (0, 4095)
    assert stored_range(16, signed=True) == (-32768, 32767)


def test_inversion_swaps_the_ends_of_the_range():
    np.testing.assert_array_equal(
        invert(np.array([0, 1, 4095], np.uint16), 0, 4095), [4095, 4094, 0]
    )


def test_inverted_window_shows_the_same_picture():
    window, value = Window(600.0, 300.0), 517.0
    inverted = float(invert(np.array([value]), 0, 4095)[0])
    assert shown(inverted, invert_window(window, 0, 4095)) == pytest.approx(
        1 - shown(value, window)
    )


def test_exact_window_is_rewritten_to_the_same_line():
    window = linear_window(50.0, 100.0, "LINEAR_EXACT")
    assert shown(20.0, window) == pytest.approx((20 - 50) / 100 + 0.5)


def test_window_without_width_is_none():
    assert linear_window(50.0, 0.0, "LINEAR") is None
    assert linear_window(50.0, 1.0, "LINEAR") == Window(50.0, 1.0)


def test_padding_range_may_run_either_way():
    stored = np.array([-5, -4, -3, 0])
    assert is_padding(stored, -5, -4).tolist() == [True, True, False, False]
    assert is_padding(stored, -4, -5).tolist() == [True, True, False, False]
    assert is_padding(stored, -5, None).tolist() == [True, False, False, False]


def test_padding_becomes_the_smallest_real_value():
    values, padding = np.array([9, 3, 5]), np.array([True, False, False])
    assert fill_padding(values, padding).tolist() == [3, 3, 5]


def test_padding_between_floats_keeps_its_fraction():
    stored = np.array([-0.5, 0.0, 0.5])
    assert is_padding(stored, -0.5, None).tolist() == [True, False, False]
    assert is_padding(stored, 0.25, -0.25).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("value", "low", "high", "sizes", "expected"),
    [
        (63536, -32768, 32767, (16,), -2000),
        (-2000, 0, 65535, (16,), 63536),
        (206, -128, 127, (16, 8), -50),
        (-50, 0, 255, (16, 8), 206),
        (2096, -2048, 2047, (16, 12), -2000),
        (100, -32768, 32767, (16,), 100),
        (-1, 0, 4095, (16,), -1),
    ],
)
def test_bits_are_read_with_the_sign_of_the_range(value, low, high, sizes, expected):
    assert signed_as(value, low, high, sizes) == expected


def test_segments_of_values_and_lines():
    segments = np.array([0, 2, 5, 10, 1, 4, 30], np.uint16)
    assert expand_segments(segments, 6).tolist() == [5, 10, 15, 20, 25, 30]
    assert expand_segments(segments, 3).tolist() == [5, 10, 15]


def test_colour_of_32_bits():
    rgb = np.array([[[0, 0, 0], [4294967295] * 3, [4294967295, 0, 0]]], np.uint32)
    np.testing.assert_allclose(luminance(rgb)[0], [0, 4294967295, 0.299 * 4294967295], rtol=1e-4)
    assert eight_bits(rgb, 4294967295)[0, :, 0].tolist() == [0, 255, 255]


def test_nothing_but_padding_is_left():
    values = np.array([9, 9])
    assert fill_padding(values, np.array([True, True])).tolist() == [9, 9]


def test_lookup_table_holds_its_ends():
    table = LookupTable(10, np.array([100, 200, 300]))
    assert table.apply(np.array([-5, 10, 11, 99])).tolist() == [100, 100, 200, 300]
