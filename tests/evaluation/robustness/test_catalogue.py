"""Graded perturbations: repeatable, harder at every level, and of the slice they were given."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from builders import make_slice
from builders_data import as_pixels, head
from slicewise.errors import ConfigError
from slicewise.evaluation.robustness.catalogue import CORRUPTIONS, corrupted
from slicewise.imaging.slice import Slice

GRADED = [name for name, entry in CORRUPTIONS.items() if len(entry.strengths) == 5]
CUT = "crop"


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
