"""Likeness of maps: ranks against SciPy, overlap by hand, and networks that do or do not change."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from builders import head_pixels, make_slice
from slicewise.evaluation.explanations.randomisation import (
    ANOTHER,
    hottest_overlap,
    randomisation,
    rank_correlation,
)
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.inference.classifier import Outputs
from slicewise.stats.bootstrap import Bootstrap

GROUPS = np.array([f"g{i // 2}" for i in range(8)])


class Network:
    """Maps that are the brightness of the picture, or noise that knows nothing of it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.bundle = SimpleNamespace(info=SimpleNamespace(preprocessing=PreprocessSpec(size=64)))
        self._rng = np.random.default_rng(0)

    def run(self, batch):
        seen = batch[:, 0].reshape(len(batch), 8, 8, 8, 8).mean(axis=(2, 4))
        maps = self._rng.random(seen.shape) if self.kind.startswith("noise") else seen
        cam = np.stack([maps, 1 - maps], axis=1).astype(np.float32)
        if self.kind.endswith("empty"):
            cam[: 8 if self.kind == "empty" else 3] = 0
        return Outputs(np.tile([1.0, 0.0], (len(batch), 1)), cam, np.zeros((len(batch), 2)))


def slices():
    places = np.random.default_rng(1).uniform(0.4, 0.6, (8, 2))
    return [make_slice(head_pixels(64, i, tuple(places[i]))) for i in range(8)]


def test_ranks_against_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 5, (2, 10, 10)).astype(np.float32)
    assert rank_correlation(one, two) == pytest.approx(stats.spearmanr(one, two, axis=None)[0])
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1.0)
    assert rank_correlation(one, -one) == pytest.approx(-1.0)
    assert rank_correlation(one, np.ones_like(one)) == 0.0


def test_overlap_of_the_hottest_fifth() -> None:
    one = np.arange(100, dtype=np.float32).reshape(10, 10)
    shifted = np.roll(one, 10, axis=None).reshape(10, 10)
    assert hottest_overlap(one, one) == 1.0
    assert hottest_overlap(one, one[::-1, ::-1]) == 0.0
    assert hottest_overlap(one, shifted) == pytest.approx(10 / 30)
    assert hottest_overlap(one, 0 * one) == 0.0


def found(kind: str, groups=GROUPS):
    shuffled = {"head": Network("noise"), "all": Network(kind)}
    told = []
    result = randomisation(
        slices(), groups, Network("picture"), shuffled, Bootstrap(200), lambda: told.append(1)
    )
    assert len(told) == 3 * 8
    return result


def test_a_map_that_only_shows_the_picture_fails() -> None:
    result = found("picture")
    assert result.estimates["all", "correlation"].value == pytest.approx(1.0)
    assert result.estimates["all", "overlap"].value == pytest.approx(1.0)
    assert result.passed is False
    assert result.verdict == "Check NOT passed (0 of 8 maps lose all heat)."
    other = result.estimates[ANOTHER, "correlation"].value
    assert 0.3 < other < 0.999


def test_a_map_that_changes_passes() -> None:
    result = found("noise")
    assert abs(result.estimates["all", "correlation"].value) < 0.2
    assert result.passed is True
    assert (result.n, result.groups, result.empty) == (8, 4, {"head": 0, "all": 0})
    assert result.with_heat == 8


def test_a_network_that_dies_gets_no_verdict() -> None:
    """Its maps are like nothing; that they follow the weights cannot be seen on them."""
    result = found("empty")
    assert result.empty["all"] == 8
    assert result.estimates["all", "correlation"].value is None
    assert result.passed is None
    assert "8 of 8 maps lose all heat" in result.verdict


def test_empty_maps_stand_in_no_mean() -> None:
    """Three of eight are empty, the others are the model's own: a correlation of 1, not 5/8."""
    result = found("some empty")
    assert result.empty["all"] == 3
    assert result.estimates["all", "correlation"].value == pytest.approx(1.0)
    assert result.passed is False
    assert found("noise, some empty").passed is True


def test_one_group_has_no_other_slice_to_compare_with() -> None:
    result = found("noise", np.array(["one"] * 8))
    assert result.estimates[ANOTHER, "correlation"].value is None
    assert result.passed is None
