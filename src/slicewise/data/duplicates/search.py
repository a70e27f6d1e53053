"""Copies among slices: exact ones, and near ones that were mirrored, turned, resized or retouched.

Two steps. Candidates are pairs whose local contrast correlates, in the frame of the picture or of
the head, in one of four poses (as is, mirrored, turned by 180 degrees, both). Each candidate is
then laid upon its partner and compared in fine detail (`agreement`), which copies pass and
neighbouring slices of one patient do not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array, Bools, Ints
from slicewise.data.duplicates.agreement import SAME_AGREEMENT, verified
from slicewise.data.duplicates.fingerprint import SIDE, Fingerprints, blur, interpolation
from slicewise.data.groups import UnionFind
from slicewise.progress import Progress

POSES = ((1, 1), (1, -1), (-1, -1), (-1, 1))
"""Row and column direction: as is, mirrored, turned by 180 degrees, both."""
CORRELATION = 0.80

CANDIDATE = np.dtype(
    [("first", np.int64), ("second", np.int64), ("correlation", np.float32),
     ("pose", np.int64), ("by_head", np.bool_)]
)  # fmt: skip
"""A pair that may be copies: index among the queries and among the references, correlation of
coarse contrast, index into `POSES` of how the query is turned, and whether heads were compared or
else whole pictures."""
Candidates = NDArray[Any]
"""(P,) of `CANDIDATE`."""
Parts = Array
"""(4, N, D / 4): the even and odd parts of N pictures of an even side."""

_PICTURE_SIDE = 32
_HEAD_SIDE = 24
_SMOOTHING = 1.05
_QUERIES = 512
_VIEWED = 2048
_PAIRS = 512


@dataclass(frozen=True, slots=True)
class Pair:
    """Two slices, by index, that show the same picture; their agreement is in (0, 1].

    What was told, and not measured, has an agreement of 1.
    """

    first: int
    second: int
    agreement: float
    exact: bool
    told: bool = False


def find_pairs(
    prints: Fingerprints,
    progress: Progress | None = None,
    copies: Sequence[Hashable | None] = (),
    apart: Bools | None = None,
) -> list[Pair]:
    """Pairs that connect every group of copies within one collection.

    Enough to span each group: what is connected already is not compared again.

    Args:
        copies: (N,) equal names for slices that are told to be copies; None for those of which
            nothing is told. Empty where nothing is told of any.
        apart: (N,) slices of which all copies among each other are told: they are compared with the
            others only.
    """
    sets = UnionFind(len(prints))
    pairs = [
        *_joined(sets, [digest.tobytes() for digest in prints.digests], exact=True),
        *_joined(sets, copies, exact=False),
    ]
    _, distinct = np.unique(prints.digests, axis=0, return_index=True)
    found = _open_candidates(prints, np.sort(distinct), apart, progress)
    for part in likeliest_first(found, progress):
        ends = [part[side].tolist() for side in ("first", "second")]
        unlike = [sets.root(one) != sets.root(two) for one, two in zip(*ends, strict=True)]
        open_pairs = part[np.array(unlike, dtype=bool)]
        scores = _agreements(prints, prints, open_pairs)
        for index in np.flatnonzero(scores >= SAME_AGREEMENT):
            one, two = sorted(int(open_pairs[side][index]) for side in ("first", "second"))
            if sets.join(one, two):
                pairs.append(Pair(one, two, float(scores[index]), False))
    return pairs


def _joined(sets: UnionFind, names: Sequence[Hashable | None], *, exact: bool) -> Iterator[Pair]:
    """Joins slices of equal names, each with the first."""
    first: dict[Hashable, int] = {}
    for later, name in enumerate(names):
        if name is not None and sets.join(earlier := first.setdefault(name, later), later):
            yield Pair(earlier, later, 1.0, exact, told=not exact)


def _open_candidates(
    prints: Fingerprints, distinct: Ints, apart: Bools | None, progress: Progress | None
) -> Candidates:
    """Candidates among the distinct slices, by index, but for pairs of those that stay apart."""
    known = np.zeros(len(prints), dtype=np.bool_) if apart is None else apart
    queries, told = distinct[~known[distinct]], distinct[known[distinct]]
    parts = [np.zeros(0, dtype=CANDIDATE)]
    for references in (None, told):
        if len(queries) and (references is None or len(references)):
            others = None if references is None else prints.take(references)
            found = find_candidates(prints.take(queries), others, progress)
            found["first"] = queries[found["first"]]
            found["second"] = (queries if references is None else references)[found["second"]]
            parts.append(found)
    return np.concatenate(parts)


def match(
    queries: Fingerprints, references: Fingerprints, progress: Progress | None = None
) -> list[Ints]:
    """For each query, the indices of the references that are copies of it, ascending."""
    by_digest: dict[bytes, list[int]] = {}
    for index, digest in enumerate(references.digests):
        by_digest.setdefault(digest.tobytes(), []).append(index)
    hits = [set(by_digest.get(digest.tobytes(), ())) for digest in queries.digests]
    found = find_candidates(queries, references, progress)
    for part in likeliest_first(found, progress):
        same = part[_agreements(queries, references, part) >= SAME_AGREEMENT]
        for query, reference in zip(same["first"].tolist(), same["second"].tolist(), strict=True):
            hits[query].add(reference)
    return [np.array(sorted(own), dtype=np.int64) for own in hits]


def find_candidates(
    queries: Fingerprints, references: Fingerprints | None, progress: Progress | None
) -> Candidates:
    """Pairs whose coarse contrast correlates; of each pair its best pose and frame.

    Without references the queries are compared among themselves.
    """
    asked = _views(queries)
    known = asked if references is None else _views(references)
    parts = [np.zeros(0, dtype=CANDIDATE)]
    for start in range(0, len(queries), _QUERIES):
        stop = min(start + _QUERIES, len(queries))
        first_known = start if references is None else 0
        found = np.concatenate([
            _correlated(one[:, start:stop], two[:, first_known:], by_head=by_head)
            for one, two, by_head in zip(asked, known, (False, True), strict=True)
        ])  # fmt: skip
        found["first"] += start
        found["second"] += first_known
        if references is None:
            found = found[found["first"] < found["second"]]
        found = found[np.lexsort((-found["correlation"], found["second"], found["first"]))]
        best = np.ones(len(found), dtype=bool)
        best[1:] = (np.diff(found["first"]) != 0) | (np.diff(found["second"]) != 0)
        parts.append(found[best])
        if progress:
            progress("comparing", stop, len(queries))
    return np.concatenate(parts)


def likeliest_first(found: Candidates, progress: Progress | None) -> Iterator[Candidates]:
    """Candidates by falling correlation, 512 at a time."""
    ordered = found[np.argsort(-found["correlation"], kind="stable")]
    for start in range(0, len(ordered), _PAIRS):
        stop = min(start + _PAIRS, len(ordered))
        yield ordered[start:stop]
        if progress:
            progress("verifying", stop, len(ordered))


def _agreements(queries: Fingerprints, references: Fingerprints, part: Candidates) -> Array:
    """(P,) agreement in fine detail of each candidate pair."""
    scores = np.zeros(len(part), dtype=np.float32)
    for index, pose in enumerate(POSES):
        chosen = np.flatnonzero(part["pose"] == index)
        if len(chosen):
            own = part[chosen]
            one, two = queries.take(own["first"]), references.take(own["second"])
            scores[chosen] = verified(one, two, pose, own["by_head"])
    return scores


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
        found = np.zeros(len(one), dtype=CANDIDATE)
        found["first"], found["second"], found["correlation"] = one, two, similar[one, two]
        found["pose"], found["by_head"] = pose, by_head
        parts.append(found)
    return np.concatenate(parts)


def _signed_sum(products: list[Array], signs: tuple[int, ...]) -> Array:
    total = products[0].copy()
    for product, sign in zip(products[1:], signs[1:], strict=True):
        (np.add if sign > 0 else np.subtract)(total, product, out=total)
    return total


def _views(prints: Fingerprints) -> tuple[Parts, Parts]:
    """Whole pictures and heads; made of some slices at a time, which bounds the memory."""
    starts = range(0, max(len(prints), 1), _VIEWED)
    blocks = [prints.take(np.arange(at, min(at + _VIEWED, len(prints)))) for at in starts]
    pictures = [_parts(_coarse_picture(block)) for block in blocks]
    heads = [_parts(_coarse_head(block)) for block in blocks]
    return np.concatenate(pictures, axis=1), np.concatenate(heads, axis=1)


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
