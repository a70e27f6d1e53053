from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from builders import head_pixels
from slicewise.imaging.preprocess import (
    Box,
    Placement,
    PreprocessSpec,
    head_box,
    preprocess,
    to_batch,
)

WHOLE = PreprocessSpec(size=64, crop="none", low_percentile=0, high_percentile=100)


def disc_box(side: int) -> Box:
    return Box(*(round(side * share) for share in (0.15, 0.15, 0.85, 0.85)))


def assert_close(found: Box, expected: Box, tolerance: int) -> None:
    for name in ("top", "left", "bottom", "right"):
        assert abs(getattr(found, name) - getattr(expected, name)) <= tolerance, (name, found)


class TestHeadBox:
    @pytest.mark.parametrize("side", [64, 128, 512])
    def test_finds_the_disc(self, side: int) -> None:
        assert_close(head_box(head_pixels(side)), disc_box(side), tolerance=max(3, side // 40))

    def test_white_surroundings_are_cut_off_too(self) -> None:
        pixels = head_pixels(128)
        pixels[pixels == 0] = 2000
        assert_close(head_box(pixels), disc_box(128), tolerance=4)

    def test_a_drawn_frame_is_not_the_head(self) -> None:
        pixels = head_pixels(128)
        pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1] = 1000, 1000, 1000, 1000
        assert_close(head_box(pixels), disc_box(128), tolerance=4)

    def test_text_beside_the_head_falls_away(self) -> None:
        pixels = head_pixels(256, centre=(0.6, 0.5))
        pixels[8:16, 8:60] = 1000
        assert head_box(pixels).top > 40

    def test_blank_picture_is_kept_whole(self) -> None:
        assert head_box(np.zeros((40, 50), np.float32)) == Box(0, 0, 40, 50)

    def test_small_region_is_no_head(self) -> None:
        pixels = np.zeros((100, 100), np.float32)
        pixels[40:50, 40:50] = 1
        assert head_box(pixels) == Box(0, 0, 100, 100)

    def test_margin_is_added_and_clipped(self) -> None:
        tight, wide = head_box(head_pixels(128)), head_box(head_pixels(128), margin=0.5)
        assert tight.top > 0
        assert wide == Box(0, 0, 128, 128)


class TestPreprocess:
    def test_linear_scaling_of_known_values(self) -> None:
        pixels = np.linspace(-100, 300, 64 * 64, dtype=np.float32).reshape(64, 64)
        result = preprocess(pixels, WHOLE)
        expected = np.rint((pixels + 100) / 400 * 255)
        np.testing.assert_array_equal(result.image, expected)
        assert not result.blank

    def test_percentiles_ignore_one_hot_pixel(self) -> None:
        pixels = np.tile(np.linspace(0, 100, 64, dtype=np.float32), (64, 1))
        pixels[0, 0] = 1e6
        spec = WHOLE.model_copy(update={"high_percentile": 99.0})
        assert preprocess(pixels, spec).image[32].max() == 255

    def test_pads_the_short_side_with_black_in_the_middle(self) -> None:
        pixels = np.full((32, 64), 5, np.float32)
        pixels[:, ::2] = 1
        result = preprocess(pixels, WHOLE)
        assert result.image[:15].max() == 0
        assert result.image[-15:].max() == 0
        assert result.image[20:44].max() == 255
        assert result.placement == Placement(top=-16, left=0, side=64)

    def test_shrinking_is_antialiased(self) -> None:
        board = (np.indices((256, 256)).sum(0) % 2).astype(np.float32)
        assert np.abs(preprocess(board, WHOLE).image[4:-4, 4:-4].astype(float) - 127.5).max() < 3

    def test_blank_is_said(self) -> None:
        result = preprocess(np.full((50, 50), 7, np.float32), PreprocessSpec(size=32))
        assert result.blank
        assert result.image.max() == 0

    def test_brightness_and_contrast_do_not_matter(self) -> None:
        pixels = head_pixels(200)
        one = preprocess(pixels, PreprocessSpec(size=64)).image.astype(int)
        two = preprocess(pixels * 3.5 + 40, PreprocessSpec(size=64)).image.astype(int)
        assert np.abs(one - two).max() <= 1

    def test_placement_maps_back_to_the_slice(self) -> None:
        pixels = head_pixels(300, centre=(0.55, 0.45))
        pixels[160:163, 140:143] = 5000
        result = preprocess(pixels, PreprocessSpec(size=128, high_percentile=100))
        row, column = np.unravel_index(result.image.argmax(), result.image.shape)
        found = result.placement.to_slice(float(row), float(column), 128)
        assert found == pytest.approx((161, 141), abs=1.5)

    def test_spec_refuses_crossed_percentiles(self) -> None:
        with pytest.raises(ValidationError, match="must be below"):
            PreprocessSpec(low_percentile=60, high_percentile=40)


def test_batch_is_float_in_unit_range() -> None:
    batch = to_batch(np.array([[[0, 255], [51, 102]]], dtype=np.uint8))
    assert batch.shape == (1, 1, 2, 2)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, 0], [[0, 1], [0.2, 0.4]])
