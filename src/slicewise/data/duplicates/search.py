"""Copies among slices: exact ones, and near ones that were mirrored, turned, resized or retouched.

Two steps. Candidates are pairs whose local contrast correlates, in the frame of the picture or of
the head, in one of four poses (as is, mirrored, turned by 180 degrees, both). Each candidate is
then laid upon its partner and compared in fine detail (`agreement`), which copies pass and
neighbouring slices of one patient do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Array, Ints
from slicewise.data.build.clusters import UnionFind
from slicewise.data.duplicates.agreement import (
    agreement,
    laid_upon,
    refine,
    same_head,
    same_picture,
)
from slicewise.data.duplicates.candidates import (
    POSES,
    Candidates,
    find_candidates,
    likeliest_first,
)
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.progress import Progress

SAME_AGREEMENT = 0.75
"""No two slices of Figshare folds 1 and 2 are joined; docs/data.md tells how it was chosen."""
_WORTH_REFINING = 0.2


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
    found = find_candidates(chosen, None, progress)
    for part in likeliest_first(found, progress):
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
    found = find_candidates(queries, references, progress)
    for part in likeliest_first(found, progress):
        same = part.take(_verify(queries, references, part) >= SAME_AGREEMENT)
        for query, reference in zip(same.first.tolist(), same.second.tolist(), strict=True):
            hits[query].add(reference)
    return [np.array(sorted(found_for), dtype=np.int64) for found_for in hits]


def _equal_pixels(prints: Fingerprints) -> Iterator[tuple[int, int]]:
    seen: dict[bytes, int] = {}
    for index, digest in enumerate(prints.digests):
        earlier = seen.setdefault(digest.tobytes(), index)
        if earlier != index:
            yield earlier, index


def _verify(queries: Fingerprints, references: Fingerprints, part: Candidates) -> Array:
    """(P,) agreement of each candidate pair, refined where it is worth it."""
    scores = np.zeros(len(part), dtype=np.float32)
    for pose in range(len(POSES)):
        chosen = np.flatnonzero(part.pose == pose)
        if len(chosen):
            scores[chosen] = _verify_pose(queries, references, part.take(chosen), POSES[pose])
    return scores


def _verify_pose(
    queries: Fingerprints, references: Fingerprints, part: Candidates, pose: tuple[int, int]
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
