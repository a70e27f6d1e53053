"""Image corruptions: each against a known answer; repeatable, and harder at every level."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from builders import head_pixels, make_slice
from builders_data import as_pixels, head
from slicewise.arrays import Array
from slicewise.errors import ConfigError
from slicewise.evaluation.robustness import corruptions
from slicewise.evaluation.robustness.corruptions import CORRUPTIONS, corrupted
from slicewise.imaging.preprocess import Box
from slicewise.imaging.slice import Slice

GRADED = [name for name, entry in CORRUPTIONS.items() if len(entry.strengths) == 5]
CUT = "crop"


@pytest.fixture
def brain() -> Array:
    return head_pixels(128, seed=3)


def test_noise_has_the_wanted_spread(brain: Array) -> None:
    low, high = np.percentile(brain, (1, 99))
    noise = np.random.default_rng(0).standard_normal(brain.shape)
    added = corruptions.add_noise(brain, 0.1, noise) - brain
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


def test_blur_matches_scipy(brain: Array) -> None:
    share = 2.0 / 128
    expected = gaussian_filter(brain, 2.0, mode="mirror", truncate=3.0)
    np.testing.assert_allclose(corruptions.blur(brain, share), expected, atol=1e-2)


def test_shading_multiplies_the_signal(brain: Array) -> None:
    shifted = brain + 50  # the darkest value counts as no signal
    field = np.linspace(0, 1, brain.size).reshape(brain.shape)
    factor = (corruptions.shade(shifted, 4.0, field) - 50)[brain > 0] / brain[brain > 0]
    assert factor.max() / factor.min() == pytest.approx(4.0, rel=0.5)
    np.testing.assert_allclose(factor, 4.0 ** (field[brain > 0] - 0.5), rtol=1e-4)


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


def test_jpeg_keeps_the_range_and_loses_detail(brain: Array) -> None:
    fine, coarse = (corruptions.through_jpeg(brain, quality) for quality in (95, 5))
    assert abs(float(fine.max()) - float(brain.max())) < 0.02 * np.ptp(brain)
    assert np.abs(fine - brain).mean() < np.abs(coarse - brain).mean() < 0.1 * np.ptp(brain)


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


def test_mirror_turn_cut_and_cover(brain: Array) -> None:
    mirrored, turned = (
        corrupted(make_slice(brain), name, 1, 0, "k").pixels for name in ("mirror", "upside_down")
    )
    np.testing.assert_array_equal(mirrored, brain[:, ::-1])
    np.testing.assert_array_equal(turned, brain[::-1])
    box = Box(20, 30, 120, 110)
    np.testing.assert_array_equal(corruptions.cut_off(brain, box, 0.5, "top"), brain[70:])
    np.testing.assert_array_equal(corruptions.cut_off(brain, box, 0.25, "right"), brain[:, :90])
    covered = corruptions.cover(brain, Box(60, 60, 70, 80))
    assert (covered[60:70, 60:80] == brain.min()).all()
    assert np.count_nonzero(covered != brain) <= 200


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


@pytest.fixture(scope="module")
def slice_() -> Slice:
    return make_slice(as_pixels(head(5)) * 3 + 20, source="head.png", colour=0.0)


def test_all_but_the_flips_have_five_levels() -> None:
    assert set(CORRUPTIONS) - set(GRADED) == {"mirror", "upside_down"}
    assert all(entry.unit and entry.source for entry in CORRUPTIONS.values())


@pytest.mark.parametrize("name", GRADED)
def test_each_level_changes_more_than_the_one_before(name: str, slice_: Slice) -> None:
    levels = [corrupted(slice_, name, level, 0, "k") for level in range(1, 6)]
    if name == CUT:
        sizes = [slice_.pixels.size, *(changed.pixels.size for changed in levels)]
        assert all(a > b for a, b in pairwise(sizes))
        return
    damage = [float(np.abs(changed.pixels - slice_.pixels).mean()) for changed in levels]
    assert damage[0] > 0
    assert all(a < b for a, b in pairwise(damage)), damage


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_perturbation_can_be_repeated(name: str, slice_: Slice) -> None:
    before = slice_.pixels.copy()
    first, again = (corrupted(slice_, name, 1, 4, "k") for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(slice_.pixels, before)
    assert first.pixels.dtype == np.float32
    assert np.isfinite(first.pixels).all()
    assert (first.source, first.colour) == (slice_.source, slice_.colour)


@pytest.mark.parametrize("name", ["gaussian_noise", "bias_field", "motion", "occlusion"])
def test_slices_and_seeds_draw_apart(name: str, slice_: Slice) -> None:
    one = corrupted(slice_, name, 5, 0, "k").pixels
    assert not np.array_equal(one, corrupted(slice_, name, 5, 0, "other").pixels)
    assert not np.array_equal(one, corrupted(slice_, name, 5, 1, "k").pixels)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_name_of_the_file_changes_nothing(name: str, slice_: Slice) -> None:
    here, there = (
        corrupted(make_slice(slice_.pixels, source=source), name, 1, 0, "k").pixels
        for source in ("0001.png", "/somewhere/else/0002.png")
    )
    np.testing.assert_array_equal(here, there)


def test_occlusion_covers_its_share_of_the_head(slice_: Slice) -> None:
    covered = corrupted(slice_, "occlusion", 5, 2, "k").pixels
    rows, columns = np.nonzero((covered == slice_.pixels.min()) & (slice_.pixels > 100))
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    low = slice_.pixels > 60
    box = np.ptp(np.nonzero(low)[0]) * np.ptp(np.nonzero(low)[1])
    assert area / box == pytest.approx(0.3, rel=0.15)


def test_unknown_names_and_levels_are_refused(slice_: Slice) -> None:
    with pytest.raises(ConfigError, match="'blurr' is unknown; did you mean blur"):
        corrupted(slice_, "blurr", 1, 0, "k")
    with pytest.raises(ConfigError, match="mirror: expected a level of 1 to 1; got 2"):
        corrupted(slice_, "mirror", 2, 0, "k")
    with pytest.raises(ConfigError, match="expected a level of 1 to 5; got 0"):
        corrupted(slice_, "blur", 0, 0, "k")
