"""Copies among slices: exact ones, and near ones that were mirrored, turned, resized or retouched.

Two steps. Candidates are pairs whose local contrast correlates, in the frame of the picture or of
the head, in one of four poses (as is, mirrored, turned by 180 degrees, both). Each candidate is
then laid upon its partner and compared in fine detail (`agreement`), which copies pass and
neighbouring slices of one patient do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicewise.data.agreement import agreement, laid_upon, refine, same_head, same_picture
from slicewise.data.clusters import UnionFind, clusters
from slicewise.data.fingerprint import SIDE, Fingerprints
from slicewise.data.grid import blur, interpolation

Array = NDArray[np.float32]
Ints = NDArray[np.int64]
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""

CANDIDATE_CORRELATION = 0.80
SAME_AGREEMENT = 0.75
"""Fixed on Figshare folds 1 and 2; docs/data.md tells how."""
_WORTH_REFINING = 0.2

_PICTURE_SIDE = 32
_HEAD_SIDE = 24
_SMOOTHING = 1.05
_QUERIES = 512
_PAIRS = 512
_POSES = ((1, 1), (1, -1), (-1, -1), (-1, 1))
"""Row and column direction: as is, mirrored, turned by 180 degrees, both."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two slices that show the same picture.

    Args:
        first: Index of the one.
        second: Index of the other.
        agreement: In (0, 1]; 1 for equal pixels.
        exact: Whether the pixels are equal.
    """

    first: int
    second: int
    agreement: float
    exact: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    first: Ints
    second: Ints
    correlation: Array
    pose: Ints
    by_head: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, indices: Ints | NDArray[np.bool_]) -> _Candidates:
        return _Candidates(
            self.first[indices],
            self.second[indices],
            self.correlation[indices],
            self.pose[indices],
            self.by_head[indices],
        )


def find_pairs(prints: Fingerprints, progress: Progress | None = None) -> list[Pair]:
    """Pairs that connect every group of copies within one collection.

    Enough pairs to span each group, not all pairs of it: what is connected already is not compared
    again.

    Args:
        prints: Fingerprints of N slices.
        progress: Told of each step.
    """
    sets = UnionFind(len(prints))
    pairs = [Pair(one, two, 1.0, True) for one, two in _equal_pixels(prints)]
    for pair in pairs:
        sets.join(pair.first, pair.second)
    distinct = np.flatnonzero(sets.roots() == np.arange(len(prints)))
    chosen = prints.take(distinct)
    found = _candidates(chosen, chosen, progress, within=True)
    for part in _likeliest_first(found, progress):
        apart = [
            sets.root(int(distinct[one])) != sets.root(int(distinct[two]))
            for one, two in zip(part.first, part.second, strict=True)
        ]
        open_pairs = part.take(np.array(apart, dtype=bool))
        scores = _verify(chosen, chosen, open_pairs)
        for index in np.flatnonzero(scores >= SAME_AGREEMENT):
            one, two = (
                int(distinct[side[index]]) for side in (open_pairs.first, open_pairs.second)
            )
            if sets.join(one, two):
                pairs.append(Pair(one, two, float(scores[index]), False))
    return pairs


def find_groups(prints: Fingerprints, progress: Progress | None = None) -> Ints:
    """(N,) for each slice the smallest index among its copies, itself included."""
    pairs = find_pairs(prints, progress)
    return clusters(len(prints), ((pair.first, pair.second) for pair in pairs))


def match(
    queries: Fingerprints, references: Fingerprints, progress: Progress | None = None
) -> list[Ints]:
    """For each query, the indices of the references that are copies of it, ascending.

    Args:
        queries: Fingerprints of N slices.
        references: Fingerprints of M slices, such as those a model was trained on.
        progress: Told of each step.
    """
    hits: list[set[int]] = [set() for _ in range(len(queries))]
    by_digest: dict[bytes, list[int]] = {}
    for index, digest in enumerate(references.digests):
        by_digest.setdefault(digest.tobytes(), []).append(index)
    for index, digest in enumerate(queries.digests):
        hits[index].update(by_digest.get(digest.tobytes(), ()))
    found = _candidates(queries, references, progress, within=False)
    for part in _likeliest_first(found, progress):
        scores = _verify(queries, references, part)
        for index in np.flatnonzero(scores >= SAME_AGREEMENT):
            hits[part.first[index]].add(int(part.second[index]))
    return [np.array(sorted(found_for), dtype=np.int64) for found_for in hits]


def _equal_pixels(prints: Fingerprints) -> Iterator[tuple[int, int]]:
    seen: dict[bytes, int] = {}
    for index, digest in enumerate(prints.digests):
        earlier = seen.setdefault(digest.tobytes(), index)
        if earlier != index:
            yield earlier, index


def _candidates(
    queries: Fingerprints, references: Fingerprints, progress: Progress | None, *, within: bool
) -> _Candidates:
    """Pairs whose coarse contrast correlates; of a pair only its best pose and frame."""
    views = [
        (_coarse_picture, _PICTURE_SIDE, False),
        (_coarse_head, _HEAD_SIDE, True),
    ]
    asked = [view(queries) for view, _, _ in views]
    known = asked if within else [view(references) for view, _, _ in views]
    parts: list[_Candidates] = []
    for start in range(0, len(queries), _QUERIES):
        block: list[_Candidates] = []
        for number, (_, side, by_head) in enumerate(views):
            images = asked[number][start : start + _QUERIES].reshape(-1, side, side)
            first_known = start if within else 0
            targets = known[number][first_known:]
            for pose, (down, across) in enumerate(_POSES):
                posed = np.ascontiguousarray(images[:, ::down, ::across]).reshape(len(images), -1)
                similar = posed @ targets.T
                one, two = np.nonzero(similar >= CANDIDATE_CORRELATION)
                block.append(
                    _Candidates(
                        one + start,
                        two + first_known,
                        similar[one, two],
                        np.full(len(one), pose),
                        np.full(len(one), by_head),
                    )
                )
        parts.append(_best_of_each(_joined(block), within=within))
        if progress:
            progress("comparing", min(start + _QUERIES, len(queries)), len(queries))
    return _joined(parts)


def _joined(parts: list[_Candidates]) -> _Candidates:
    empty = np.zeros(0, dtype=np.int64)
    none = _Candidates(empty, empty, empty.astype(np.float32), empty, empty.astype(bool))
    every = [none, *parts]
    return _Candidates(
        np.concatenate([part.first for part in every]),
        np.concatenate([part.second for part in every]),
        np.concatenate([part.correlation for part in every]),
        np.concatenate([part.pose for part in every]),
        np.concatenate([part.by_head for part in every]),
    )


def _best_of_each(found: _Candidates, *, within: bool) -> _Candidates:
    if within:
        found = found.take(found.first < found.second)
    order = np.lexsort((-found.correlation, found.second, found.first))
    ordered = found.take(order)
    fresh = np.ones(len(ordered), dtype=bool)
    fresh[1:] = (np.diff(ordered.first) != 0) | (np.diff(ordered.second) != 0)
    return ordered.take(fresh)


def _likeliest_first(found: _Candidates, progress: Progress | None) -> Iterator[_Candidates]:
    ordered = found.take(np.argsort(-found.correlation, kind="stable"))
    for start in range(0, len(ordered), _PAIRS):
        yield ordered.take(np.arange(start, min(start + _PAIRS, len(ordered))))
        if progress:
            progress("verifying", min(start + _PAIRS, len(ordered)), len(ordered))


def _coarse_picture(prints: Fingerprints) -> Array:
    """(N, 1024) unit vectors: contrast over the whole picture."""
    boxes = prints.boxes.astype(np.float32)
    steps = (np.arange(_PICTURE_SIDE, dtype=np.float32) + 0.5) / _PICTURE_SIDE
    size = (boxes[:, 2:] - boxes[:, :2]) * _PICTURE_SIDE
    x = (steps - boxes[:, 0:1]) / (boxes[:, 2:3] - boxes[:, 0:1]) * SIDE - 0.5
    y = (steps - boxes[:, 1:2]) / (boxes[:, 3:4] - boxes[:, 1:2]) * SIDE - 0.5
    columns, rows = _faded(x, SIDE / size[:, 0]), _faded(y, SIDE / size[:, 1])
    return _unit(rows @ blur(prints.contrast(), _SMOOTHING) @ columns.transpose(0, 2, 1))


def _faded(positions: Array, reach: Array) -> Array:
    """Interpolation weights that fade to nothing outside of the coded region."""
    inside = (positions >= -0.5) & (positions <= SIDE - 0.5)
    weights = interpolation(np.clip(positions, 0, SIDE - 1), SIDE, np.maximum(reach, 1))
    return np.asarray(weights * inside[:, :, None], dtype=np.float32)


def _coarse_head(prints: Fingerprints) -> Array:
    """(N, 576) unit vectors: contrast over the head."""
    steps = (np.arange(_HEAD_SIDE, dtype=np.float32) + 0.5) / _HEAD_SIDE * SIDE - 0.5
    shrink = interpolation(steps[None], SIDE, np.array([SIDE / _HEAD_SIDE], dtype=np.float32))[0]
    return _unit(shrink @ blur(prints.contrast(), _SMOOTHING) @ shrink.T)


def _unit(images: Array) -> Array:
    rows = images.reshape(len(images), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-3), dtype=np.float32)


def _verify(queries: Fingerprints, references: Fingerprints, part: _Candidates) -> Array:
    """(P,) agreement of each candidate pair, refined where it is worth it."""
    scores = np.zeros(len(part), dtype=np.float32)
    for pose in range(len(_POSES)):
        chosen = np.flatnonzero(part.pose == pose)
        if len(chosen):
            scores[chosen] = _verify_pose(queries, references, part.take(chosen), _POSES[pose])
    return scores


def _verify_pose(
    queries: Fingerprints, references: Fingerprints, part: _Candidates, pose: tuple[int, int]
) -> Array:
    down, across = pose
    one, two = queries.take(part.first), references.take(part.second)
    first, second = one.contrast()[:, ::down, ::across], two.contrast()
    boxes = _posed_boxes(one.boxes.astype(np.float32), pose)
    warp = same_picture(boxes, two.boxes.astype(np.float32))
    warp[part.by_head] = same_head(int(part.by_head.sum()))
    scores = agreement(first, *laid_upon(second, warp))
    again = np.flatnonzero((scores < SAME_AGREEMENT) & (scores > _WORTH_REFINING))
    if len(again):
        better = refine(first[again], second[again], warp[again])
        refined = agreement(first[again], *laid_upon(second[again], better))
        scores[again] = np.maximum(scores[again], refined)
    return scores


def _posed_boxes(boxes: Array, pose: tuple[int, int]) -> Array:
    left, top, right, bottom = boxes.T
    if pose[1] < 0:
        left, right = 1 - right, 1 - left
    if pose[0] < 0:
        top, bottom = 1 - bottom, 1 - top
    return np.stack([left, top, right, bottom], axis=1)
