"""What training slices say of a score: those among the evaluated, and what copying would score.

A slice counts as seen where it, or a copy (another size, format, brightness, mirrored or turned),
has a fingerprint in the bundle: a score on it says how well the model remembers. The copying
baseline learns nothing: where it is high, the split holds near copies of training slices.
"""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Array, Bools
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.duplicates.neighbour import nearest
from slicewise.data.duplicates.search import match
from slicewise.errors import EvaluationError
from slicewise.inference.bundle import SEEN_NAME, Bundle


class SeenCheck(NamedTuple):
    """(N,) whether a slice has a duplicate among training slices, and what was looked through."""

    seen: Bools
    described: str
    checked: bool = True


def find_seen(bundle: Bundle, slices: Fingerprints) -> SeenCheck:
    """Duplicates of slices among those trained on; `ManifestError` for an unknown format."""
    if SEEN_NAME not in bundle.files:
        unknown = f"not checked: bundle {bundle.info.name} holds no {SEEN_NAME}"
        return SeenCheck(np.zeros(len(slices), dtype=np.bool_), unknown, checked=False)
    training = Fingerprints.load(BytesIO(bundle.files[SEEN_NAME]), SEEN_NAME)
    seen = np.array([len(found) > 0 for found in match(slices, training)], dtype=np.bool_)
    return SeenCheck(seen, f"compared with the {len(training)} training slices of the bundle")


def neighbour_correct(
    queries: Array, query_labels: ArrayLike, references: Array, reference_labels: ArrayLike
) -> Bools:
    """(N,) whether the nearest training slice has the same label; its mean is the 1-NN accuracy.

    `queries` are (N, D) thumbnails, `references` (M, D), M > 0; else an `EvaluationError`.
    """
    labels, known = np.asarray(query_labels), np.asarray(reference_labels)
    if labels.shape != queries.shape[:1] or known.shape != references.shape[:1]:
        raise EvaluationError(
            f"labels: expected shapes {queries.shape[:1]} and {references.shape[:1]}; "
            f"got {labels.shape} and {known.shape}"
        )
    found = nearest(queries, references)
    return np.asarray((found >= 0) & (known[found] == labels), dtype=np.bool_)
