"""Intervals that respect groups: whole groups are drawn with replacement, never single slices.

Slices of one patient resemble each other (Field & Welsh 2007, the cluster bootstrap). Intervals are
percentiles of the resampled values; resamples that do not differ give no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Floats, Ints, Names
from slicewise.errors import EvaluationError

Quantity = Callable[[Ints], float]
"""Takes slice indices, gives a number; raises EvaluationError where it is undefined."""
Key = tuple[str, ...]
"""Where a quantity stands in the report, such as `("tumor", "auroc")`."""
MINIMUM_DEFINED = 0.5
"""Share of the resamples in which a quantity must be defined before an interval is given."""
NO_SPREAD = "the resamples of groups do not differ; no interval given"
"""Why a figure has no interval: every group says the same, or only one group says anything."""
ROUNDING = 1e-12
"""Ends of an interval no further apart than this differ by rounding alone."""
BLOCK = 1_000_000
"""Group indices drawn at once: 8 MB."""


class Margin(NamedTuple):
    """How much further than its resamples a quantity may reach; `alone` where none can differ."""

    below: float
    above: float
    alone: bool


@runtime_checkable
class Bounded(Protocol):
    """A quantity in [0, 1] that knows where all slices agree, so that no resample can differ."""

    def __call__(self, indices: Ints, /) -> float: ...

    def margin(self, groups: Names, level: float) -> Margin: ...


_NO_MARGIN = Margin(0.0, 0.0, alone=False)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its interval, or the reason for none; `skipped` resamples did not define it."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None
    skipped: int = 0

    def as_json(self) -> dict[str, float | str | int | None]:
        """Fields for a JSON file; `reason` and `skipped` only where they say something."""
        row = asdict(self)
        if self.reason is None:
            del row["reason"]
        if not self.skipped:
            del row["skipped"]
        return row


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are made.

    Args:
        level: Coverage of the interval, in (0, 1).
        stratified: Draw the groups of each class apart, for class mixes that were chosen rather
            than met. Classes of one group are drawn together (see `draw_groups`).
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


def draw_groups(n_groups: int, strata: ArrayLike, resamples: int, seed: int) -> Iterator[Ints]:
    """Draw groups with replacement, each stratum apart.

    Strata of one group would never vary, so they are drawn as one stratum together; a single one
    joins the smallest other stratum (collapsed strata: Cochran, Sampling Techniques 1977, 5A.12).

    Args:
        strata: (G,) the stratum of each group; all alike for a plain bootstrap.

    Yields:
        (G,) group indices, one array a resample; a few are held in memory at a time.

    Raises:
        EvaluationError: If there is not one stratum a group.
    """
    names = np.asarray(strata)
    if names.shape != (n_groups,) or n_groups == 0:
        raise EvaluationError(f"strata: expected shape ({n_groups},), G >= 1; got {names.shape}")
    members = _collapsed([np.flatnonzero(names == stratum) for stratum in np.unique(names)])
    blocks = block_sizes(n_groups, resamples)
    generators = _generators(members, blocks, seed)
    for block in blocks:
        drawn = [
            own[generator.integers(own.size, size=(block, own.size))]
            for own, generator in zip(members, generators, strict=True)
        ]
        yield from np.concatenate(drawn, axis=1)


def group_intervals(
    quantities: Mapping[Key, Quantity], groups: Names, strata: ArrayLike, bootstrap: Bootstrap
) -> dict[Key, Estimate]:
    """Value and interval of several quantities, in their order, all from the same resamples.

    Args:
        groups: (N,) group of each slice, a name or number.
        strata: (N,) class of each slice; used where the bootstrap is stratified. A group that
            holds several classes is a stratum of its own kind.

    Raises:
        EvaluationError: If `groups` is empty or `strata` does not fit it.
    """
    rows = _rows_by_group(groups)
    kinds = _group_strata(rows, groups, strata, bootstrap.stratified)
    values = {
        key: _defined(quantity, np.arange(groups.size)) for key, quantity in quantities.items()
    }
    defined = {key: value for key, value in values.items() if isinstance(value, float)}
    margin = {
        key: quantity.margin(groups, bootstrap.level)
        if isinstance(quantity := quantities[key], Bounded)
        else _NO_MARGIN
        for key in defined
    }
    samples: dict[Key, list[float]] = {key: [] for key, own in margin.items() if not own.alone}
    for indices in _resamples(rows, kinds, bootstrap):
        for key, sample in samples.items():
            drawn = _defined(quantities[key], indices)
            if isinstance(drawn, float):
                sample.append(drawn)
    return {
        key: Estimate(None, reason=value)
        if isinstance(value, str)
        else _estimate(value, margin[key], np.array(samples.get(key, [])), len(rows), bootstrap)
        for key, value in values.items()
    }


def block_sizes(n_groups: int, resamples: int) -> list[int]:
    """How many resamples are drawn at once, so that few are held in memory."""
    rows = max(1, BLOCK // n_groups)
    return [min(rows, resamples - done) for done in range(0, resamples, rows)]


def percentile_ends(samples: Floats, level: float) -> tuple[float, float] | None:
    """Percentiles of (R,) resampled values that hold the `level`; None where they do not differ."""
    low, high = np.quantile(samples, [(1 - level) / 2, 1 - (1 - level) / 2])
    return None if high - low <= ROUNDING else (float(low), float(high))


def _collapsed(members: Sequence[Ints]) -> list[Ints]:
    """Strata of at least two groups each, where there are two groups at all."""
    large = [own for own in members if own.size > 1]
    alone = [own for own in members if own.size == 1]
    if len(alone) == 1 and large:
        alone.append(large.pop(int(np.argmin([own.size for own in large]))))
    return [*large, np.sort(np.concatenate(alone))] if alone else large


def _generators(
    members: Sequence[Ints], blocks: Sequence[int], seed: int
) -> list[np.random.Generator]:
    """One a stratum, each where drawing the strata before it as a whole would have led."""
    generator = np.random.default_rng(seed)
    found = [deepcopy(generator)]
    for own in members[:-1]:
        for block in blocks:
            generator.integers(own.size, size=(block, own.size))
        found.append(deepcopy(generator))
    return found


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
    try:
        return float(quantity(indices))
    except EvaluationError as undefined:
        return str(undefined)


def _estimate(
    value: float, margin: Margin, samples: Floats, n_groups: int, bootstrap: Bootstrap
) -> Estimate:
    if n_groups < 2:
        return Estimate(value, reason="an interval needs at least 2 groups; got 1")
    if margin.alone:
        return Estimate(value, max(0.0, value - margin.below), min(1.0, value + margin.above))
    skipped = bootstrap.resamples - samples.size
    if samples.size < MINIMUM_DEFINED * bootstrap.resamples:
        reason = f"undefined in {skipped} of {bootstrap.resamples} resamples; no interval given"
        return Estimate(value, reason=reason, skipped=skipped)
    ends = percentile_ends(samples, bootstrap.level)
    if ends is None:
        return Estimate(value, reason=NO_SPREAD, skipped=skipped)
    if margin.below or margin.above:
        ends = max(0.0, ends[0] - margin.below), min(1.0, ends[1] + margin.above)
    return Estimate(value, *ends, skipped=skipped)
