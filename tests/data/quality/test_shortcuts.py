"""The probe finds a shortcut that is there, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from slicewise.data.quality import shortcuts
from slicewise.data.quality.shortcuts import (
    FAMILIES,
    FEATURES,
    Probe,
    feature_vector,
    file_traits,
    headline,
    noise_level,
    probe,
)


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
    assert headline(found)[0] == "jpeg_coarseness"
    assert found.as_json()["by_family"]["all"]["accuracy"]["value"] == 1


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


def features_of(pixels, path, colour=None, slices=1):
    vector = feature_vector(np.asarray(pixels, np.float32), colour, file_traits(path), slices)
    return dict(zip(FEATURES, vector.tolist(), strict=True))


@pytest.fixture
def framed(tmp_path):
    """A black square with a white frame of one pixel in 50: 4 % of 50 are two pixels."""
    pixels = np.zeros((50, 100), np.uint8)
    pixels[:2], pixels[-2:], pixels[:, :4], pixels[:, -4:] = 200, 200, 200, 200
    path = tmp_path / "framed.png"
    Image.fromarray(pixels).save(path)
    return pixels, path


def test_size_and_border_are_those_of_the_picture(framed):
    pixels, path = framed
    found = features_of(pixels, path)
    assert (found["width"], found["height"], found["aspect"]) == (100, 50, 0.5)
    assert (found["border_mean"], found["border_spread"], found["corner_mean"]) == (200, 0, 200)
    assert found["border_lit"] == 1
    assert found["black_share"] == pytest.approx((pixels == 0).mean())
    assert found["bytes_per_pixel"] == pytest.approx(path.stat().st_size / 5000)


def test_values_stand_under_their_own_names_in_whatever_order(framed, monkeypatch):
    pixels, path = framed
    one = features_of(pixels, path, 0.25)
    assert one["colour"] == 0.25
    assert (one["percentile_1"], one["percentile_50"], one["largest"]) == (0, 0, 200)
    order = tuple(reversed(FEATURES))
    monkeypatch.setattr(shortcuts, "FEATURES", order)
    vector = feature_vector(pixels.astype(np.float32), 0.25, file_traits(path))
    np.testing.assert_array_equal(vector, [one[name] for name in order])


def test_what_lies_inside_does_not_change_the_border(framed):
    pixels, path = framed
    other = pixels.copy()
    other[20:30, 40:60] = 255
    one, two = features_of(pixels, path), features_of(other, path)
    for name in ("border_mean", "border_spread", "corner_mean", "background", "width"):
        assert one[name] == two[name]


def test_a_jpeg_tells_its_quality_and_a_png_has_none(tmp_path):
    picture = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1)))
    coarseness = []
    for quality in (95, 75, 40):
        picture.save(tmp_path / f"{quality}.jpg", quality=quality)
        coarseness.append(file_traits(tmp_path / f"{quality}.jpg").jpeg_coarseness)
    assert coarseness == sorted(coarseness)
    table = Image.open(tmp_path / "40.jpg").quantization[0]
    assert coarseness[-1] == pytest.approx(np.mean(table))
    picture.save(tmp_path / "a.png")
    assert np.isnan(file_traits(tmp_path / "a.png").jpeg_coarseness)


def test_grey_and_colour_files_differ_in_mode_only(tmp_path):
    picture = Image.fromarray(np.full((40, 40), 7, np.uint8))
    picture.save(tmp_path / "grey.png")
    picture.convert("RGB").save(tmp_path / "rgb.png")
    grey, rgb = file_traits(tmp_path / "grey.png"), file_traits(tmp_path / "rgb.png")
    assert grey.container == rgb.container
    assert grey.mode != rgb.mode


def test_the_noise_level_is_that_of_white_noise_and_ignores_slopes():
    y, x = np.mgrid[:200, :200]
    slope = (3 * x + 2 * y).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 5, (200, 200)).astype(np.float32)
    assert noise_level(slope) == 0
    assert noise_level(slope + noise) == pytest.approx(5, rel=0.05)
