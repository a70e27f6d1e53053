"""Cuts of sample pictures, and what is said where the packages that hold them are missing."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.errors import MissingExtraError
from slicewise.synthetic.ood import photographs


def test_flower_is_a_cut_of_the_photograph() -> None:
    picture = photographs.flower(np.random.default_rng(1))
    whole = photographs._photograph("sklearn", "datasets/images/flower.jpg")
    assert whole.shape == (427, 640, 3)
    assert picture.pixels.std() > 10


def test_digits_are_strokes_on_an_even_ground() -> None:
    pixels = photographs.handwritten_digits(np.random.default_rng(0)).pixels
    darkest, lightest = np.mean(pixels < 60), np.mean(pixels > 195)
    assert darkest + lightest > 0.5
    assert min(darkest, lightest) > 0.05


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "find_spec", lambda name: None)
    for cached in (photographs._photograph, photographs._elevations, photographs._digits):
        cached.cache_clear()
    for draw in (
        photographs.landscape,
        photographs.portrait,
        photographs.terrain,
        photographs.handwritten_digits,
    ):
        with pytest.raises(MissingExtraError, match="slicewise\\[evaluate\\]"):
            draw(np.random.default_rng(0))
