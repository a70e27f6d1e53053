"""Copies are found however they were made; other heads and neighbouring slices are not."""

import csv

import numpy as np
import pytest
from PIL import Image

from builders_data import COPIES, as_pixels, head
from slicewise.data.build.clusters import clusters
from slicewise.data.duplicates.fingerprint import fingerprints
from slicewise.data.duplicates.search import find_pairs, match

HEADS = range(12)


@pytest.fixture(scope="module")
def originals():
    return fingerprints([as_pixels(head(seed)) for seed in HEADS])


@pytest.mark.parametrize("way", COPIES)
def test_every_copy_is_found_and_nothing_else(originals, way):
    copies = fingerprints([as_pixels(COPIES[way](head(seed))) for seed in HEADS])
    assert [hits.tolist() for hits in match(copies, originals)] == [[seed] for seed in HEADS]


def test_different_heads_are_not_joined(originals):
    assert find_pairs(originals) == []


@pytest.mark.parametrize("share", [0.45, 0.6])
def test_the_next_slice_of_a_head_is_not_a_copy(originals, share):
    neighbours = [as_pixels(head(s, twin=s + 500, share=share)) for s in HEADS]
    assert sum(len(hits) for hits in match(fingerprints(neighbours), originals)) == 0


def test_groups_are_joined_through_chains_and_exact_copies():
    one, two = head(1), head(2)
    images = [one, two, COPIES["mirrored"](one), one, COPIES["jpeg"](COPIES["mirrored"](one))]
    prints = fingerprints([as_pixels(image) for image in images])
    pairs = find_pairs(prints)
    joined = clusters(len(prints), ((pair.first, pair.second) for pair in pairs))
    assert joined.tolist() == [0, 1, 0, 0, 0]
    exact = [pair for pair in pairs if pair.exact]
    assert [(pair.first, pair.second, pair.agreement) for pair in exact] == [(0, 3, 1.0)]


def test_equal_pixels_match_even_without_contrast():
    blank = fingerprints([np.zeros((32, 32), np.float32)] * 2)
    assert [(pair.first, pair.second) for pair in find_pairs(blank)] == [(0, 1)]
    assert [hits.tolist() for hits in match(blank, blank)] == [[0, 1], [0, 1]]


def test_nothing_has_no_copies(originals):
    nothing = fingerprints([])
    assert find_pairs(nothing) == []
    assert match(nothing, originals) == []
    assert all(len(hits) == 0 for hits in match(originals, nothing))


@pytest.mark.realdata
def test_real_slices_match_their_copies_and_not_their_neighbours(real_data):
    folder = real_data / "figshare"
    with (folder / "folds.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] in {"4", "5"}][:240:2]
    images = [Image.open(folder / row["label"] / f"{row['number']}.jpg") for row in rows]
    prints = fingerprints([as_pixels(image) for image in images])
    assert find_pairs(prints) == []
    for way in ("mirrored", "turned", "small", "jpeg", "bright", "flat", "sharp", "everything"):
        copies = fingerprints([as_pixels(COPIES[way](image.convert("L"))) for image in images])
        found = [hits.tolist() == [i] for i, hits in enumerate(match(copies, prints))]
        assert np.mean(found) >= 0.98, way
