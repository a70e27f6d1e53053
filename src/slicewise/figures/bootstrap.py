"""Intervals that respect groups: whole groups are drawn with replacement, never single slices.

Slices of one patient resemble each other, so an interval from resampled slices is too narrow
(Field & Welsh 2007, the cluster bootstrap). Intervals are percentiles of the resampled values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicewise.errors import EvaluationError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[Any]

Quantity = Callable[[Ints], float]
"""Takes slice indices, gives a number; raises EvaluationError where it is undefined."""

Key = tuple[str, ...]
"""Where a quantity stands in the report, such as `("tumor", "auroc")`."""

MINIMUM_DEFINED = 0.5
"""Share of the resamples in which a quantity must be defined before an interval is given."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where undefined, and then the reason.

    Args:
        value: On all slices.
        ci_low: Lower end of the interval.
        ci_high: Upper end of the interval.
        reason: Why something is None.
        skipped: Resamples left out because the quantity was undefined in them.
    """

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None
    skipped: int = 0

    def as_json(self) -> dict[str, float | str | int | None]:
        """Fields for a JSON file; `reason` and `skipped` only where they say something."""
        row: dict[str, float | str | int | None] = {
            "value": self.value,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
        }
        if self.reason is not None:
            row["reason"] = self.reason
        if self.skipped:
            row["skipped"] = self.skipped
        return row


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are made.

    Args:
        resamples: How often the groups are drawn.
        level: Coverage of the interval, in (0, 1).
        seed: Of the random draws; the same seed gives the same interval.
        stratified: Draw the groups of each class apart, so that every resample has as many groups
            of each as there are. For class mixes that were chosen rather than met.
    """

    resamples: int = 1000
    level: float = 0.95
    seed: int = 42
    stratified: bool = False

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        if self.resamples < 1 or not 0 < self.level < 1:
            raise EvaluationError(
                "bootstrap: expected resamples >= 1 and a level in (0, 1); "
                f"got {self.resamples} and {self.level}"
            )


def draw_groups(n_groups: int, strata: ArrayLike, resamples: int, seed: int) -> Ints:
    """Draw groups with replacement, each stratum apart.

    Args:
        n_groups: How many groups there are.
        strata: (G,) the stratum of each group; all alike for a plain bootstrap.
        resamples: How many resamples to draw.
        seed: Of the random draws.

    Returns:
        (resamples, G) group indices.

    Raises:
        EvaluationError: If there is not one stratum a group.
    """
    names = np.asarray(strata)
    if names.shape != (n_groups,) or n_groups == 0:
        raise EvaluationError(f"strata: expected shape ({n_groups},), G >= 1; got {names.shape}")
    generator = np.random.default_rng(seed)
    drawn = []
    for stratum in np.unique(names):
        members = np.flatnonzero(names == stratum)
        drawn.append(members[generator.integers(members.size, size=(resamples, members.size))])
    return np.concatenate(drawn, axis=1).astype(np.int64)


def group_intervals(
    quantities: Mapping[Key, Quantity], groups: Names, strata: ArrayLike, bootstrap: Bootstrap
) -> dict[Key, Estimate]:
    """Value and interval of several quantities, all from the same resamples.

    Args:
        quantities: Name to function of slice indices.
        groups: (N,) group of each slice, a name or number.
        strata: (N,) class of each slice; used where the bootstrap is stratified. A group that
            holds several classes is a stratum of its own kind.
        bootstrap: How to resample.

    Returns:
        Name to estimate, in the order given.

    Raises:
        EvaluationError: If `groups` is empty or `strata` does not fit it.
    """
    rows = _rows_by_group(groups)
    kinds = _group_strata(rows, groups, strata, bootstrap.stratified)
    values = {
        key: _defined(quantity, np.arange(groups.size)) for key, quantity in quantities.items()
    }
    samples: dict[Key, list[float]] = {
        key: [] for key, value in values.items() if isinstance(value, float)
    }
    for indices in _resamples(rows, kinds, bootstrap):
        for key, sample in samples.items():
            drawn = _defined(quantities[key], indices)
            if isinstance(drawn, float):
                sample.append(drawn)
    return {
        key: Estimate(None, reason=value)
        if isinstance(value, str)
        else _estimate(value, np.array(samples[key]), len(rows), bootstrap)
        for key, value in values.items()
    }


def _rows_by_group(groups: Names) -> list[Ints]:
    if groups.ndim != 1 or groups.size == 0:
        raise EvaluationError(f"groups: expected shape (N,), not empty; got {groups.shape}")
    _, index, size = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(index, kind="stable")
    return np.split(order, np.cumsum(size)[:-1])


def _group_strata(
    rows: list[Ints], groups: Names, strata: ArrayLike, stratified: bool
) -> list[str]:
    labels = np.asarray(strata)
    if labels.shape != groups.shape:
        raise EvaluationError(f"strata: expected shape {groups.shape}; got {labels.shape}")
    if not stratified:
        return ["all"] * len(rows)
    return ["+".join(str(label) for label in np.unique(labels[members])) for members in rows]


def _resamples(rows: list[Ints], strata: list[str], bootstrap: Bootstrap) -> Iterator[Ints]:
    """Slice indices of each resample: the members of the groups drawn, one group after another."""
    if len(rows) < 2:
        return
    members = np.concatenate(rows)
    sizes = np.array([group.size for group in rows])
    starts = np.cumsum(sizes) - sizes
    for chosen in draw_groups(len(rows), strata, bootstrap.resamples, bootstrap.seed):
        drawn = sizes[chosen]
        shift = np.repeat(starts[chosen] - (np.cumsum(drawn) - drawn), drawn)
        yield members[shift + np.arange(shift.size)]


def _defined(quantity: Quantity, indices: Ints) -> float | str:
    """The value, or why there is none."""
    try:
        return float(quantity(indices))
    except EvaluationError as undefined:
        return str(undefined)


def _estimate(value: float, samples: Floats, n_groups: int, bootstrap: Bootstrap) -> Estimate:
    if n_groups < 2:
        return Estimate(value, reason="an interval needs at least 2 groups; got 1")
    skipped = bootstrap.resamples - samples.size
    if samples.size < MINIMUM_DEFINED * bootstrap.resamples:
        reason = f"undefined in {skipped} of {bootstrap.resamples} resamples; no interval given"
        return Estimate(value, reason=reason, skipped=skipped)
    tail = (1 - bootstrap.level) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), skipped=skipped)
