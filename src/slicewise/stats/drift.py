"""How far two sets of groups differ in a quantity, and whether chance explains it.

The population stability index (Siddiqi 2006) over bins, with a permutation test of whole groups:
slices of one scan resemble each other, so they move together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slicewise.arrays import Floats, Ints

BINS = 10
PERMUTATIONS = 1000
SEED = 42
_CHUNK = 100


def stability_index(reference: Floats, recent: Floats, size: tuple[int, int]) -> Floats:
    """(...) population stability index of (..., B) shares that sum to 1; 0 where both are alike.

    Half a group is added to every bin of both, so that an empty bin is no infinity; `size` are the
    groups behind each.
    """
    bins = reference.shape[-1]
    one, other = (
        (shares * n + 0.5) / (n + 0.5 * bins)
        for shares, n in zip((reference, recent), size, strict=True)
    )
    return np.asarray(np.sum((other - one) * np.log(other / one), axis=-1))


def permutation_test(shares: Floats, split: int) -> tuple[float, float]:
    """Stability index of two sets of groups, and how often dealing them at random gives as much.

    Args:
        shares: (G, B) share of each group in each bin; the groups of the first set come first.
        split: How many groups the first set has.
    """
    total = len(shares)

    def index_of(first: Floats) -> Floats:
        """Index of splits, by (R, B) sums over the groups dealt to the first set."""
        rest = shares.sum(axis=0) - first
        size = split, total - split
        return stability_index(first / size[0], rest / size[1], size)

    observed = float(index_of(shares[:split].sum(axis=0)[None])[0])
    rng = np.random.default_rng(SEED)
    reached = 0
    for _ in range(PERMUTATIONS // _CHUNK):
        chosen = rng.random((_CHUNK, total)).argpartition(split - 1, axis=1)[:, :split]
        dealt = np.zeros((_CHUNK, total))
        np.put_along_axis(dealt, chosen, 1.0, axis=1)
        reached += int(np.sum(index_of(dealt @ shares) >= observed - 1e-12))
    return observed, (reached + 1) / (PERMUTATIONS + 1)


def holm(chances: Sequence[float | None]) -> list[float | None]:
    """Chances corrected for having looked at so many (Holm 1979); None stays None."""
    known = [i for i, chance in enumerate(chances) if chance is not None]
    order = sorted(known, key=lambda i: chances[i] or 0.0)
    corrected: list[float | None] = [None] * len(chances)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (chances[i] or 0.0) * (len(known) - rank)))
        corrected[i] = highest
    return corrected


def bin_limits(values: Floats) -> Floats:
    """(B + 1,) limits of at most ten bins [a, b) that hold about as many of (N,) values each."""
    quantiles = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1), method="lower"))
    return np.append(quantiles[:-1], np.nextafter(quantiles[-1], np.inf))


def shares_by_group(groups: Ints, bins: Ints | Sequence[int], count: int) -> Floats:
    """(G, `count`) share of each group in each bin; (N,) `groups` and `bins` are of values."""
    _, number = np.unique(groups, return_inverse=True)
    counts = np.zeros((int(number.max()) + 1, count))
    np.add.at(counts, (number, np.asarray(bins)), 1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def median_by_group(values: Floats, groups: Ints) -> float:
    """Median of (N,) values in which every group weighs the same, however many it has."""
    _, number, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    weight = np.cumsum((1 / counts[number])[order])
    middle = weight[-1] / 2 * np.array([1 - 1e-9, 1 + 1e-9])  # two values where it falls between
    return float(values[order][np.searchsorted(weight, middle)].mean())
