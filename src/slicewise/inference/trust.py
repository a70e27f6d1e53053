"""The trust score: how much closer an image is to training slices of its class than of another.

Jiang et al., NeurIPS 2018. Distances are between places, see `placed`: those of cosines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicewise.arrays import Array, Floats, Ints, read_arrays, write_arrays
from slicewise.errors import BundleError

_SMALLEST_DISTANCE, _SMALLEST_LENGTH = 1e-6, 1e-9  # that are divided by
_KINDS = {"centre": "f", "axes": "f", "places": "f", "classes": "i", "groups": "i", "rank": "i"}
_STORED = {"centre": "f4", "axes": "f4", "places": "f2", "classes": "i2", "groups": "i4"}
_ROWS = 256  # embeddings that distances are computed for at a time: memory stays bounded
_UNIT = 1e-2  # how much the length of a place may exceed 1: it is stored in 16 bits


def trust_scores(class_distances: ArrayLike, answered: ArrayLike) -> Floats:
    """Distance to the nearest class that was not answered, over that to the answered one.

    1 is as close to another class; larger is better supported.

    Args:
        class_distances: (..., K) at least 0, to the training slices of each of two or more classes.
        answered: (...) index of the answered class.
    """
    given = np.asarray(class_distances, dtype=np.float64)
    mine = np.asarray(answered)[..., None] == np.arange(given.shape[-1])
    other = np.where(mine, np.inf, given).min(axis=-1)
    own = np.where(mine, given, 0.0).sum(axis=-1)
    return np.asarray(other / np.maximum(own, _SMALLEST_DISTANCE))


@dataclass(frozen=True, slots=True, eq=False)
class TrustReference:
    """Places of N training slices, sorted by class and then by group.

    The distance to a class is that to its group of rank, the nearest being 1; to its farthest group
    where it has fewer.
    """

    centre: Floats  # (D,) mean of unit embeddings
    axes: Floats  # (P, D) main directions
    places: Floats  # (N, P) of unit length, 0 where an embedding is like the mean
    classes: Ints  # (N,) index of the class of each
    groups: Ints  # (N,) number of the leak-free group of each
    rank: Ints  # (1,)

    @property
    def width(self) -> int:
        """D, the numbers of an embedding."""
        return self.centre.size

    def class_distances(self, embeddings: Array) -> Floats:
        """(M, K) from 0 to 2, of embeddings (M, D): to the nearest slice of the group of rank."""
        changed = (np.diff(self.classes) != 0) | (np.diff(self.groups) != 0)
        starts = np.concatenate([[0], np.flatnonzero(changed) + 1])
        parts = range(0, len(embeddings), _ROWS)
        return np.concatenate([self._ranked(embeddings[i : i + _ROWS], starts) for i in parts])

    def to_bytes(self) -> bytes:
        """Content of `trust.npz`."""
        stored = {name: getattr(self, name).astype(kind) for name, kind in _STORED.items()}
        return write_arrays({**stored, "rank": self.rank.astype("i2")})

    @classmethod
    def from_bytes(cls, content: bytes, classes: int) -> TrustReference:
        """Read what `to_bytes` wrote for a model of so many classes.

        Raises:
            BundleError: It holds something else, or not every class.
        """
        arrays = read_arrays(content, _KINDS)
        found = cls(**{n: a.astype("f8" if _KINDS[n] == "f" else "i8") for n, a in arrays.items()})
        found._require_consistent(classes)
        return found

    def _ranked(self, embeddings: Array, starts: Ints) -> Floats:
        """(M, K) of some embeddings; `starts` (G,) are the first rows of groups of a class."""
        cosines = placed(embeddings, self.centre, self.axes) @ self.places.T
        apart = np.sqrt(np.maximum(2 - 2 * cosines, 0))
        nearest, owners = np.minimum.reduceat(apart, starts, axis=1), self.classes[starts]
        columns = []
        for k in range(int(self.classes.max()) + 1):
            of_class = nearest[:, owners == k]
            place = min(int(self.rank[0]), of_class.shape[1]) - 1
            columns.append(np.partition(of_class, place, axis=1)[:, place])
        return np.stack(columns, axis=1)

    def _require_consistent(self, classes: int) -> None:
        shapes = [array.shape for array in (self.centre, self.axes, self.places)]
        fitting = [len(shape) for shape in shapes] == [1, 2, 2] and (
            self.axes.shape[1] == self.centre.size and self.places.shape[1] == len(self.axes) > 0
        )
        rows = (len(self.places),) if fitting else None
        if not self.classes.shape == self.groups.shape == rows:
            expected = "places along the axes of embeddings, each with a class and a group"
            got = f"{shapes}, {self.classes.shape}, {self.groups.shape}"
            raise BundleError(f"expected {expected}; got {got}")
        if not (np.linalg.norm(self.places, axis=1) <= 1 + _UNIT).all():
            raise BundleError("places: expected length 1 or less; got others")
        if self.rank.shape != (1,) or self.rank[0] < 1:
            raise BundleError("rank: expected one number of 1 or more")
        known = np.unique(self.classes).tolist()
        if known != list(range(classes)):
            raise BundleError(f"expected slices of each of {classes} classes; got {known}")
        order = np.lexsort((self.groups, self.classes))
        if not np.array_equal(order, np.arange(order.size)):
            raise BundleError("expected slices by class and group; got others")


def placed(embeddings: Array, centre: Floats, axes: Floats) -> Floats:
    """(N, P) places of embeddings (N, D), along `axes` (P, D) from the mean: all of unit length."""
    return unit((unit(embeddings) - centre) @ axes.T)


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows of length 1."""
    given = rows.astype(np.float64)
    length = np.linalg.norm(given, axis=1, keepdims=True)
    return np.asarray(given / np.maximum(length, _SMALLEST_LENGTH))
