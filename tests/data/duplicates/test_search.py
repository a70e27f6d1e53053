"""Copies are found however they were made; other heads and neighbouring slices are not."""

import csv

import numpy as np
import pytest
from PIL import Image

from builders_data import COPIES, as_pixels, head
from slicewise.data.duplicates import search
from slicewise.data.duplicates.fingerprint import fingerprints
from slicewise.data.duplicates.search import (
    POSES,
    find_candidates,
    find_pairs,
    likeliest_first,
    match,
)
from slicewise.data.groups import clusters

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
    assert joined == [0, 1, 0, 0, 0]
    exact = [pair for pair in pairs if pair.exact]
    assert [(pair.first, pair.second, pair.agreement) for pair in exact] == [(0, 3, 1.0)]


def test_equal_pixels_match_even_without_contrast():
    blank = fingerprints([np.zeros((32, 32), np.float32)] * 2)
    assert [(pair.first, pair.second) for pair in find_pairs(blank)] == [(0, 1)]
    assert [hits.tolist() for hits in match(blank, blank)] == [[0, 1], [0, 1]]


def test_what_is_told_joins_and_what_stays_apart_is_not_compared(originals):
    """The first two are told to be copies; a mirrored one is compared with what is not apart."""
    images = [head(1), head(2), COPIES["mirrored"](head(1)), COPIES["small"](head(3)), head(3)]
    prints = fingerprints([as_pixels(image) for image in images])
    told = [7, 7, None, None, None]
    pairs = find_pairs(prints, copies=told, apart=np.array([True, True, False, False, False]))
    assert [(p.first, p.second, p.told) for p in pairs if p.told] == [(0, 1, True)]
    joined = clusters(5, ((pair.first, pair.second) for pair in pairs))
    assert joined == [0, 0, 0, 3, 3]
    none = find_pairs(prints, copies=[None] * 5, apart=np.ones(5, bool))
    assert none == []
    free = find_pairs(prints, copies=[None] * 5, apart=np.zeros(5, bool))
    assert free == find_pairs(prints)


def test_nothing_has_no_copies(originals):
    nothing = fingerprints([])
    assert find_pairs(nothing) == []
    assert match(nothing, originals) == []
    assert all(len(hits) == 0 for hits in match(originals, nothing))


def test_a_pair_within_a_collection_comes_once_with_its_pose():
    images = [head(1), head(2), COPIES["turned"](head(1))]
    found = find_candidates(fingerprints([as_pixels(i) for i in images]), None, None)
    numbers = [found[name].tolist() for name in ("first", "second", "pose")]
    pairs = {(first, second): pose for first, second, pose in zip(*numbers, strict=True)}
    assert POSES[pairs[0, 2]] == (-1, -1)
    assert all(first < second for first, second in pairs)
    assert len(pairs) == len(found)


def test_against_references_indices_belong_to_each_side():
    queries = fingerprints([as_pixels(head(i)) for i in (5, 6)])
    references = fingerprints([as_pixels(head(i)) for i in (7, 6, 8)])
    found = find_candidates(queries, references, None)
    best = int(np.argmax(found["correlation"]))
    assert (found["first"][best], found["second"][best]) == (1, 1)


def test_likeliest_come_first_and_progress_is_told():
    told = []
    prints = fingerprints([as_pixels(head(i)) for i in (1, 1, 2)])
    found = find_candidates(prints, None, lambda *step: told.append(step))
    parts = list(likeliest_first(found, lambda *step: told.append(step)))
    assert (np.diff(parts[0]["correlation"]) <= 0).all()
    assert told == [("comparing", 3, 3), ("verifying", len(found), len(found))]
    assert list(likeliest_first(found[:0], None)) == []


def test_correlations_of_all_poses_come_from_one_set_of_products():
    """The even and odd parts give what turning each picture and multiplying would give."""
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(5, 64)), rng.normal(size=(7, 64))
    parts_one, parts_two = (search._parts(v.astype(np.float32)) for v in (one, two))
    products = [parts_one[k] @ parts_two[k].T for k in range(4)]
    for down, across in POSES:
        turned = one.reshape(5, 8, 8)[:, ::down, ::across].reshape(5, 64)
        found = search._signed_sum(products, (1, across, down, down * across))
        np.testing.assert_allclose(found, turned @ two.T, atol=1e-4)


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
