"""The nearest neighbour is found, and copies are recognised whatever their brightness."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.data.duplicates import neighbour
from slicewise.data.duplicates.neighbour import nearest, thumbnail
from slicewise.errors import EvaluationError


def pictures(n, seed=0, side=96):
    rng = np.random.default_rng(seed)
    return rng.random((n, side, side // 2)).astype(np.float32)


def test_a_thumbnail_is_an_area_average_with_zero_mean_and_unit_length():
    pixels = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    blocks = pixels.reshape(32, 2, 32, 2).mean(axis=(1, 3)).ravel()
    expected = (blocks - blocks.mean()) / np.linalg.norm(blocks - blocks.mean())
    np.testing.assert_allclose(thumbnail(pixels), expected, atol=1e-5)


def test_brightness_and_contrast_drop_out():
    pixels = pictures(1)[0]
    np.testing.assert_allclose(thumbnail(pixels), thumbnail(300 * pixels + 40), atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, 7.3, -1000.7, 1 / 3])
@pytest.mark.parametrize("shape", [(8, 8), (100, 90), (224, 224)])
def test_a_flat_slice_has_no_thumbnail_whatever_its_value(value, shape):
    assert not thumbnail(np.full(shape, value, np.float32)).any()


def test_detail_that_vanishes_at_this_size_leaves_no_thumbnail():
    checks = 0.2 * (np.indices((128, 128)).sum(axis=0) % 2) + 0.1
    assert not thumbnail(checks.astype(np.float32)).any()


def test_faint_detail_is_no_flat_slice():
    faint = 1000 + 0.1 * pictures(1)[0]
    assert np.corrcoef(thumbnail(faint), thumbnail(pictures(1)[0]))[0, 1] > 0.99


def test_a_flat_slice_resembles_nothing_and_nothing_resembles_it():
    flat, one = thumbnail(np.full((8, 8), 7.3, np.float32)), thumbnail(pictures(1)[0])
    negative = np.stack([flat, -one])
    assert nearest(np.stack([flat, one]), negative).tolist() == [-1, 1]
    assert nearest(one[None], flat[None]).tolist() == [-1]
    apart = nearest(np.stack([flat, one]), negative, ([0, 1], [2, 2]))
    assert apart.tolist() == [-1, 1]


def test_copies_find_their_original_over_several_blocks(monkeypatch):
    monkeypatch.setattr(neighbour, "BLOCK", 4)
    references = np.stack([thumbnail(p) for p in pictures(10)])
    queries = np.stack([thumbnail(2 * p + 1) for p in pictures(10)[::-1]])
    np.testing.assert_array_equal(nearest(queries, references), np.arange(10)[::-1])


def test_bad_arguments_are_refused():
    some = np.ones((3, 4), np.float32)
    with pytest.raises(EvaluationError, match="at least one training slice; got none"):
        nearest(some, np.zeros((0, 4), np.float32))
    with pytest.raises(EvaluationError, match=r"got \(3, 4\) and \(3, 5\)"):
        nearest(some, np.ones((3, 5), np.float32))
    with pytest.raises(EvaluationError, match="finite"):
        thumbnail(np.full((4, 4), np.nan, np.float32))


def test_no_query_has_no_neighbour():
    assert nearest(np.zeros((0, 4), np.float32), np.ones((2, 4), np.float32)).size == 0


def test_references_of_the_own_group_do_not_count(monkeypatch):
    monkeypatch.setattr(neighbour, "BLOCK", 2)
    thumbs = np.stack([thumbnail(p) for p in pictures(6)])
    own = nearest(thumbs, thumbs, (range(6), [9] * 6))
    np.testing.assert_array_equal(own, np.arange(6))
    groups = np.array([0, 0, 1, 1, 2, 2])
    found = nearest(thumbs, thumbs, (groups, groups))
    assert (groups[found] != groups).all()
    similar = thumbs @ thumbs.T
    for i in range(6):
        others = np.flatnonzero(groups != groups[i])
        assert found[i] == others[np.argmax(similar[i, others])]


def test_without_another_group_there_is_no_neighbour():
    thumbs = np.stack([thumbnail(p) for p in pictures(2)])
    assert nearest(thumbs, thumbs[:1], ([0, 1], [0])).tolist() == [-1, 0]
