from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slicewise.errors import BundleError
from slicewise.inference.trust import TrustReference, placed, trust_scores


def reference(rank: int = 1) -> TrustReference:
    """Three groups of class 0 at 0, 60 and 90 degrees, one of class 1 at 180, in the plane."""
    degrees = np.radians([0, 60, 60, 90, 180])
    return TrustReference(
        centre=np.zeros(3, np.float32),
        axes=np.eye(3, dtype=np.float32)[:2],
        places=np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32),
        classes=np.array([0, 0, 0, 0, 1]),
        groups=np.array([0, 1, 1, 2, 3]),
        rank=np.array([rank]),
    )


def apart(degrees: float) -> float:
    """Length of a chord of the unit circle."""
    return float(2 * np.sin(np.radians(degrees) / 2))


@pytest.mark.parametrize(("rank", "nearest"), [(1, 0), (2, 60), (3, 90), (9, 90)])
def test_distance_to_the_nearest_group_of_its_rank(rank: int, nearest: float) -> None:
    """Two slices of one group count once; a class of fewer groups gives its farthest."""
    found = reference(rank).class_distances(np.array([[5.0, 0.0, 0.0]], np.float32))
    np.testing.assert_allclose(found, [[apart(nearest), 2.0]], atol=1e-6)


def test_a_place_is_a_direction_from_the_centre() -> None:
    centre, axes = np.array([0.6, 0.0, 0.8], np.float32), np.eye(3, dtype=np.float32)[:2]
    found = placed(np.array([[0.0, 7.0, 0.0]], np.float32), centre, axes)
    np.testing.assert_allclose(found, [np.array([-0.6, 1.0]) / np.hypot(0.6, 1.0)], atol=1e-6)


def test_bytes_and_back() -> None:
    embeddings = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    before = reference(2)
    after = TrustReference.from_bytes(before.to_bytes(), 2)
    np.testing.assert_allclose(
        before.class_distances(embeddings), after.class_distances(embeddings), atol=2e-3
    )
    assert TrustReference.from_bytes(after.to_bytes(), 2).to_bytes() == after.to_bytes()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="expected arrays"):
        TrustReference.from_bytes(content, 2)


def test_objects_are_never_unpickled() -> None:
    stream = io.BytesIO()
    np.savez(stream, centre=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match="expected arrays"):
        TrustReference.from_bytes(stream.getvalue(), 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"places": np.ones((4, 2), np.float32)}, "each with a class and a group"),
        ({"axes": np.eye(4, dtype=np.float32)}, "expected places along the axes"),
        ({"axes": np.zeros((0, 3)), "places": np.zeros((5, 0))}, "expected places along the axes"),
        ({"places": np.full((5, 2), 9.0)}, "places: expected length 1 or less"),
        ({"rank": np.array([0])}, "rank: expected one number"),
        ({"classes": np.array([0, 0, 0, 0, 2])}, r"each of 2 classes; got \[0, 2\]"),
        ({"groups": np.array([1, 0, 0, 2, 3])}, "by class and group"),
        ({"centre": np.full(3, np.nan, np.float32)}, "centre: expected finite numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        TrustReference.from_bytes(replace(reference(), **changes).to_bytes(), 2)


def test_many_embeddings_are_measured_in_parts() -> None:
    embeddings = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    whole = reference(2).class_distances(embeddings)
    np.testing.assert_allclose(
        whole[300:], reference(2).class_distances(embeddings[300:]), atol=1e-12
    )
    assert whole.shape == (600, 2)


def test_nearest_other_class_over_the_answered_one() -> None:
    distances = np.array([[0.5, 1.0, 2.0], [0.5, 1.0, 2.0], [0.5, 1.0, 2.0]])
    np.testing.assert_allclose(trust_scores(distances, [0, 1, 2]), [2.0, 0.5, 0.25])


def test_one_answer_is_a_number() -> None:
    assert float(trust_scores([1.0, 1.0], 0)) == 1.0


def test_a_slice_of_the_training_set_itself_is_trusted_without_end() -> None:
    assert trust_scores([0.0, 1.0], 0) == pytest.approx(1e6)
