"""Shares over inputs: answers to the same upload are not independent, so inputs are counted.

The share is a ratio of totals over inputs, with the variance of a ratio estimator for clusters
(Cochran 1977, section 11.3). Its interval is Wilson's with the number of independent answers that
has the same variance, less where there are few inputs (Korn & Graubard 1998), so it stays within
[0, 1] and has a width at 0 and 1.
Only sums are kept, so any number of answers can be counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slicewise.stats.intervals import Share

Z = 1.959963984540054
"""Of a 95 % interval."""

_FEW = {1: 12.706204736432095, 2: 4.302652729696142}
"""Quantiles of Student's t where the series does not hold."""


class Shares:
    """Shares of several kinds of answers over the same inputs.

    An input is a mapping from a kind to how many of its answers are of it.
    """

    def __init__(self) -> None:
        self.inputs = 0
        self.total = 0
        self._total_squared = 0
        self._hits: dict[str, _Hits] = {}

    def add(self, counts: Mapping[str, int]) -> None:
        """Count one input; one without answers is passed over."""
        total = sum(counts.values())
        if total == 0:
            return
        self.inputs += 1
        self.total += total
        self._total_squared += total * total
        for kind, hits in counts.items():
            self._hits.setdefault(kind, _Hits()).add(hits, total)

    def kinds(self) -> list[str]:
        """The kinds that were met, sorted."""
        return sorted(self._hits)

    def count(self, kind: str) -> int:
        """How many answers are of a kind."""
        return self._hits.get(kind, _Hits()).hits

    def share(self, kind: str) -> Share | None:
        """Share of answers of a kind, with a 95 % interval by inputs.

        Returns:
            None without any answer; without an interval where there is one input only.
        """
        if self.total == 0:
            return None
        hits = self._hits.get(kind, _Hits())
        share = hits.hits / self.total
        if self.inputs < 2:
            return Share(share, None, None)
        few = (Z / _student(self.inputs - 1)) ** 2
        return Share(share, *_wilson(share, few * self._independent(share, hits)))

    def _independent(self, share: float, hits: _Hits) -> float:
        """How many independent answers would make the share as certain as it is."""
        if share in (0.0, 1.0):
            return self.inputs
        squares = hits.squared - 2 * share * hits.products + share**2 * self._total_squared
        variance = self.inputs / (self.inputs - 1) * squares / self.total**2
        even = share * (1 - share)
        return min(self.total, even / variance) if variance > even / self.total else self.total


@dataclass(slots=True)
class _Hits:
    """Sums over inputs for one kind."""

    hits: int = 0
    squared: int = 0
    products: int = 0

    def add(self, hits: int, total: int) -> None:
        """Count one input."""
        self.hits += hits
        self.squared += hits * hits
        self.products += hits * total


def difference(first: Share | None, other: Share | None) -> dict[str, float] | None:
    """Other minus first, for independent shares, with a 95 % interval (Newcombe 1998, method 10).

    Returns:
        `value`, `ci_low` and `ci_high`; None where a share is missing or has no interval.
    """
    if first is None or other is None:
        return None
    a, b, c, d = first.ci_low, first.ci_high, other.ci_low, other.ci_high
    if a is None or b is None or c is None or d is None:
        return None
    gap = other.value - first.value
    below = ((other.value - c) ** 2 + (b - first.value) ** 2) ** 0.5
    above = ((d - other.value) ** 2 + (first.value - a) ** 2) ** 0.5
    return {"value": gap, "ci_low": gap - below, "ci_high": gap + above}


def _student(freedom: int) -> float:
    """Quantile of Student's t for a 95 % interval, to 1 % (Abramowitz & Stegun 1964, 26.7.5)."""
    if freedom in _FEW:
        return _FEW[freedom]
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3


def _wilson(share: float, n: float) -> tuple[float, float]:
    """Score interval of Wilson (1927) with a number of answers that need not be whole."""
    squared = Z * Z / n
    middle = (share + squared / 2) / (1 + squared)
    half = Z / (1 + squared) * (share * (1 - share) / n + squared / (4 * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
