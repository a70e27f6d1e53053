"""The probe finds a shortcut that is there, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.data.quality import shortcuts
from slicewise.data.quality.features import FAMILIES, FEATURES
from slicewise.data.quality.shortcuts import Probe, probe


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(shortcuts, "_TREES", 15)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(size=(240, len(FEATURES))).astype(np.float32)


LABELS = ["a", "b", "b"] * 80


def scores(found):
    assert isinstance(found, Probe)
    return {score.family: score.balanced_accuracy.value for score in found.scores}


def test_a_telling_feature_is_found_and_named(noise):
    features = noise.copy()
    features[:, FEATURES.index("jpeg_coarseness")] = [10 if name == "a" else 20 for name in LABELS]
    found = probe(features, LABELS, np.arange(240), "class")
    by_family = scores(found)
    assert by_family["all"] == 1
    assert by_family["file"] == 1
    assert by_family["border"] < 0.65
    assert found.importance[0][0] == "jpeg_coarseness"
    assert found.importance[0][1] > 0.3
    assert (found.majority, found.chance) == (pytest.approx(2 / 3), 0.5)
    assert set(by_family) == {"all", *FAMILIES}


def test_noise_tells_nothing(noise):
    found = probe(noise, LABELS, np.arange(240), "class")
    assert scores(found)["all"] == pytest.approx(0.5, abs=0.12)


def test_copies_of_a_slice_do_not_help(noise):
    """Every slice ten times: a split by slice would score 1."""
    groups = np.repeat(np.arange(60), 10)
    features = noise[:60][groups]
    labels = np.array(LABELS[:60])[groups].tolist()
    assert scores(probe(features, labels, groups, "class"))["all"] < 0.7


def test_missing_values_are_values(noise):
    features = noise.copy()
    features[[name == "a" for name in LABELS], FEATURES.index("colour")] = np.nan
    assert scores(probe(features, LABELS, np.arange(240), "class"))["file"] > 0.9


def test_too_little_to_probe_is_said(noise):
    assert "two or more of each source" in probe(noise, ["s"] * 240, np.arange(240), "source")
    one_group = np.where(np.array(LABELS) == "a", 0, np.arange(240) + 1)
    assert "two or more groups" in probe(noise, LABELS, one_group, "class")
