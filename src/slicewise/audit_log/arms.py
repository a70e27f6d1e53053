"""What each model answered as main, challenger or shadow: counts, shares, latency, feedback."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Select, Subquery, func, select

from slicewise.audit_log.reading import Span
from slicewise.audit_log.record import Arm
from slicewise.audit_log.shares import Shares
from slicewise.audit_log.tables import FEEDBACK, PREDICTIONS
from slicewise.errors import AuditError
from slicewise.stats.intervals import Share

DECISIONS = ("accept", "review", "reject")
QUANTILES = (0.5, 0.95, 0.99)

_P = PREDICTIONS.c
_MODEL = (_P.arm, _P.bundle_name, _P.bundle_version, _P.bundle_sha256)
_ROLES = [arm.value for arm in Arm]
_FLAGS = {True: "flagged", False: "not flagged"}
_AGREED = {True: "agreed", False: "disagreed"}


CHANGED = AuditError(
    "a prediction is not as it was written; `slicewise audit verify` says which one"
)
"""What is said of a row that no service wrote."""


class Model(NamedTuple):
    """A bundle in one role.

    Args:
        arm: `main`, `challenger` or `shadow`.
        name: Of the bundle.
        version: Of the bundle.
        sha256: Of the bundle.
    """

    arm: str
    name: str
    version: str
    sha256: str


@dataclass(slots=True)
class ArmFigures:
    """What one model answered in one role; shares are over inputs.

    Args:
        decisions: Of all answers.
        labels: Of all answers.
        flags: Of the answers with a tumor flag.
        agreed: Of the answers that somebody spoke about; his last word counts.
        latency_ms: Of all answers.
    """

    decisions: Shares = field(default_factory=Shares)
    labels: Shares = field(default_factory=Shares)
    flags: Shares = field(default_factory=Shares)
    agreed: Shares = field(default_factory=Shares)
    latency_ms: array[float] = field(default_factory=lambda: array("d"))

    def shares(self, labels: Iterable[str]) -> dict[str, Share | None]:
        """Every share by its name, such as `decision accept` or `label glioma`.

        Args:
            labels: Which ones to name, whether or not they were met.
        """
        named = {f"decision {name}": self.decisions.share(name) for name in DECISIONS}
        named |= {f"label {name}": self.labels.share(name) for name in labels}
        named["tumor flag"] = self.flags.share(_FLAGS[True])
        named["agreed in feedback"] = self.agreed.share(_AGREED[True])
        return named

    def latency_quantiles(self) -> dict[str, float]:
        """Median, 95th and 99th percentile, milliseconds."""
        values = np.quantile(np.frombuffer(self.latency_ms), QUANTILES)
        return {f"p{100 * q:g}": float(value) for q, value in zip(QUANTILES, values, strict=True)}


def figures_by_model(connection: Connection, span: Span) -> dict[Model, ArmFigures]:
    """Figures of every model in every role, main first.

    Args:
        connection: Within a transaction that sees one state.
        span: Which predictions.

    Raises:
        AuditError: If a row was changed so that it makes no sense.
    """
    found: dict[Model, ArmFigures] = {}
    for model, rows in groupby(_answers(connection, span), key=_model):
        found[model] = _counted(rows)
    for row in streamed(connection, _within(span, *_MODEL, _P.latency_ms)):
        found[_model(row)].latency_ms.append(row[4])
    for (model, _), rows in groupby(_words(connection, span), key=lambda r: (_model(r), r[4])):
        found[model].agreed.add(Counter(_AGREED[row[5]] for row in rows))
    return dict(sorted(found.items(), key=lambda item: (_place(item[0].arm), item[0])))


def _place(arm: str) -> int:
    if arm not in _ROLES:
        raise CHANGED
    return _ROLES.index(arm)


def last_words() -> Subquery:
    """The newest feedback on each prediction that has some."""
    newest = select(func.max(FEEDBACK.c.seq)).group_by(FEEDBACK.c.prediction_id)
    columns = (FEEDBACK.c.prediction_id, FEEDBACK.c.agree, FEEDBACK.c.label)
    return select(*columns).where(FEEDBACK.c.seq.in_(newest)).subquery()


def streamed(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, few of them in memory at a time."""
    found = connection.execution_options(yield_per=1000).execute(query)
    yield from (tuple(row) for row in found)


def _within(span: Span, *columns: Any) -> Select[Any]:
    return select(*columns).where(*span.conditions(PREDICTIONS))


def _model(row: tuple[Any, ...]) -> Model:
    return Model(*row[:4])


def _answers(connection: Connection, span: Span) -> Iterator[tuple[Any, ...]]:
    """Model, input, label, decision, flag and how many of these, by model and input."""
    columns = (*_MODEL, _P.input_sha256, _P.label, _P.decision, _P.tumor_flag)
    query = _within(span, *columns, func.count()).group_by(*columns)
    return streamed(connection, query.order_by(*_MODEL, _P.input_sha256))


def _words(connection: Connection, span: Span) -> Iterator[tuple[Any, ...]]:
    """Model, input and whether somebody agreed, by model and input."""
    words = last_words()
    query = _within(span, *_MODEL, _P.input_sha256, words.c.agree)
    joined = query.join(words, words.c.prediction_id == _P.id)
    return streamed(connection, joined.order_by(*_MODEL, _P.input_sha256))


def _counted(rows: Iterator[tuple[Any, ...]]) -> ArmFigures:
    """Add up the answers of one model, input by input."""
    figures = ArmFigures()
    for _, of_input in groupby(rows, key=lambda row: row[4]):
        labels: Counter[str] = Counter()
        decisions: Counter[str] = Counter()
        flags: Counter[str] = Counter()
        for *_, label, decision, flag, count in of_input:
            labels[label] += count
            decisions[decision] += count
            if flag is not None:
                flags[_FLAGS[flag]] += count
        figures.labels.add(labels)
        figures.decisions.add(decisions)
        figures.flags.add(flags)
    return figures
