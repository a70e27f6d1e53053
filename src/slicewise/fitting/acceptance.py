"""Selective prediction: what trust rests on, and from which score on an answer is accepted."""

from __future__ import annotations

import numpy as np

from slicewise.arrays import Array, Floats, Ints, Strings
from slicewise.errors import EvaluationError
from slicewise.fitting.ood_fit import main_directions
from slicewise.inference.rule import Acceptance
from slicewise.inference.trust import TrustReference, placed, trust_scores, unit
from slicewise.predictions.table import PredictionTable
from slicewise.stats.curves import risk_coverage

ACCEPT_TARGET = 0.99
"""Wanted share of right answers among those that are accepted."""
UNKNOWN = 0.02
"""Share of slices of a class taken out of memory that may be accepted as another one."""
RANK = 3
"""To which nearest group of a class a distance is taken: one odd patient decides nothing."""
MOST = 20_000
"""Slices that are remembered; of more, classes and then groups with many give some up."""
_DIRECTIONS = 64


def fit_acceptance(
    table: PredictionTable, target: float = ACCEPT_TARGET, unknown: float = UNKNOWN
) -> Acceptance:
    """The least trust whose answers, with all above it, were right as often as wanted.

    It is raised where more than a share `unknown` of the slices would be accepted if the model did
    not know their class. Without distances to training slices it is the least confidence, and
    nothing is asked about unknown classes; nor where there are but two.

    Args:
        target: Wanted share of right answers.

    Raises:
        EvaluationError: If the target is no share, or no limit reaches it.
    """
    if not 0 < target < 1:
        raise EvaluationError(f"target: expected a share in (0, 1); got {target}")
    score = table.scored_by
    curve = risk_coverage(table.sureness, table.predicted == table.targets)
    of_unknown = unknown_trust(table)
    least = 0.0 if of_unknown is None else float(np.quantile(of_unknown, 1 - unknown))
    reached = np.flatnonzero(1 - curve.risk >= target)
    strict = np.flatnonzero(curve.sureness >= least)
    if reached.size == 0:
        raise EvaluationError(
            f"acceptance: no {score} reaches {target:g} right answers among {table.n} slices"
        )
    if strict.size == 0:
        raise EvaluationError(
            f"acceptance: no answer has more {score} than slices of unknown classes would have"
        )
    index = int(min(reached[-1], strict[-1]))
    limit = float(curve.sureness[index])
    return Acceptance.model_validate(
        {
            score: limit,
            "target": target,
            "accuracy": float(1 - curve.risk[index]),
            "coverage": float(curve.coverage[index]),
            "unknown": None if of_unknown is None else float(np.mean(of_unknown >= limit)),
            "n": table.n,
            "groups": table.n_groups,
        }
    )


def unknown_trust(table: PredictionTable) -> Floats | None:
    """(N,) trust that each slice would find among the other classes, its own taken away.

    The network has learnt from that class, so a class that it never saw would find more. None
    without distances, and where fewer than two other classes are left.
    """
    if table.class_distances is None or len(table.classes) < 3:
        return None
    own = np.arange(table.n), table.targets
    shares, distances = table.probabilities(), table.class_distances.copy()
    shares[own], distances[own] = -1.0, np.inf
    return trust_scores(distances, shares.argmax(axis=1))


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
    _, pairs = np.unique(np.stack([classes, groups]), axis=1, return_inverse=True)
    order = np.argsort(pairs, kind="stable")
    turns = np.empty(classes.size, dtype=np.int64)
    turns[order] = np.arange(classes.size) - np.searchsorted(pairs[order], pairs[order])
    return turns
