"""The two stretches of the audit database that are compared, and every day between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from slicewise.arrays import Floats, Ints
from slicewise.audit_log.records import PredictionRecord

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
        """How many uploads there are."""
        return int(self.upload.max(initial=-1)) + 1

    @property
    def answers(self) -> int:
        """How many answers there are."""
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
        self._first = at if self._first is None else min(self._first, at)
        self._last = at if self._last is None else max(self._last, at)
        if self._limit is not None and key > self._limit:
            return
        slices = self._kept.setdefault(key, {})
        self._answers += record.slice_index not in slices
        slices[record.slice_index] = record
        if len(self._kept) > MOST_UPLOADS or self._answers > MOST_ANSWERS:
            self._halve()

    def window(self) -> Window:
        """What was collected."""
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
    """The first uploads that a bundle answered, the latest ones, and every day with answers.

    `others` counts the answers of other bundles, which are left out.
    """

    reference: Window
    recent: Window
    days: list[Day]
    others: int


def gather(
    records: Iterable[PredictionRecord], bundle_sha256: str, since: datetime, reference_uploads: int
) -> Gathered:
    """Go once over the records, oldest first, in bounded memory.

    Args:
        records: Of one arm, in order of time.
        since: Where the recent window begins; the reference ends before it.
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
    columns["ood_score"] = [record.ood_score for record in records]
    columns["confidence"] = [record.confidence for record in records]
    columns["tumor_probability"] = [record.tumor_probability for record in records]
    return {
        name: np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        for name, values in columns.items()
    }
