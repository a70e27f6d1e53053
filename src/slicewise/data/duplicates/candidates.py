"""Pairs of slices that may be copies: their coarse contrast correlates in one of four poses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array, Ints
from slicewise.data.duplicates.fingerprint import SIDE, Fingerprints
from slicewise.data.duplicates.grid import blur, interpolation
from slicewise.progress import Progress

Parts = NDArray[np.float32]
"""(4, N, D / 4): the even and odd parts of N pictures of an even side."""

POSES = ((1, 1), (1, -1), (-1, -1), (-1, 1))
"""Row and column direction: as is, mirrored, turned by 180 degrees, both."""
CORRELATION = 0.80

_PICTURE_SIDE = 32
_HEAD_SIDE = 24
_SMOOTHING = 1.05
_QUERIES = 512
_VIEWED = 2048
_PAIRS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """P candidate pairs.

    Args:
        first: (P,) index among the queries.
        second: (P,) index among the references.
        correlation: (P,) of coarse contrast.
        pose: (P,) index into `POSES`: how the query is turned.
        by_head: (P,) whether heads were compared, or else whole pictures.
    """

    first: Ints
    second: Ints
    correlation: Array
    pose: Ints
    by_head: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, indices: Ints | NDArray[np.bool_]) -> Candidates:
        """The pairs at `indices`."""
        return Candidates(
            self.first[indices],
            self.second[indices],
            self.correlation[indices],
            self.pose[indices],
            self.by_head[indices],
        )


def find_candidates(
    queries: Fingerprints, references: Fingerprints | None, progress: Progress | None
) -> Candidates:
    """Pairs whose coarse contrast correlates; of each pair its best pose and frame.

    Args:
        queries: Fingerprints of N slices.
        references: Fingerprints of M slices; None to compare the queries among themselves.
        progress: Told of each block of queries.
    """
    asked = _views(queries)
    known = asked if references is None else _views(references)
    parts: list[Candidates] = []
    for start in range(0, len(queries), _QUERIES):
        stop = min(start + _QUERIES, len(queries))
        first_known = start if references is None else 0
        block = [
            _correlated(one[:, start:stop], two[:, first_known:], by_head=by_head)
            for one, two, by_head in zip(asked, known, (False, True), strict=True)
        ]
        found = _shifted(_joined(block), start, first_known)
        if references is None:
            found = found.take(found.first < found.second)
        parts.append(_best_of_each(found))
        if progress:
            progress("comparing", stop, len(queries))
    return _joined(parts)


def likeliest_first(found: Candidates, progress: Progress | None) -> Iterator[Candidates]:
    """Candidates by falling correlation, 512 at a time.

    Args:
        found: All of them.
        progress: Told after each part was dealt with.
    """
    ordered = found.take(np.argsort(-found.correlation, kind="stable"))
    for start in range(0, len(ordered), _PAIRS):
        stop = min(start + _PAIRS, len(ordered))
        yield ordered.take(np.arange(start, stop))
        if progress:
            progress("verifying", stop, len(ordered))


def _views(prints: Fingerprints) -> tuple[Parts, Parts]:
    """Whole pictures and heads; made of some slices at a time, which bounds the memory."""
    starts = range(0, max(len(prints), 1), _VIEWED)
    blocks = [prints.take(np.arange(at, min(at + _VIEWED, len(prints)))) for at in starts]
    pictures = [_parts(_coarse_picture(block)) for block in blocks]
    heads = [_parts(_coarse_head(block)) for block in blocks]
    return np.concatenate(pictures, axis=1), np.concatenate(heads, axis=1)


def _correlated(queries: Parts, references: Parts, *, by_head: bool) -> Candidates:
    """Pairs above the limit, of all four poses.

    Turning a query changes the sign of its odd parts and nothing else, so the products of the parts
    are computed once and added up with other signs for each pose.
    """
    products = [queries[k] @ references[k].T for k in range(len(POSES))]
    parts = []
    for pose, (down, across) in enumerate(POSES):
        similar = _signed_sum(products, (1, across, down, down * across))
        one, two = np.divmod(np.flatnonzero(similar >= CORRELATION), similar.shape[1])
        poses, heads = np.full(len(one), pose), np.full(len(one), by_head)
        parts.append(Candidates(one, two, similar[one, two], poses, heads))
    return _joined(parts)


def _signed_sum(products: list[Array], signs: tuple[int, ...]) -> Array:
    total = products[0].copy()
    for product, sign in zip(products[1:], signs[1:], strict=True):
        (np.add if sign > 0 else np.subtract)(total, product, out=total)
    return total


def _parts(vectors: Array) -> Parts:
    """(4, N, D / 4) of (N, D) pictures: even or odd under mirroring, even or odd upside down.

    The parts are orthogonal: products of pictures are the sums of the products of their parts.
    """
    side = round(vectors.shape[1] ** 0.5)
    half = side // 2
    images = vectors.reshape(len(vectors), side, side)
    found = np.empty((len(POSES), len(vectors), half * half), dtype=np.float32)
    for k, (down, across) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        rows = images[:, :half] + down * images[:, : half - 1 : -1]
        both = rows[:, :, :half] + across * rows[:, :, : half - 1 : -1]
        found[k] = both.reshape(len(vectors), half * half) / 2
    return found


def _shifted(found: Candidates, first: int, second: int) -> Candidates:
    return replace(found, first=found.first + first, second=found.second + second)


def _joined(parts: list[Candidates]) -> Candidates:
    empty = np.zeros(0, dtype=np.int64)
    none = Candidates(empty, empty, empty.astype(np.float32), empty, empty.astype(bool))
    every = [none, *parts]
    return Candidates(
        np.concatenate([part.first for part in every]),
        np.concatenate([part.second for part in every]),
        np.concatenate([part.correlation for part in every]),
        np.concatenate([part.pose for part in every]),
        np.concatenate([part.by_head for part in every]),
    )


def _best_of_each(found: Candidates) -> Candidates:
    ordered = found.take(np.lexsort((-found.correlation, found.second, found.first)))
    fresh = np.ones(len(ordered), dtype=bool)
    fresh[1:] = (np.diff(ordered.first) != 0) | (np.diff(ordered.second) != 0)
    return ordered.take(fresh)


def _coarse_picture(prints: Fingerprints) -> Array:
    """(N, 1024) unit vectors: contrast over the whole picture."""
    left, top, right, bottom = prints.boxes.astype(np.float32).T
    columns, rows = _across(left, right), _across(top, bottom)
    return _unit(rows @ blur(prints.contrast(), _SMOOTHING) @ columns.transpose(0, 2, 1))


def _across(start: Array, stop: Array) -> Array:
    """Weights from the coded span to the whole picture; nothing outside of the span."""
    steps = (np.arange(_PICTURE_SIDE) + 0.5) / _PICTURE_SIDE
    span = (stop - start)[:, None]
    positions = ((steps - start[:, None]) / span * SIDE - 0.5).astype(np.float32)
    reach = np.maximum(SIDE / (span[:, 0] * _PICTURE_SIDE), 1).astype(np.float32)
    inside = (positions >= -0.5) & (positions <= SIDE - 0.5)
    weights = interpolation(np.clip(positions, 0, SIDE - 1), SIDE, reach)
    return np.asarray(weights * inside[:, :, None], dtype=np.float32)


def _coarse_head(prints: Fingerprints) -> Array:
    """(N, 576) unit vectors: contrast over the head."""
    steps = ((np.arange(_HEAD_SIDE) + 0.5) / _HEAD_SIDE * SIDE - 0.5).astype(np.float32)
    reach = np.array([SIDE / _HEAD_SIDE], dtype=np.float32)
    shrink = interpolation(steps[None], SIDE, reach)[0]
    return _unit(shrink @ blur(prints.contrast(), _SMOOTHING) @ shrink.T)


def _unit(images: NDArray[np.floating]) -> Array:
    rows = images.reshape(len(images), images.shape[1] * images.shape[2])
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-3), dtype=np.float32)
