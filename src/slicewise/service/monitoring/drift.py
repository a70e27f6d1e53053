"""Two windows of the audit database, what has changed between them, and what a bundle expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Literal

import numpy as np

from slicewise.arrays import Floats, Ints
from slicewise.audit_log.records import PredictionRecord
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.rule import DecisionRule
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

LEVEL = 0.05  # chance of a false alarm in one report, over all its quantities together
TOLERANCE = 0.05  # how far a share may lie from the bundle's before it counts
Kind = Literal["number", "levels", "words"]
Bins = tuple[float, ...] | tuple[str, ...]
State = Literal["steady", "watch", "alert", "unknown"]
MOST_UPLOADS, MOST_ANSWERS = 4000, 100_000
"""Kept of one window. Beyond, half of the uploads go: those with the larger hashes, which have
nothing to do with when or what they were."""

NO_REASON = "none"
"""Stands for an answer without reasons, so that reasons are a share of answers too."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Answers for distinct slices of distinct uploads.

    Args:
        upload: (N,) number of the upload that an answer belongs to, from 0 on.
        numbers: By quantity: (N,) values; NaN where an answer has none.
        words: By quantity: for each of N answers, the words that apply.
        first: When the earliest answer was given; None without any.
    """

    upload: Ints
    numbers: Mapping[str, Floats]
    words: Mapping[str, Sequence[tuple[str, ...]]]
    first: datetime | None
    last: datetime | None
    sampled: bool

    @property
    def uploads(self) -> int:
        return int(self.upload.max(initial=-1)) + 1

    @property
    def answers(self) -> int:
        return int(self.upload.size)


@dataclass(slots=True)
class Day:
    """What was answered on one day."""

    day: date
    answers: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    ood_scores: list[float] = field(default_factory=list)

    MOST_SCORES = 500

    def add(self, record: PredictionRecord) -> None:
        """Count an answer; the first `MOST_SCORES` scores of a day stand for the rest."""
        self.answers += 1
        self.decisions[record.decision] += 1
        self.labels[record.label] += 1
        if record.ood_score is not None and len(self.ood_scores) < self.MOST_SCORES:
            self.ood_scores.append(record.ood_score)


class Gathering:
    """Collects records into a window; an input that comes again replaces its earlier answer."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int | None, PredictionRecord]] = {}
        self._answers = 0
        self._limit: str | None = None
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, record: PredictionRecord) -> None:
        """Take a record in; memory stays bounded."""
        at, key = record.created, record.input_sha256
        self._first, self._last = min(self._first or at, at), max(self._last or at, at)
        if self._limit is not None and key > self._limit:
            return
        slices = self._kept.setdefault(key, {})
        self._answers += record.slice_index not in slices
        slices[record.slice_index] = record
        if len(self._kept) > MOST_UPLOADS or self._answers > MOST_ANSWERS:
            self._halve()

    def window(self) -> Window:
        records = [record for slices in self._kept.values() for record in slices.values()]
        sizes = [len(slices) for slices in self._kept.values()]
        return Window(
            upload=np.repeat(np.arange(len(sizes)), sizes),
            numbers=_numbers(records),
            words={
                "label": [(record.label,) for record in records],
                "decision": [(record.decision,) for record in records],
                "reasons": [tuple(sorted(record.reasons)) or (NO_REASON,) for record in records],
            },
            first=self._first,
            last=self._last,
            sampled=self._limit is not None,
        )

    def _halve(self) -> None:
        keys = sorted(self._kept)[: max(1, len(self._kept) // 2)]
        self._kept = {key: self._kept[key] for key in keys}
        self._answers = sum(map(len, self._kept.values()))
        self._limit = keys[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The first uploads that a bundle answered, the latest, every day, and answers of others."""

    reference: Window
    recent: Window
    days: list[Day]
    others: int


def gather(
    records: Iterable[PredictionRecord], bundle_sha256: str, since: datetime, reference_uploads: int
) -> Gathered:
    """Go once over the records of one arm, oldest first, in bounded memory.

    The reference ends before the recent window begins, at `since`.
    """
    reference, recent = Gathering(), Gathering()
    days: dict[date, Day] = {}
    admitted: set[str] = set()  # also those that a full window gave up again: it stays where it is
    others = 0
    for record in records:
        if record.bundle[2] != bundle_sha256:
            others += 1
            continue
        day = record.created.date()
        days.setdefault(day, Day(day)).add(record)
        if record.created >= since:
            recent.add(record)
        elif len(admitted) < reference_uploads or record.input_sha256 in admitted:
            admitted.add(record.input_sha256)
            reference.add(record)
    return Gathered(reference.window(), recent.window(), list(days.values()), others)


def _numbers(records: Sequence[PredictionRecord]) -> dict[str, Floats]:
    """Every number of the answers by name, summary statistics of the inputs first."""
    names = dict.fromkeys(name for record in records for name in record.summary)
    columns: dict[str, list[float | None]] = {
        name: [record.summary.get(name) for record in records] for name in names
    }
    for name in ("ood_score", "confidence", "tumor_probability"):
        columns[name] = [getattr(record, name) for record in records]
    return {
        name: np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        for name, values in columns.items()
    }


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
    bins: Bins
    reference: Floats
    recent: Floats
    index: float | None
    chance: float | None
    state: State
    typical: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """A share that the bundle measured on held-out slices, and what the windows show of it.

    Every upload weighs the same; None without values.
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
    found = [(name, *_of_numbers(name, windows)) for name in names]
    found += [(name, *_of_words(name, windows)) for name in reference.words]
    tested = [
        (None, None) if shares is None else permutation_test(np.concatenate(shares), len(shares[0]))
        for *_, shares, _ in found
    ]
    corrected = holm([chance for _, chance in tested])
    return [
        Change(name, kind, bins, *_means(shares), index, chance, _state(index, chance), typical)
        for (name, kind, bins, shares, typical), (index, _), chance in zip(
            found, tested, corrected, strict=True
        )
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
        for reason, which, limit, share in (
            (Reason.POSSIBLY_OUT_OF_DISTRIBUTION, "lower", ood.review_above, ood.reviewed),
            (Reason.OUT_OF_DISTRIBUTION, "upper", ood.reject_above, ood.rejected),
        ):
            text = f"slices above the {which} limit of the out-of-distribution score"
            reached = partial(_reached, "ood_score", np.greater, limit)
            yield reason.value, text, (share, ood.n, ood.groups), reached
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
    """By the reasons, for no trust score is recorded; of what was rejected nothing is known."""
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
_Shares = tuple[Floats, Floats]  # by upload: two arrays (U, B) whose rows sum to 1
_Compared = tuple[Kind, Bins, _Shares | None, tuple[float, float] | None]
"""Kind, bins, shares and medians of a quantity; no shares where a window has no value."""


def _of_numbers(name: str, windows: _Windows) -> _Compared:
    both = [w.numbers.get(name, np.full(w.answers, np.nan)) for w in windows]
    known = [np.isfinite(values) for values in both]
    uploads = [w.upload[k] for w, k in zip(windows, known, strict=True)]
    values = [v[k] for v, k in zip(both, known, strict=True)]
    if not (values[0].size and values[1].size):
        return "number", (), None, None
    levels = np.unique(np.concatenate(values))
    few = levels.size <= BINS
    bins = levels if few else bin_limits(np.concatenate(values))
    count = bins.size if few else bins.size - 1
    first, latest = (
        shares_by_group(upload, np.searchsorted(bins, v, side="right") - 1, count)
        for upload, v in zip(uploads, values, strict=True)
    )
    typical = median_by_group(values[0], uploads[0]), median_by_group(values[1], uploads[1])
    return "levels" if few else "number", tuple(map(float, bins)), (first, latest), typical


def _of_words(name: str, windows: _Windows) -> _Compared:
    if not all(window.answers for window in windows):
        return "words", (), None, None
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
    return "words", tuple(words), (first, latest), None


def _means(shares: _Shares | None) -> _Shares:
    none = np.zeros(0)
    return (none, none) if shares is None else (shares[0].mean(axis=0), shares[1].mean(axis=0))


def _state(index: float | None, chance: float | None) -> State:
    if index is None or chance is None:
        return "unknown"
    if index < WATCH or chance >= LEVEL:
        return "steady"
    return "alert" if index >= ALERT else "watch"
