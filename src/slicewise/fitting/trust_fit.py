"""What a bundle is to remember of its training slices for the trust score."""

from __future__ import annotations

import numpy as np

from slicewise.arrays import Array, Ints, Strings
from slicewise.errors import EvaluationError
from slicewise.fitting.ood_fit import main_directions
from slicewise.inference.trust import TrustReference, placed, unit

RANK = 3
"""To which nearest group of a class a distance is taken: one odd patient decides nothing."""
MOST = 20_000
"""Slices that are remembered; of more, classes and then groups with many give some up."""
_DIRECTIONS = 64


def fit_neighbours(
    embeddings: Array, classes: Ints, groups: Strings, count: int, *, most: int = MOST, seed: int
) -> TrustReference:
    """Places of at most `most` training slices along the main directions of their embeddings.

    Args:
        embeddings: (N, D) of slices that the model was trained on.
        classes: (N,) index of the class of each.
        groups: (N,) leak-free unit of each.

    Raises:
        EvaluationError: A class has no slice.
    """
    missing = sorted(set(range(count)) - set(classes.tolist()))
    if missing:
        raise EvaluationError(
            f"trust score: expected training slices of {count} classes; got none of {missing}"
        )
    _, numbers = np.unique(groups, return_inverse=True)
    kept = _spread(classes, numbers, most, np.random.default_rng(seed))
    order = kept[np.lexsort((numbers[kept], classes[kept]))]
    ready = unit(embeddings)
    centre = ready.mean(axis=0)
    axes = main_directions(ready - centre, _DIRECTIONS)
    if not len(axes):  # a network to which all slices are alike: every place is 0, nothing trusted
        axes = np.eye(1, centre.size)
    # Rounded as they are stored, so that a bundle written and read again answers the same.
    centre, axes = (part.astype(np.float32).astype(np.float64) for part in (centre, axes))
    places = placed(embeddings[order], centre, axes)
    return TrustReference(
        centre=centre,
        axes=axes,
        places=places.astype(np.float16).astype(np.float64),
        classes=classes[order].astype(np.int64),
        groups=numbers[order].astype(np.int64),
        rank=np.array([RANK]),
    )


def _spread(classes: Ints, groups: Ints, most: int, rng: np.random.Generator) -> Ints:
    """Rows to keep: every class its share, and within it every group its turn."""
    shuffled = rng.permutation(classes.size)
    ordered = shuffled[np.argsort(_turns(classes[shuffled], groups[shuffled]), kind="stable")]
    rows = [ordered[classes[ordered] == k] for k in np.unique(classes)]
    kept: list[Ints] = []
    for count, mine in zip(range(len(rows), 0, -1), sorted(rows, key=len), strict=True):
        kept.append(mine[: (most - sum(map(len, kept))) // count])
    return np.asarray(np.sort(np.concatenate(kept)), dtype=np.int64)


def _turns(classes: Ints, groups: Ints) -> Ints:
    """(N,) which slice of its class of its group each is, from 0."""
    order = np.lexsort((groups, classes))
    new = (np.diff(classes[order]) != 0) | (np.diff(groups[order]) != 0)
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    sizes = np.diff(np.append(starts, classes.size))
    turns = np.empty(classes.size, dtype=np.int64)
    turns[order] = np.arange(classes.size) - np.repeat(starts, sizes)
    return turns
