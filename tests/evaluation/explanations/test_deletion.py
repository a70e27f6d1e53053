"""Pixels taken away by heat: order, pictures and areas by hand, and a model that needs one spot."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from builders import head_with_spot, make_slice
from slicewise.evaluation.explanations.deletion import (
    SHARES,
    area,
    areas,
    curves,
    order_of,
    played,
)
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.inference.classifier import Outputs
from slicewise.inference.rule import DecisionRule
from slicewise.stats.bootstrap import Bootstrap

CELLS = 8


def test_the_hottest_goes_first_and_ties_are_drawn() -> None:
    heat = np.array([[5, 1, 1], [9, 0, 7]], np.float32)
    head = np.array([[True, True, True], [False, True, True]])
    ties = np.array([[0, 1, 2], [3, 4, 5]], np.float32)
    assert order_of(heat, head, ties).tolist() == [[0.2, 0.6, 0.4], [2.0, 0.8, 0.0]]


def test_pixels_turn_into_their_blurred_copy_inside_the_head() -> None:
    image = np.zeros((20, 20), np.uint8)
    image[8:12, 8:12] = 200
    ranks = np.full((20, 20), 2.0)
    ranks[:, :10] = np.arange(200).reshape(20, 10) / 200
    deleted = played(image, ranks, deletes=True)
    inserted = played(image, ranks, deletes=False)
    assert deleted.shape == (len(SHARES), 20, 20)
    assert (deleted[0] == image).all()
    assert (inserted[-1] == image).all()
    assert (deleted[-1] == inserted[0]).all()
    assert (deleted[:, :, 10:] == image[:, 10:]).all()
    assert (deleted[-1][:, :10] != image[:, :10]).any()
    half = SHARES.index(0.45)
    rows = int(0.45 * 20)
    assert (deleted[half][:rows] == deleted[-1][:rows]).all()
    assert (deleted[half][rows:] == image[rows:]).all()


def test_area_against_scikit_learn() -> None:
    from sklearn import metrics

    values = np.random.default_rng(0).random((3, len(SHARES)))
    assert area(values) == pytest.approx([metrics.auc(SHARES, row) for row in values])


class SpotModel:
    """Sure of class 0 while the bright spot is there; its map is the spot, or the far corner."""

    def __init__(self, *, honest: bool) -> None:
        info = SimpleNamespace(preprocessing=PreprocessSpec(size=64), decision=DecisionRule())
        self.bundle = SimpleNamespace(info=info, classes=("spot", "none"))
        self._honest = honest

    def run(self, batch):
        bright = (batch[:, 0] > 0.9).mean(axis=(1, 2))
        logits = np.stack([400 * bright - 4, 0 * bright], axis=1).astype(np.float32)
        cells = (batch[:, 0] > 0.9).reshape(len(batch), CELLS, 8, CELLS, 8).mean(axis=(2, 4))
        maps = cells if self._honest else cells[:, ::-1, ::-1]
        cam = np.stack([maps, 0 * maps], axis=1).astype(np.float32)
        return Outputs(logits, cam, np.zeros((len(batch), 2), np.float32))


def gaps(honest: bool):
    slices = [make_slice(head_with_spot(0, 128, i, (0.38, 0.4))) for i in range(6)]
    groups = np.array([f"g{i}" for i in range(6)])
    told = []
    found = curves(slices, groups, SpotModel(honest=honest), 0, lambda: told.append(1))
    assert len(told) == 6
    assert all(values.shape == (6, len(SHARES)) for values in found.values.values())
    return areas(found, Bootstrap(200)), found


def test_a_map_of_what_the_model_needs_beats_every_other_order() -> None:
    estimates, found = gaps(honest=True)
    for order in ("random", "centre"):
        assert estimates["deletion", f"heat_map_minus_{order}"].ci_high < -0.05
        assert estimates["insertion", f"heat_map_minus_{order}"].ci_low > 0.02
    ends = found.values["deletion", "heat_map"]
    assert ends[:, 0].min() > 0.9 > 0.2 > ends[:, -1].max()
    assert found.values["deletion", "random"][:, 0] == pytest.approx(ends[:, 0])


def test_a_map_of_something_else_does_not() -> None:
    estimates, _ = gaps(honest=False)
    assert estimates["deletion", "heat_map_minus_random"].value > 0
    assert estimates["insertion", "heat_map_minus_random"].value < 0
