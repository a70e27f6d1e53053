"""Model comparison: what the main model, its challenger and its shadow answered.

Main and challenger answer different inputs, so they are compared as independent. A shadow answers
what main answered too, slice by slice, so these answers are paired. Slices of one upload resemble
each other: every interval resamples whole inputs.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from sqlalchemy import Connection, Select, Subquery, func, select

from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.records import Arm
from slicewise.audit_log.tables import FEEDBACK, PREDICTIONS, Span, stamp
from slicewise.errors import AuditError
from slicewise.inference.decision import Verdict
from slicewise.stats.intervals import Share, difference, share_of_sums

QUANTILES = (0.5, 0.95, 0.99)
RIGHT = {
    (True, True): "both",
    (True, False): "main_only",
    (False, True): "shadow_only",
    (False, False): "neither",
}
"""Who was right, by whether main and whether the shadow was."""

_MODEL = ("arm", "bundle_name", "bundle_version", "bundle_sha256")
_ARMS = [arm.value for arm in Arm]

Answer = TypeVar("Answer", bound=NamedTuple)


class Model(NamedTuple):
    """A bundle as `main`, `challenger` or `shadow`."""

    arm: str
    name: str
    version: str
    sha256: str


class Said(NamedTuple):
    """The answer for one slice, and whether the newest feedback on it agrees."""

    label: str
    decision: str
    flag: bool | None
    agreed: bool | None


class Same(NamedTuple):
    """Whether main and shadow answered the same for one slice."""

    label: bool
    decision: bool
    tumor_flag: bool | None


class ByInput(Generic[Answer]):
    """Answers counted by input; inputs with equal answers take the room of one."""

    def __init__(self) -> None:
        self._inputs: Counter[frozenset[tuple[Answer, int]]] = Counter()

    def add(self, answers: Iterable[Answer]) -> None:
        """Count one input."""
        self._inputs[frozenset(Counter(answers).items())] += 1

    @property
    def inputs(self) -> int:
        """How many inputs there are."""
        return self._inputs.total()

    def counts(self) -> Counter[Answer]:
        """How many times each answer was given."""
        found: Counter[Answer] = Counter()
        for answers, inputs in self._inputs.items():
            for answer, count in answers:
                found[answer] += inputs * count
        return found

    def share(self, is_hit: Callable[[Answer], bool | None]) -> Share | None:
        """Share of hits among the answers of which `is_hit` is not None; None without any."""
        sums: Counter[tuple[int, int]] = Counter()
        for answers, inputs in self._inputs.items():
            told = [(hit, n) for answer, n in answers if (hit := is_hit(answer)) is not None]
            if told:
                sums[sum(n for hit, n in told if hit), sum(n for _, n in told)] += inputs
        if not sums:
            return None
        hits, totals = zip(*sums, strict=True)
        return share_of_sums(hits, totals, list(sums.values()))


@dataclass(slots=True)
class Answered:
    """All that one model answered."""

    by_input: ByInput[Said] = field(default_factory=ByInput)
    latency_ms: array[float] = field(default_factory=lambda: array("d"))

    def shares(self, labels: Iterable[str]) -> dict[str, Share | None]:
        """Every share by its name, such as `decision accept` or `label glioma`."""
        share = self.by_input.share
        named = {f"decision {v}": share(lambda said, v=v: said.decision == v) for v in Verdict}
        named |= {f"label {v}": share(lambda said, v=v: said.label == v) for v in labels}
        named["tumor flag"] = share(lambda said: said.flag)
        named["agreed in feedback"] = share(lambda said: said.agreed)
        return named

    def as_json(self, labels: Iterable[str]) -> dict[str, Any]:
        """All by name; latency in milliseconds."""
        counts = self.by_input.counts()
        latency = np.quantile(np.frombuffer(self.latency_ms), QUANTILES)
        return {
            "predictions": counts.total(),
            "inputs": self.by_input.inputs,
            "with_feedback": sum(n for said, n in counts.items() if said.agreed is not None),
            "shares": {name: _json(share) for name, share in self.shares(labels).items()},
            "latency_ms": {
                f"p{100 * q:g}": float(ms) for q, ms in zip(QUANTILES, latency, strict=True)
            },
        }


@dataclass(slots=True)
class Pairs:
    """Answers of main and a shadow to the same slices.

    Args:
        by_input: Whether they are the same.
        exchanged: How often main gave the one and the shadow the other label.
        gaps: Largest difference of a class probability, of each pair.
        right: Pairs by who was right, where feedback says what is right.
    """

    by_input: ByInput[Same] = field(default_factory=ByInput)
    exchanged: Counter[tuple[str, str]] = field(default_factory=Counter)
    gaps: array[float] = field(default_factory=lambda: array("d"))
    right: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """All by name."""
        share = self.by_input.share
        return {
            "pairs": len(self.gaps),
            "inputs": self.by_input.inputs,
            "same": {
                "label": _json(share(lambda same: same.label)),
                "decision": _json(share(lambda same: same.decision)),
                "tumor_flag": _json(share(lambda same: same.tumor_flag)),
            },
            "probability_gap": {"mean": float(np.mean(self.gaps)), "max": max(self.gaps)},
            "exchanged": [
                {"main": main, "shadow": shadow, "count": count}
                for (main, shadow), count in self.exchanged.most_common()
            ],
            "right": {name: self.right[name] for name in RIGHT.values()},
        }


def compare_models(log: AuditLog, span: Span) -> dict[str, Any]:
    """The comparison, as JSON.

    Args:
        log: Where the predictions are.
        span: Which of them; its arm is not looked at.

    Returns:
        `arms`: each bundle as main, challenger or shadow with its shares and latency;
        `differences`: challenger minus main, share by share; `shadows`: main and shadow on the
        same slices.

    Raises:
        AuditError: If the database fails, or a row was changed so that it makes no sense.
    """
    with log.database.reading(snapshot=True) as connection:
        models = _answers(connection, span)
        pairs = _pairs(connection, span)
    labels = sorted({said.label for a in models.values() for said in a.by_input.counts()})
    return {
        "since": None if span.since is None else stamp(span.since),
        "until": None if span.until is None else stamp(span.until),
        "arms": [{**model._asdict(), **a.as_json(labels)} for model, a in models.items()],
        "differences": list(_differences(models, labels)),
        "shadows": [
            {"main": main._asdict(), "shadow": shadow._asdict(), **found.as_json()}
            for (main, shadow), found in pairs.items()
        ],
    }


def _json(share: Share | None) -> dict[str, float | None] | None:
    return None if share is None else share.as_json()


def _differences(
    models: Mapping[Model, Answered], labels: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Of every challenger from every main model, share by share."""
    named = {model: answered.shares(labels) for model, answered in models.items()}
    for other in (model for model in models if model.arm == Arm.CHALLENGER):
        for first in (model for model in models if model.arm == Arm.MAIN):
            gaps = {
                name: difference(share, named[other][name]) for name, share in named[first].items()
            }
            yield {
                "main": first._asdict(),
                "challenger": other._asdict(),
                "shares": {n: None if gap is None else gap.as_json() for n, gap in gaps.items()},
            }


