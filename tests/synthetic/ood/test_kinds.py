"""Every out-of-distribution kind: repeatable, varied, like something read from a file."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from builders_data import as_pixels, head
from slicewise.errors import ConfigError
from slicewise.imaging.slice import Slice, is_synthetic
from slicewise.synthetic.ood.kinds import KINDS, kinds_of, ood_slices
from slicewise.synthetic.ood.picture import FAMILIES

COUNT = 3
ALWAYS_COLOURED = {"false_colour", "screen_photograph"}
FLAT = {"flat_picture"}


@pytest.fixture(scope="module")
def donors() -> list[Slice]:
    return [Slice(as_pixels(head(seed)) * 7 + 100, f"head{seed}.png") for seed in range(8)]


@pytest.fixture(scope="module")
def made(donors: list[Slice]) -> dict[str, list[Slice]]:
    return {name: list(ood_slices(name, COUNT, 3, donors)) for name in KINDS}


def test_families_keep_to_one_half_and_each_half_has_many() -> None:
    halves = defaultdict(set)
    for kind in KINDS.values():
        halves[kind.family].add(kind.half)
    assert {family: found.pop() for family, found in halves.items()} == FAMILIES
    sizes = Counter(kind.half for kind in KINDS.values())
    assert min(sizes["A"], sizes["B"]) >= 14
    families = Counter(FAMILIES.values())
    assert min(families["A"], families["B"]) >= 8
    assert len(kinds_of("A")) + len(kinds_of("B")) == len(kinds_of())
    assert not {k.name for k in kinds_of()} & {k.name for k in kinds_of("report only")}
    assert len(kinds_of()) + len(kinds_of("report only")) == len(KINDS)
    for half in ("A", "B"):  # made from slices as well as drawn, on either side
        assert {kind.needs_donors for kind in kinds_of(half)} == {True, False}


def test_nothing_that_shows_real_things_is_fitted_on() -> None:
    assert {kind.name for kind in kinds_of("report only")} == {
        "real_head_ct", "real_spine_ct", "real_abdomen_mr", "real_ultrasound",
        "landscape", "flower", "portrait",
    }  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_pictures_look_like_files(name: str, made: dict[str, list[Slice]]) -> None:
    for index, slice_ in enumerate(made[name]):
        assert slice_.source == f"ood:{name}#{index}"
        assert not is_synthetic(slice_)
        pixels = slice_.pixels
        assert pixels.dtype == np.float32
        assert pixels.ndim == 2
        assert 40 <= min(pixels.shape) <= max(pixels.shape) <= 640
        assert 0 <= pixels.min() <= pixels.max() <= 255
        np.testing.assert_array_equal(pixels, np.rint(pixels))
        if name not in FLAT:
            assert pixels.std() > 1


@pytest.mark.parametrize("name", KINDS)
def test_no_two_pictures_of_a_kind_are_alike(name: str, made: dict[str, list[Slice]]) -> None:
    seen = {(slice_.shape, slice_.pixels.tobytes()) for slice_ in made[name]}
    assert len(seen) == COUNT


@pytest.mark.parametrize("name", KINDS)
def test_equal_seeds_give_equal_pictures(
    name: str, made: dict[str, list[Slice]], donors: list[Slice]
) -> None:
    again = next(ood_slices(name, 1, 3, donors))
    np.testing.assert_array_equal(made[name][0].pixels, again.pixels)
    assert made[name][0].colour == again.colour
    other = next(ood_slices(name, 1, 4, donors))
    assert other.shape != again.shape or (other.pixels != again.pixels).any()


def test_coloured_kinds_say_so_and_grey_ones_do_not(made: dict[str, list[Slice]]) -> None:
    for name in ALWAYS_COLOURED:
        assert min(slice_.colour or 0 for slice_ in made[name]) > 0.02, name
    for name in ("knee", "inverted", "gaussian_noise", "head_ct"):
        assert {slice_.colour for slice_ in made[name]} == {None}
    assert any(slice_.colour for slice_ in ood_slices("landscape", 8, 0))


def test_every_kind_has_a_description_of_its_own() -> None:
    lines = [kind.description for kind in KINDS.values()]
    assert len(set(lines)) == len(lines)
    assert all(line.endswith(".") and line[0].isupper() for line in lines)


def test_fewer_pictures_begin_alike() -> None:
    few, many = (list(ood_slices("stripes", count, 0)) for count in (2, 3))
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_drawn_kinds_need_no_donors_and_remade_ones_do() -> None:
    assert next(ood_slices("knee", 1, 0)).pixels.any()
    with pytest.raises(ConfigError, match="inverted: expected slices to alter"):
        ood_slices("inverted", 1, 0)


def test_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'kne' is unknown; did you mean knee"):
        ood_slices("kne", 1, 0)
    with pytest.raises(ConfigError, match="known: gaussian_noise, "):
        ood_slices("qqqqqq", 1, 0)
