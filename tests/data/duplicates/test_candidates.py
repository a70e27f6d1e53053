"""Candidate pairs: found once, with the pose that fits."""

import numpy as np

from builders_data import COPIES, as_pixels, head
from slicewise.data.duplicates import candidates
from slicewise.data.duplicates.candidates import POSES, find_candidates, likeliest_first
from slicewise.data.duplicates.fingerprint import fingerprints


def test_a_pair_within_a_collection_comes_once_with_its_pose():
    images = [head(1), head(2), COPIES["turned"](head(1))]
    found = find_candidates(fingerprints([as_pixels(i) for i in images]), None, None)
    numbers = (found.first.tolist(), found.second.tolist(), found.pose.tolist())
    pairs = {(first, second): pose for first, second, pose in zip(*numbers, strict=True)}
    assert POSES[pairs[0, 2]] == (-1, -1)
    assert all(first < second for first, second in pairs)
    assert len(pairs) == len(found)


def test_against_references_indices_belong_to_each_side():
    queries = fingerprints([as_pixels(head(i)) for i in (5, 6)])
    references = fingerprints([as_pixels(head(i)) for i in (7, 6, 8)])
    found = find_candidates(queries, references, None)
    best = int(np.argmax(found.correlation))
    assert (found.first[best], found.second[best]) == (1, 1)


def test_likeliest_come_first_and_progress_is_told():
    told = []
    prints = fingerprints([as_pixels(head(i)) for i in (1, 1, 2)])
    found = find_candidates(prints, None, lambda *step: told.append(step))
    parts = list(likeliest_first(found, lambda *step: told.append(step)))
    assert (np.diff(parts[0].correlation) <= 0).all()
    assert told == [("comparing", 3, 3), ("verifying", len(found), len(found))]
    assert list(likeliest_first(found.take(np.zeros(0, np.int64)), None)) == []


def test_correlations_of_all_poses_come_from_one_set_of_products():
    """The even and odd parts give what turning each picture and multiplying would give."""
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(5, 64)), rng.normal(size=(7, 64))
    parts_one, parts_two = (candidates._parts(v.astype(np.float32)) for v in (one, two))
    products = [parts_one[k] @ parts_two[k].T for k in range(4)]
    for down, across in POSES:
        turned = one.reshape(5, 8, 8)[:, ::down, ::across].reshape(5, 64)
        found = candidates._signed_sum(products, (1, across, down, down * across))
        np.testing.assert_allclose(found, turned @ two.T, atol=1e-4)
