"""How much a quantity has changed between two windows, and whether chance explains it.

The population stability index (Siddiqi 2006) over bins, with a permutation test of whole uploads:
slices of one scan resemble each other, so they move together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from slicewise.arrays import Floats, Ints
from slicewise.service.monitoring.windows import Window

WATCH, ALERT = 0.1, 0.25
"""The customary limits of the index: a moderate change, and a large one."""

LEVEL = 0.05
"""Chance of a false alarm in one report, over all its quantities together."""

BINS = 10
PERMUTATIONS = 1000
SEED = 42
_CHUNK = 100

Kind = Literal["number", "levels", "words"]
State = Literal["steady", "watch", "alert", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One quantity in both windows.

    Args:
        name: Of the quantity.
        kind: A number, a number with few levels such as rows, or words.
        bins: (B + 1,) limits of bins [a, b), or the B levels or words.
        reference: (B,) share of the reference in each bin; uploads weigh the same.
        recent: (B,) the same of the recent window.
        index: Population stability index; None where a window has no value.
        chance: How often uploads dealt at random differ as much, corrected for all quantities.
        state: What follows.
        typical: Median in both windows; None for words.
    """

    name: str
    kind: Kind
    bins: tuple[float, ...] | tuple[str, ...]
    reference: Floats
    recent: Floats
    index: float | None
    chance: float | None
    state: State
    typical: tuple[float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Shares by upload: (U, B) rows that sum to 1, the uploads of the reference first."""

    name: str
    kind: Kind
    bins: tuple[float, ...] | tuple[str, ...]
    shares: Floats
    split: int
    typical: tuple[float, float] | None


def changes(reference: Window, recent: Window) -> list[Change]:
    """Every quantity of either window, numbers first; one that a window lacks is unknown."""
    names = dict.fromkeys([*reference.numbers, *recent.numbers])
    tables = [_number_table(name, reference, recent) for name in names]
    tables += [_word_table(name, reference, recent) for name in reference.words]
    found = [_tested(table) for table in tables]
    corrected = holm([chance for _, chance in found])
    return [
        _change(table, index, chance)
        for table, (index, _), chance in zip(tables, found, corrected, strict=True)
    ]


def stability_index(reference: Floats, recent: Floats, size: tuple[int, int]) -> Floats:
    """Population stability index; 0 where both are alike.

    Half an upload is added to every bin of both, so that an empty bin is no infinity.

    Args:
        reference: (..., B) shares that sum to 1.
        recent: (..., B) shares that sum to 1.
        size: Uploads behind each.
    """
    bins = reference.shape[-1]
    one, other = (
        (shares * n + 0.5) / (n + 0.5 * bins)
        for shares, n in zip((reference, recent), size, strict=True)
    )
    return np.asarray(np.sum((other - one) * np.log(other / one), axis=-1))


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
    """(B + 1,) limits of bins [a, b) that hold about as many values each.

    Args:
        values: (N,) finite values of both windows together.
    """
    quantiles = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1), method="lower"))
    return np.append(quantiles[:-1], np.nextafter(quantiles[-1], np.inf))


def _number_table(name: str, reference: Window, recent: Window) -> _Table:
    both = [w.numbers.get(name, np.full(w.answers, np.nan)) for w in (reference, recent)]
    known = [np.isfinite(values) for values in both]
    uploads = [w.upload[k] for w, k in zip((reference, recent), known, strict=True)]
    values = [v[k] for v, k in zip(both, known, strict=True)]
    if not (values[0].size and values[1].size):
        return _Table(name, "number", (), np.zeros((0, 0)), 0, None)
    levels = np.unique(np.concatenate(values))
    few = levels.size <= BINS
    bins = levels if few else bin_limits(np.concatenate(values))
    count = bins.size if few else bins.size - 1
    parts = [
        _shares(upload, np.searchsorted(bins, v, side="right") - 1, count)
        for upload, v in zip(uploads, values, strict=True)
    ]
    typical = (_median(values[0], uploads[0]), _median(values[1], uploads[1]))
    kind: Kind = "levels" if few else "number"
    shares = np.concatenate(parts)
    return _Table(name, kind, tuple(map(float, bins)), shares, len(parts[0]), typical)


def _median(values: Floats, upload: Ints) -> float:
    """Median in which every upload weighs the same, however many slices it has."""
    _, number, counts = np.unique(upload, return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    weight = np.cumsum((1 / counts[number])[order])
    middle = weight[-1] / 2 * np.array([1 - 1e-9, 1 + 1e-9])  # two values where it falls between
    return float(values[order][np.searchsorted(weight, middle)].mean())


def _word_table(name: str, reference: Window, recent: Window) -> _Table:
    windows = (reference, recent)
    words = sorted({word for w in windows for some in w.words[name] for word in some})
    if not all(w.answers for w in windows):
        return _Table(name, "words", (), np.zeros((0, 0)), 0, None)
    place = {word: i for i, word in enumerate(words)}
    parts = []
    for window in windows:
        told = window.words[name]
        upload = np.repeat(window.upload, [len(some) for some in told])
        parts.append(_shares(upload, [place[w] for some in told for w in some], len(words)))
    return _Table(name, "words", tuple(words), np.concatenate(parts), len(parts[0]), None)


def _shares(upload: Ints, bins: Ints | Sequence[int], count: int) -> Floats:
    """(U, B): which share of each upload lies in which bin; uploads without any are left out."""
    _, number = np.unique(upload, return_inverse=True)
    counts = np.zeros((int(number.max()) + 1, count))
    np.add.at(counts, (number, np.asarray(bins)), 1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _tested(table: _Table) -> tuple[float | None, float | None]:
    """The index, and how often dealing the uploads at random gives as much."""
    total, split = len(table.shares), table.split
    if not total:
        return None, None
    size = (split, total - split)
    observed = float(_index_of(table.shares[:split].sum(axis=0)[None], table, size)[0])
    rng = np.random.default_rng(SEED)
    reached = 0
    for _ in range(PERMUTATIONS // _CHUNK):
        chosen = rng.random((_CHUNK, total)).argpartition(split - 1, axis=1)[:, :split]
        dealt = np.zeros((_CHUNK, total))
        np.put_along_axis(dealt, chosen, 1.0, axis=1)
        indices = _index_of(dealt @ table.shares, table, size)
        reached += int(np.sum(indices >= observed - 1e-12))
    return observed, (reached + 1) / (PERMUTATIONS + 1)


def _index_of(first: Floats, table: _Table, size: tuple[int, int]) -> Floats:
    """Index of splits given by (R, B) sums over the uploads dealt to the reference."""
    rest = table.shares.sum(axis=0) - first
    return stability_index(first / size[0], rest / size[1], size)


def _change(table: _Table, index: float | None, chance: float | None) -> Change:
    return Change(
        name=table.name,
        kind=table.kind,
        bins=table.bins,
        reference=table.shares[: table.split].mean(axis=0) if len(table.shares) else np.zeros(0),
        recent=table.shares[table.split :].mean(axis=0) if len(table.shares) else np.zeros(0),
        index=index,
        chance=chance,
        state=_state(index, chance),
        typical=table.typical,
    )


def _state(index: float | None, chance: float | None) -> State:
    if index is None or chance is None:
        return "unknown"
    if index < WATCH or chance >= LEVEL:
        return "steady"
    return "alert" if index >= ALERT else "watch"
