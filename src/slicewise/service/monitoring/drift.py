"""What has changed between two windows, and what a bundle expects against what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from slicewise.arrays import Floats
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.rule import DecisionRule
from slicewise.service.monitoring.windows import Window
from slicewise.stats.drift import (
    BINS,
    bin_limits,
    holm,
    median_by_group,
    permutation_test,
    shares_by_group,
)
from slicewise.stats.intervals import Share, share_of_sums

WATCH, ALERT = 0.1, 0.25
"""The customary limits of the stability index: a moderate change, and a large one."""

LEVEL = 0.05
"""Chance of a false alarm in one report, over all its quantities together."""

TOLERANCE = 0.05
"""How far a share may lie from the bundle's before it counts."""

Kind = Literal["number", "levels", "words"]
State = Literal["steady", "watch", "alert", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One quantity in both windows.

    Args:
        kind: A number, a number with few levels such as rows, or words.
        bins: (B + 1,) limits of bins [a, b), or the B levels or words.
        reference: (B,) share of the reference in each bin; uploads weigh the same.
        recent: (B,) the same of the recent window.
        index: Population stability index; None where a window has no value.
        chance: How often uploads dealt at random differ as much, corrected for all quantities.
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


@dataclass(frozen=True, slots=True)
class Expectation:
    """A share that the bundle measured on held-out slices, and what the windows show of it.

    Args:
        name: Of the share.
        text: What it is a share of, in words.
        reference: In the first window, every upload weighing the same; None without values.
    """

    name: str
    text: str
    expected: float
    n: int
    groups: int
    reference: Share | None
    recent: Share | None
    state: State


def changes(reference: Window, recent: Window) -> list[Change]:
    """Every quantity of either window, numbers first; one that a window lacks is unknown."""
    windows = reference, recent
    names = dict.fromkeys([*reference.numbers, *recent.numbers])
    found = [_of_numbers(name, windows) for name in names]
    found += [_of_words(name, windows) for name in reference.words]
    tested = [
        (None, None) if shares is None else permutation_test(np.concatenate(shares), len(shares[0]))
        for _, shares in found
    ]
    corrected = holm([chance for _, chance in tested])
    return [
        replace(change, index=index, chance=chance, state=_state(index, chance))
        for (change, _), (index, _), chance in zip(found, tested, corrected, strict=True)
    ]


def expectations(rule: DecisionRule, reference: Window, recent: Window) -> list[Expectation]:
    """Every share that the decision rule of a bundle carries; none where nothing was fitted.

    Too many slices that are out of distribution alarm. Less confidence may come from another mix
    of cases, and is to be watched.
    """
    found = []
    for name, text, (expected, n, groups), hits in _limits(rule):
        first, latest = _share(reference, hits), _share(recent, hits)
        state: State = "unknown"
        if latest is not None:
            low = latest.value if latest.ci_low is None else latest.ci_low
            high = latest.value if latest.ci_high is None else latest.ci_high
            if name in (Reason.POSSIBLY_OUT_OF_DISTRIBUTION, Reason.OUT_OF_DISTRIBUTION):
                state = "alert" if low > expected + TOLERANCE else "steady"
            else:
                state = "watch" if high < expected - TOLERANCE else "steady"
        found.append(Expectation(name, text, expected, n, groups, first, latest, state))
    return found


_Fitted = tuple[float, int, int]
_Hits = Callable[[Window], Floats]
"""Gives (N,) 1 where an answer counts, 0 where it does not, NaN where nothing is known."""


def _limits(rule: DecisionRule) -> Iterator[tuple[str, str, _Fitted, _Hits]]:
    ood, acceptance = rule.out_of_distribution, rule.acceptance
    if ood is not None:
        text = "slices above the {} limit of the out-of-distribution score"
        name = Reason.POSSIBLY_OUT_OF_DISTRIBUTION.value
        reached = partial(_reached, "ood_score", np.greater, ood.review_above)
        yield name, text.format("lower"), (ood.reviewed, ood.n, ood.groups), reached
        name = Reason.OUT_OF_DISTRIBUTION.value
        reached = partial(_reached, "ood_score", np.greater, ood.reject_above)
        yield name, text.format("upper"), (ood.rejected, ood.n, ood.groups), reached
    if acceptance is not None:
        fitted = (acceptance.coverage, acceptance.n, acceptance.groups)
        if acceptance.confidence is None:
            text = "answers with as much trust as an accepted one must have"
            yield "trusted", text, fitted, _trusted
        else:
            text = "answers as confident as an accepted one must be"
            reached = partial(_reached, "confidence", np.greater_equal, acceptance.confidence)
            yield "confident", text, fitted, reached


def _reached(quantity: str, compare: np.ufunc, limit: float, window: Window) -> Floats:
    values = window.numbers[quantity]
    return np.where(np.isfinite(values), compare(values, limit), np.nan)


def _trusted(window: Window) -> Floats:
    """A trust score is not recorded: a low one stands among the reasons, but of what was rejected.

    Of that nothing is known.
    """
    answers = zip(window.words["decision"], window.words["reasons"], strict=True)
    return np.array(
        [np.nan if Verdict.REJECT in d else float(Reason.LOW_TRUST not in r) for d, r in answers]
    )


def _share(window: Window, hits: _Hits) -> Share | None:
    values = hits(window)
    known = np.isfinite(values)
    if not known.any():
        return None
    _, number = np.unique(window.upload[known], return_inverse=True)
    each = np.bincount(number, weights=values[known]) / np.bincount(number)
    return share_of_sums(each, np.ones(each.size), np.ones(each.size))


_Windows = tuple[Window, Window]
_Shares = tuple[Floats, Floats]
"""By upload: two arrays (U, B) whose rows sum to 1."""


def _of_numbers(name: str, windows: _Windows) -> tuple[Change, _Shares | None]:
    both = [w.numbers.get(name, np.full(w.answers, np.nan)) for w in windows]
    known = [np.isfinite(values) for values in both]
    uploads = [w.upload[k] for w, k in zip(windows, known, strict=True)]
    values = [v[k] for v, k in zip(both, known, strict=True)]
    if not (values[0].size and values[1].size):
        return _change(name, "number", (), None, None)
    levels = np.unique(np.concatenate(values))
    few = levels.size <= BINS
    bins = levels if few else bin_limits(np.concatenate(values))
    count = bins.size if few else bins.size - 1
    first, latest = (
        shares_by_group(upload, np.searchsorted(bins, v, side="right") - 1, count)
        for upload, v in zip(uploads, values, strict=True)
    )
    typical = median_by_group(values[0], uploads[0]), median_by_group(values[1], uploads[1])
    kind: Kind = "levels" if few else "number"
    return _change(name, kind, tuple(map(float, bins)), (first, latest), typical)


def _of_words(name: str, windows: _Windows) -> tuple[Change, _Shares | None]:
    if not all(window.answers for window in windows):
        return _change(name, "words", (), None, None)
    words = sorted({word for w in windows for some in w.words[name] for word in some})
    place = {word: i for i, word in enumerate(words)}
    first, latest = (
        shares_by_group(
            np.repeat(window.upload, [len(some) for some in window.words[name]]),
            [place[word] for some in window.words[name] for word in some],
            len(words),
        )
        for window in windows
    )
    return _change(name, "words", tuple(words), (first, latest), None)


def _change(
    name: str,
    kind: Kind,
    bins: tuple[float, ...] | tuple[str, ...],
    shares: _Shares | None,
    typical: tuple[float, float] | None,
) -> tuple[Change, _Shares | None]:
    """A change that is not tested yet, with the shares that it is tested by."""
    none = np.zeros(0)
    first, latest = (none, none) if shares is None else (part.mean(axis=0) for part in shares)
    return Change(name, kind, bins, first, latest, None, None, "unknown", typical), shares


def _state(index: float | None, chance: float | None) -> State:
    if index is None or chance is None:
        return "unknown"
    if index < WATCH or chance >= LEVEL:
        return "steady"
    return "alert" if index >= ALERT else "watch"
