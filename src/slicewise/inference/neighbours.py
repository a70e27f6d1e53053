"""What a bundle remembers of its training slices: where they lie among embeddings, and their class.

A place is the embedding scaled to unit length, less the mean of the training slices, along their
main directions, scaled to unit length again: distances between places are those of cosines. From
them comes the trust score (`slicewise.inference.trust`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array, Floats, Ints
from slicewise.errors import BundleError
from slicewise.inference.arrays import read_arrays
from slicewise.inference.bundle import NEIGHBOURS_NAME, Bundle

_SMALLEST = 1e-9
"""Least length that is divided by."""
_KINDS = {"centre": "f", "axes": "f", "places": "f", "classes": "i", "groups": "i", "rank": "i"}
_ROWS = 256
"""Embeddings that distances are computed for at a time: memory stays bounded."""

_UNIT = 1e-2
"""How far the length of a place may exceed 1: it is stored in 16 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Places of N training slices.

    Args:
        centre: (D,) mean of unit embeddings.
        axes: (P, D) main directions.
        places: (N, P) of unit length (0 where an embedding is like the mean), sorted by class and
            then by group.
        classes: (N,) index of the class of each.
        groups: (N,) number of the leak-free group of each.
        rank: (1,) to which nearest group of a class the distance is taken; of a class with fewer
            groups, to its farthest.
    """

    centre: Floats
    axes: Floats
    places: Floats
    classes: Ints
    groups: Ints
    rank: Ints

    def distances(self, embeddings: Array) -> Floats:
        """(M, K) distance to each class, from 0 to 2: to the nearest slice of its group of rank.

        Args:
            embeddings: (M, D) of the network.
        """
        changed = (np.diff(self.classes) != 0) | (np.diff(self.groups) != 0)
        starts = np.concatenate([[0], np.flatnonzero(changed) + 1])
        parts = range(0, len(embeddings), _ROWS)
        return np.concatenate([self._nearest(embeddings[i : i + _ROWS], starts) for i in parts])

    def to_bytes(self) -> bytes:
        """Content of `neighbours.npz`; places are stored in 16 bits."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            centre=self.centre.astype(np.float32),
            axes=self.axes.astype(np.float32),
            places=self.places.astype(np.float16),
            classes=self.classes.astype(np.int16),
            groups=self.groups.astype(np.int32),
            rank=self.rank.astype(np.int16),
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, classes: int) -> Neighbours:
        """Read what `to_bytes` wrote.

        Args:
            content: Of `neighbours.npz`.
            classes: How many classes the model has.

        Raises:
            BundleError: It holds something else, or not every class.
        """
        arrays = read_arrays(NEIGHBOURS_NAME, content, tuple(_KINDS))
        wrong = [name for name, kind in _KINDS.items() if arrays[name].dtype.kind != kind]
        if wrong:
            raise BundleError(f"{NEIGHBOURS_NAME}: {wrong[0]}: expected numbers of another type")
        found = cls(
            centre=arrays["centre"].astype(np.float64),
            axes=arrays["axes"].astype(np.float64),
            places=arrays["places"].astype(np.float64),
            classes=arrays["classes"].astype(np.int64),
            groups=arrays["groups"].astype(np.int64),
            rank=arrays["rank"].astype(np.int64),
        )
        found._require_consistent(classes)
        return found

    def _nearest(self, embeddings: Array, starts: Ints) -> Floats:
        """(M, K) of some embeddings; `starts` (G,) are the first rows of classes of groups."""
        cosines = placed(embeddings, self.centre, self.axes) @ self.places.T
        apart = np.sqrt(np.maximum(2 - 2 * cosines, 0))
        nearest, owners = np.minimum.reduceat(apart, starts, axis=1), self.classes[starts]
        columns = [nearest[:, owners == k] for k in range(int(self.classes.max()) + 1)]
        return np.stack([self._ranked(column) for column in columns], axis=1)

    def _ranked(self, nearest: Floats) -> Floats:
        """(M,) of the distances (M, G) to the groups of one class."""
        place = min(int(self.rank[0]), nearest.shape[1]) - 1
        return np.asarray(np.partition(nearest, place, axis=1)[:, place])

    def _require_consistent(self, classes: int) -> None:
        shapes = [array.shape for array in (self.centre, self.axes, self.places)]
        fitting = [len(shape) for shape in shapes] == [1, 2, 2] and (
            self.axes.shape[1] == self.centre.size and self.places.shape[1] == len(self.axes) > 0
        )
        rows = (len(self.places),) if fitting else None
        if not fitting or self.classes.shape != rows or self.groups.shape != rows:
            raise BundleError(
                f"{NEIGHBOURS_NAME}: expected places along the axes of embeddings, each with a "
                f"class and a group; got {shapes}, {self.classes.shape}, {self.groups.shape}"
            )
        if not (np.linalg.norm(self.places, axis=1) <= 1 + _UNIT).all():
            raise BundleError(f"{NEIGHBOURS_NAME}: places: expected length 1 or less; got others")
        if self.rank.shape != (1,) or self.rank[0] < 1:
            raise BundleError(f"{NEIGHBOURS_NAME}: rank: expected one number of 1 or more")
        if np.unique(self.classes).tolist() != list(range(classes)):
            raise BundleError(
                f"{NEIGHBOURS_NAME}: expected slices of each of {classes} classes; "
                f"got {np.unique(self.classes).tolist()}"
            )
        order = np.lexsort((self.groups, self.classes))
        if not np.array_equal(order, np.arange(order.size)):
            raise BundleError(f"{NEIGHBOURS_NAME}: expected slices by class and group; got others")


def placed(embeddings: Array, centre: Floats, axes: Floats) -> Floats:
    """(N, P) places of embeddings (N, D)."""
    return unit((unit(embeddings) - centre) @ axes.T)


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows of length 1."""
    given = rows.astype(np.float64)
    length = np.linalg.norm(given, axis=1, keepdims=True)
    return np.asarray(given / np.maximum(length, _SMALLEST))


def load_neighbours(bundle: Bundle, width: int | str | None) -> Neighbours | None:
    """The training slices that a bundle remembers; None where it remembers none.

    Args:
        bundle: A verified bundle.
        width: Numbers in an embedding of its graph, where the graph tells.

    Raises:
        BundleError: The rule asks for them but the file is missing, holds something else, or
            belongs to another graph.
    """
    name = f"bundle {bundle.info.name} {bundle.info.version}"
    if NEIGHBOURS_NAME not in bundle.files:
        if bundle.info.decision.goes_by_trust:
            raise BundleError(
                f"{name}: expected {NEIGHBOURS_NAME}, which its limit of acceptance needs; got none"
            )
        return None
    found = Neighbours.from_bytes(bundle.files[NEIGHBOURS_NAME], len(bundle.classes))
    if isinstance(width, int) and found.centre.size != width:
        raise BundleError(
            f"{name}, {NEIGHBOURS_NAME}: expected embeddings of "
            f"{width} numbers, as the graph gives; got {found.centre.size}"
        )
    return found
