"""Each artefact against a known answer or an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from builders import head_pixels
from slicewise.arrays import Array
from slicewise.evaluation.robustness import corruptions
from slicewise.imaging.preprocess import Box


@pytest.fixture
def head() -> Array:
    return head_pixels(128, seed=3)


def test_noise_has_the_wanted_spread(head: Array) -> None:
    low, high = np.percentile(head, (1, 99))
    noise = np.random.default_rng(0).standard_normal(head.shape)
    added = corruptions.add_noise(head, 0.1, noise) - head
    assert added.std() == pytest.approx(0.1 * (high - low), rel=0.02)
    assert added.mean() == pytest.approx(0, abs=0.01 * (high - low))


def test_rician_noise_has_the_moments_of_its_distribution() -> None:
    half = np.zeros((200, 200), dtype=np.float32)
    half[:100] = 1.0
    noise = np.random.default_rng(0).standard_normal((2, 200, 200))
    noisy = corruptions.add_rician_noise(half, 0.1, noise)
    assert noisy[100:].mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.02)  # Rayleigh
    assert noisy[:100].mean() == pytest.approx(np.sqrt(1 + 0.1**2), rel=0.01)
    assert (noisy >= 0).all()


def test_blur_matches_scipy(head: Array) -> None:
    share = 2.0 / 128
    expected = gaussian_filter(head, 2.0, mode="mirror", truncate=3.0)
    np.testing.assert_allclose(corruptions.blur(head, share), expected, atol=1e-2)


def test_shading_multiplies_the_signal(head: Array) -> None:
    shifted = head + 50  # the darkest value counts as no signal
    field = np.linspace(0, 1, head.size).reshape(head.shape)
    factor = (corruptions.shade(shifted, 4.0, field) - 50)[head > 0] / head[head > 0]
    assert factor.max() / factor.min() == pytest.approx(4.0, rel=0.5)
    np.testing.assert_allclose(factor, 4.0 ** (field[head > 0] - 0.5), rtol=1e-4)


def test_windows_and_levels() -> None:
    ramp = np.linspace(0, 100, 101, dtype=np.float32).reshape(1, -1).repeat(4, 0)
    narrow = corruptions.narrow_window(ramp, 2.0)
    assert narrow[0, 50] == pytest.approx(50)
    assert narrow[0, 60] == pytest.approx(70)
    assert narrow.max() == pytest.approx(99, abs=0.1)  # the 99th percentile
    assert np.unique(corruptions.few_levels(ramp, 5)).tolist() == [0, 25, 50, 75, 100]
    assert corruptions.brighten(ramp, 0.5)[0, 10] == pytest.approx(10 + 0.5 * 98, abs=0.1)
    assert corruptions.brighten(ramp, -0.5)[0, 10] == pytest.approx(1, abs=0.1)
    assert corruptions.bend_gamma(ramp, 2.0)[0, 50] == pytest.approx(25)


def test_rotation_turns_counter_clockwise() -> None:
    pixels = np.zeros((41, 41), dtype=np.float32)
    pixels[20, 35] = 1.0  # right of the middle
    row, column = np.unravel_index(corruptions.rotate(pixels, 90).argmax(), pixels.shape)
    assert (row, column) == (5, 20)  # above it


def test_jpeg_keeps_the_range_and_loses_detail(head: Array) -> None:
    fine, coarse = (corruptions.through_jpeg(head, quality) for quality in (95, 5))
    assert abs(float(fine.max()) - float(head.max())) < 0.02 * np.ptp(head)
    assert np.abs(fine - head).mean() < np.abs(coarse - head).mean() < 0.1 * np.ptp(head)


def test_coarsening_leaves_a_smooth_picture_and_flattens_a_chessboard() -> None:
    board = np.indices((64, 64)).sum(axis=0).astype(np.float32) % 2
    assert corruptions.coarsen(board, 0.25).std() < 0.01
    smooth = np.outer(*[np.hanning(64)] * 2).astype(np.float32)
    np.testing.assert_allclose(corruptions.coarsen(smooth, 0.5), smooth, atol=0.02)


def test_motion_of_all_lines_is_a_shift() -> None:
    head = head_pixels(128, seed=1)
    whole = np.full(128, 5.0)
    artefact = corruptions.move_during_scan(head, whole)
    # All but the middle lines moved: what is left where it was has no detail down the columns.
    detail = head - head.mean(axis=0)
    moved = artefact - artefact.mean(axis=0)
    correlation = [np.corrcoef(np.roll(detail, k, 1).ravel(), moved.ravel())[0, 1] for k in (0, 5)]
    assert correlation[1] > 0.9 > correlation[0]
    np.testing.assert_allclose(corruptions.move_during_scan(head, np.zeros(128)), head, atol=1e-2)


def test_ghosts_stand_where_the_lines_say() -> None:
    pixels = np.zeros((64, 64), dtype=np.float32)
    pixels[10:14, 20:40] = 1.0
    ghosted = corruptions.ghost(pixels, 0.5, every=2)
    # Weakening every second line by half: a quarter of the signal moves by half the picture.
    assert ghosted[42:46, 22:38].mean() == pytest.approx(0.25, abs=0.05)
    assert ghosted[11:13, 22:38].mean() == pytest.approx(0.75, abs=0.05)
    np.testing.assert_allclose(corruptions.ghost(pixels, 0.0, 2), pixels, atol=1e-5)


def test_mirror_turn_cut_and_cover(head: Array) -> None:
    np.testing.assert_array_equal(corruptions.mirror(head), head[:, ::-1])
    np.testing.assert_array_equal(corruptions.turn_over(head), head[::-1])
    box = Box(20, 30, 120, 110)
    np.testing.assert_array_equal(corruptions.cut_off(head, box, 0.5, "top"), head[70:])
    np.testing.assert_array_equal(corruptions.cut_off(head, box, 0.25, "right"), head[:, :90])
    covered = corruptions.cover(head, Box(60, 60, 70, 80))
    assert (covered[60:70, 60:80] == head.min()).all()
    assert np.count_nonzero(covered != head) <= 200


@pytest.mark.parametrize("empty", [np.zeros((20, 20)), np.full((20, 20), 7.0)])
def test_blank_slices_stay_blank(empty: Array) -> None:
    pixels = empty.astype(np.float32)
    for changed in (
        corruptions.add_noise(pixels, 0.2, np.ones((20, 20))),
        corruptions.narrow_window(pixels, 2.0),
        corruptions.few_levels(pixels, 4),
        corruptions.bend_gamma(pixels, 2.0),
        corruptions.through_jpeg(pixels, 50),
    ):
        np.testing.assert_array_equal(changed, pixels)
