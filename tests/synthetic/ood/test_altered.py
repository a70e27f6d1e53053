"""Altered slices do to their donor what their name says; sample files are what their kinds say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from builders_data import as_pixels, head
from slicewise.arrays import Array
from slicewise.errors import MissingExtraError
from slicewise.imaging.slice import Slice
from slicewise.synthetic.ood import altered
from slicewise.synthetic.ood.kinds import KINDS


@pytest.fixture(autouse=True)
def _one_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every donor with the same window and size, so that numbers are known."""
    monkeypatch.setattr(altered, "_draw_export", lambda rng, side: (1.0, 99.5, 1.0, side))


@pytest.fixture(scope="module")
def donor() -> Slice:
    return Slice(as_pixels(head(2)), "head.png")


@pytest.fixture(scope="module")
def plain(donor: Slice) -> Array:
    """The donor as the pictures start from: its 1st to 99.5th percentile as 0 to 255."""
    low, high = np.percentile(donor.pixels, (1, 99.5))
    return np.rint(np.clip((donor.pixels - low) / (high - low), 0, 1) * 255)


def of(name: str, donor: Slice, seed: int = 0) -> Array:
    values = KINDS[name].make(np.random.default_rng(seed), [donor])
    return np.rint(np.clip(values, 0, 1) * 255)


def view(name: str, seed: int = 0) -> Array:
    return KINDS[name].make(np.random.default_rng(seed))


def test_inverted_is_white_for_black(donor: Slice, plain: Array) -> None:
    np.testing.assert_allclose(of("inverted", donor), 255 - plain, atol=1)


def test_upside_down_and_turned(donor: Slice, plain: Array) -> None:
    np.testing.assert_allclose(of("upside_down", donor), plain[::-1], atol=1)
    turned = of("quarter_turned", donor)
    assert min(np.abs(turned - np.rot90(plain, k)).max() for k in (1, 3)) <= 1


def test_halves_swapped_moves_the_middle_to_the_edge(donor: Slice, plain: Array) -> None:
    swapped = of("halves_swapped", donor)
    np.testing.assert_allclose(np.sort(swapped, None), np.sort(plain, None), atol=1)
    edge = min(swapped[:8].mean(), swapped[-8:].mean(), swapped[:, :8].mean())
    assert max(swapped[:8].mean(), swapped[:, :8].mean()) > edge + 30


@pytest.mark.parametrize("seed", range(4))
def test_jigsaw_leaves_no_tile_in_place(seed: int) -> None:
    """Of a ramp over all pixels each value has one place, but for the few that are clipped."""
    ramp = np.arange(240 * 240, dtype=np.float32).reshape(240, 240)
    mixed = KINDS["jigsaw"].make(np.random.default_rng(seed), [Slice(ramp, "ramp.png")])
    low, high = np.percentile(ramp[::2, ::2], (1, 99.5))
    plain = np.clip((ramp - low) / (high - low), 0, 1)
    np.testing.assert_allclose(np.sort(mixed, None), np.sort(plain, None), atol=1e-5)
    assert np.mean(np.abs(mixed - plain) < 1e-4) < 0.05


def test_overexposed_is_black_and_white(donor: Slice) -> None:
    for seed in range(5):
        pixels = of("overexposed", donor, seed)
        assert np.mean((pixels < 5) | (pixels > 250)) > 0.75


def ringed_disc(side: int = 200) -> Slice:
    """Grey inside of a white ring, black around: one grey patch for each time it is shown."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x, y)
    grey = np.where(radius < 0.7, 128, np.where(radius < 0.85, 255, 0))
    return Slice(grey.astype(np.float32), "disc.png")


@pytest.mark.parametrize("seed", range(8))
def test_contact_sheet_holds_a_full_grid_of_slices(seed: int) -> None:
    pixels = of("contact_sheet", ringed_disc(), seed)
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
        assert np.mean(of("extreme_zoom", donor, seed) == 0) < 0.05


@pytest.mark.parametrize("seed", range(6))
def test_strong_crop_shows_a_third_to_a_half_of_each_side(seed: int) -> None:
    """Of a ramp the values tell which part of that side is left."""
    ramp = np.tile(np.linspace(0, 1, 200, dtype=np.float32), (200, 1))
    across, down = (of("strong_crop", Slice(p, "ramp.png"), seed) for p in (ramp, ramp.T))
    for part in (across, down):
        first, last = (0.01 + 0.985 * part.min() / 255, 0.01 + 0.985 * part.max() / 255)
        assert 0.28 < last - first < 0.51
        assert min(abs(first - 0.06), abs(last - 0.94)) < 0.02


def test_failed_scans_differ_strongly_and_keep_their_size(donor: Slice, plain: Array) -> None:
    for name in ("ghosted", "spiked", "torn_by_motion"):
        for seed in range(4):
            pixels = of(name, donor, seed)
            assert pixels.shape == plain.shape
            assert 0.1 < np.corrcoef(pixels.ravel(), plain.ravel())[0, 1] < 0.97, name


def test_viewer_has_a_small_slice_in_it(donor: Slice) -> None:
    pixels = of("in_viewer", donor)
    assert pixels.shape != donor.pixels.shape
    assert np.unique(pixels).size > 50


def test_a_screen_is_photographed_at_an_angle_and_in_colour(donor: Slice) -> None:
    values = KINDS["screen_photograph"].make(np.random.default_rng(1), [donor])
    assert values.shape[2] == 3
    assert values.shape[0] == values.shape[1]


def test_sample_files_are_what_the_kinds_say() -> None:
    assert altered._scans("J2K_pixelrep_mismatch.dcm")[0].max() > 1000  # bone, Hounsfield units
    assert altered._scans("CT_small.dcm")[0].shape == (128, 128)
    assert altered._scans("examples_overlay.dcm")[0].shape == (300, 484)
    assert len(altered._scans("examples_ybr_color.dcm")) == 30
    assert altered._photograph("sklearn", "datasets/images/flower.jpg").shape == (427, 640, 3)


def test_narrow_windows_of_the_head_whiten_the_bone() -> None:
    white = [np.mean(view("real_head_ct", seed) > 0.98) for seed in range(12)]
    assert max(white) > 0.1 > min(white)


def test_photographs_are_cut_in_colour_or_grey() -> None:
    shapes = [view("flower", seed).ndim for seed in range(8)]
    assert set(shapes) == {2, 3}
    assert view("portrait").std() > 0.04


@pytest.mark.parametrize("name", ["landscape", "portrait", "real_spine_ct"])
def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(altered, "find_spec", lambda name: None)
    for cached in (altered._photograph, altered._scans):
        cached.cache_clear()
    with pytest.raises(MissingExtraError, match="slicewise\\[evaluate\\]"):
        view(name)