def _answers(connection: Connection, span: Span) -> dict[Model, Answered]:
    """What every model answered, main first."""
    p, words = PREDICTIONS.c, _newest_feedback()
    columns = [p[name] for name in (*_MODEL, "input_sha256")]
    query = (
        select(*columns, p.label, p.decision, p.tumor_flag, words.c.agree, p.latency_ms)
        .select_from(PREDICTIONS.outerjoin(words, words.c.prediction_id == p.id))
        .where(*span.conditions(PREDICTIONS))
        .order_by(*columns)
    )
    found: dict[Model, Answered] = {}
    for (*model, _), rows in groupby(_streamed(connection, query), key=lambda row: row[:5]):
        answered = found.setdefault(Model(*model), Answered())
        of_input = list(rows)
        answered.by_input.add(Said(*row[5:9]) for row in of_input)
        answered.latency_ms.extend(row[9] for row in of_input)
    if any(model.arm not in _ARMS for model in found):
        raise _changed()
    return dict(sorted(found.items(), key=lambda item: (_ARMS.index(item[0].arm), item[0])))


def _pairs(connection: Connection, span: Span) -> dict[tuple[Model, Model], Pairs]:
    """Each main model with each shadow that ran beside it; main's answers may be of any time."""
    main, shadow = PREDICTIONS.alias("main"), PREDICTIONS.alias("shadow")
    words = _newest_feedback()
    columns = [table.c[name] for table in (main, shadow) for name in _MODEL]
    columns.append(main.c.input_sha256)
    answers = [
        table.c[name]
        for name in ("label", "decision", "tumor_flag", "probabilities")
        for table in (main, shadow)
    ]
    query = (
        select(*columns, *answers, words.c.agree, words.c.label)
        .select_from(shadow.join(main, main.c.id == shadow.c.shadow_of))
        .outerjoin(words, words.c.prediction_id == main.c.id)
        .where(*span.conditions(shadow))
        .order_by(*columns)
    )
    found: dict[tuple[Model, Model], Pairs] = {}
    for key, rows in groupby(_streamed(connection, query), key=lambda row: row[:9]):
        pairs = found.setdefault((Model(*key[:4]), Model(*key[4:8])), Pairs())
        pairs.by_input.add([_paired(pairs, *row[9:]) for row in rows])
    return found


def _paired(
    pairs: Pairs,
    label: str,
    other_label: str,
    decision: str,
    other_decision: str,
    flag: bool | None,
    other_flag: bool | None,
    probabilities: str,
    other_probabilities: str,
    agree: bool | None,
    corrected: str | None,
) -> Same:
    """Count one pair."""
    pairs.gaps.append(_gap(probabilities, other_probabilities))
    if label != other_label:
        pairs.exchanged[label, other_label] += 1
    right = label if agree else corrected
    if agree is not None and right is not None:
        pairs.right[RIGHT[label == right, other_label == right]] += 1
    both_flags = flag is not None and other_flag is not None
    return Same(
        label == other_label,
        decision == other_decision,
        flag == other_flag if both_flags else None,
    )


def _gap(main: str, shadow: str) -> float:
    try:
        ours, theirs = json.loads(main), json.loads(shadow)
        return max(abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in {*ours, *theirs})
    except (ValueError, TypeError, AttributeError):
        raise _changed() from None


def _newest_feedback() -> Subquery:
    """The newest feedback on each prediction that has some: the last word counts."""
    newest = select(func.max(FEEDBACK.c.seq)).group_by(FEEDBACK.c.prediction_id)
    columns = (FEEDBACK.c.prediction_id, FEEDBACK.c.agree, FEEDBACK.c.label)
    return select(*columns).where(FEEDBACK.c.seq.in_(newest)).subquery()


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, few of them in memory at a time."""
    found = connection.execution_options(yield_per=1000).execute(query)
    yield from (tuple(row) for row in found)


def _changed() -> AuditError:
    return AuditError(
        "a prediction is not as it was written; `slicewise audit verify` says which one"
    )
