"""Main directions of numbers that belong together."""

from __future__ import annotations

import numpy as np

from slicewise.arrays import Floats

_LEAST = 1e-6
"""Share of the greatest spread below which a direction is chance."""


def main_directions(apart: Floats, most: int) -> Floats:
    """(P, D) orthogonal directions, the widest first: as many as asked for and as there are.

    Args:
        apart: (N, D) numbers less their mean.
        most: How many at most.
    """
    _, length, main = np.linalg.svd(apart, full_matrices=False)
    return np.asarray(main[: min(most, int(np.sum(length > _LEAST * length[0])))])
