"""Spoilt slices: each does to its donor what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from builders_data import as_pixels, head
from slicewise.arrays import Array
from slicewise.imaging.slice import Slice
from slicewise.synthetic.ood import picture, remade


@pytest.fixture(autouse=True)
def _one_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every donor with the same window and size, and no JPEG, so that numbers are known."""
    monkeypatch.setattr(picture, "_JPEG_SHARE", 0.0)
    monkeypatch.setattr(remade, "_draw_export", lambda rng, side: (1.0, 99.5, 1.0, side))


@pytest.fixture(scope="module")
def donor() -> Slice:
    return Slice(as_pixels(head(2)), "head.png")


@pytest.fixture(scope="module")
def plain(donor: Slice) -> Array:
    """The donor as the pictures start from: its 1st to 99.5th percentile as 0 to 255."""
    low, high = np.percentile(donor.pixels, (1, 99.5))
    return np.rint(np.clip((donor.pixels - low) / (high - low), 0, 1) * 255)


def of(make, donor: Slice, seed: int = 0) -> Array:
    return make(np.random.default_rng(seed), [donor]).pixels


def test_inverted_is_white_for_black(donor: Slice, plain: Array) -> None:
    np.testing.assert_allclose(of(remade.inverted, donor), 255 - plain, atol=1)


def test_upside_down_and_turned(donor: Slice, plain: Array) -> None:
    np.testing.assert_allclose(of(remade.upside_down, donor), plain[::-1], atol=1)
    turned = of(remade.quarter_turned, donor)
    assert min(np.abs(turned - np.rot90(plain, k)).max() for k in (1, 3)) <= 1


def test_halves_swapped_moves_the_middle_to_the_edge(donor: Slice, plain: Array) -> None:
    swapped = of(remade.halves_swapped, donor)
    np.testing.assert_allclose(np.sort(swapped, None), np.sort(plain, None), atol=1)
    edge = min(swapped[:8].mean(), swapped[-8:].mean(), swapped[:, :8].mean())
    assert max(swapped[:8].mean(), swapped[:, :8].mean()) > edge + 30


def test_jigsaw_leaves_no_tile_in_place() -> None:
    for count in (4, 9, 25):
        order = remade._deranged(np.random.default_rng(count), count)
        assert sorted(order) == list(range(count))
        assert (order != np.arange(count)).all()


def test_squeezed_changes_proportions(donor: Slice) -> None:
    for seed in range(5):
        height, width = of(remade.squeezed, donor, seed).shape
        assert max(height, width) / min(height, width) >= 1.9


def test_overexposed_is_black_and_white(donor: Slice) -> None:
    for seed in range(5):
        pixels = of(remade.overexposed, donor, seed)
        assert np.mean((pixels < 5) | (pixels > 250)) > 0.75


def test_folded_over_keeps_what_lies_outside(donor: Slice, plain: Array) -> None:
    folded = of(remade.folded_over, donor)
    axis = int(folded.shape[1] != plain.shape[1])
    assert folded.shape[axis] < 0.85 * plain.shape[axis]
    # All of the signal is in it, up to one factor: the profile across the folding is the same.
    profile, expected = folded.sum(axis), plain.sum(axis)
    assert np.corrcoef(profile, expected)[0, 1] > 0.999


def ringed_disc(side: int = 200) -> Slice:
    """Grey inside of a white ring, black around: one grey patch for each time it is shown."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x, y)
    grey = np.where(radius < 0.7, 128, np.where(radius < 0.85, 255, 0))
    return Slice(grey.astype(np.float32), "disc.png")


@pytest.mark.parametrize("seed", range(8))
def test_contact_sheet_holds_a_full_grid_of_slices(seed: int) -> None:
    pixels = of(remade.contact_sheet, ringed_disc(), seed)
    grey = ndimage.binary_opening((pixels > 90) & (pixels < 170), iterations=2)
    patches, count = ndimage.label(grey)
    centers = np.array(ndimage.center_of_mass(grey, patches, range(1, count + 1)))
    rows, columns = (1 + np.count_nonzero(np.diff(np.sort(axis)) > 10) for axis in centers.T)
    assert count == rows * columns
    assert 1 <= rows <= 5
    assert 2 <= columns <= 5
    sizes = np.bincount(patches.ravel())[1:]
    assert sizes.min() > 0.8 * sizes.max()


def test_extreme_zoom_shows_the_inside_of_the_head(donor: Slice, plain: Array) -> None:
    assert np.mean(plain == 0) > 0.3
    for seed in range(4):
        assert np.mean(of(remade.extreme_zoom, donor, seed) == 0) < 0.05


@pytest.mark.parametrize("seed", range(6))
def test_strong_crop_shows_a_third_to_a_half_of_each_side(seed: int) -> None:
    """Of a ramp the values tell which part of that side is left."""
    ramp = np.tile(np.linspace(0, 1, 200, dtype=np.float32), (200, 1))
    across, down = (of(remade.strong_crop, Slice(p, "ramp.png"), seed) for p in (ramp, ramp.T))
    for part in (across, down):
        first, last = (0.01 + 0.985 * part.min() / 255, 0.01 + 0.985 * part.max() / 255)
        assert 0.28 < last - first < 0.51
        assert min(abs(first - 0.06), abs(last - 0.94)) < 0.02


def test_failed_scans_differ_strongly_and_keep_their_size(donor: Slice, plain: Array) -> None:
    for make in (remade.ghosted, remade.spiked, remade.torn_by_motion, remade.drowned_in_noise):
        for seed in range(4):
            pixels = of(make, donor, seed)
            assert pixels.shape == plain.shape
            assert np.corrcoef(pixels.ravel(), plain.ravel())[0, 1] < 0.97, make.__name__


def test_viewer_has_a_small_slice_in_it(donor: Slice) -> None:
    pixels = of(remade.in_viewer, donor)
    assert pixels.shape != donor.pixels.shape
    assert np.unique(pixels).size > 50
