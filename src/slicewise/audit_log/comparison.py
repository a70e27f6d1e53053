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
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from sqlalchemy import Connection, Select, Subquery, func, select

from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.records import Arm
from slicewise.audit_log.tables import FEEDBACK, PREDICTIONS, Span, stamp
from slicewise.errors import AuditError
from slicewise.inference.decision import Verdict
from slicewise.stats.bootstrap import Estimate
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


class Single(NamedTuple):
    """The answer of one model for a slice, and whether the newest feedback on it agrees."""

    label: str
    decision: str
    flag: bool | None
    agreed: bool | None


class Pair(NamedTuple):
    """The answers of main and shadow for a slice, and who is right by the newest feedback."""

    label: str
    shadow_label: str
    same_decision: bool
    same_flag: bool | None
    right: str | None


class ByInput(Generic[Answer]):
    """Answers counted by input, and a number of each; equal inputs take the room of one."""

    def __init__(self) -> None:
        self._inputs: Counter[frozenset[tuple[Answer, int]]] = Counter()
        self.numbers = array("d")

    def add(self, answers: Iterable[tuple[Answer, float]]) -> None:
        """Count one input."""
        found, numbers = zip(*answers, strict=True)
        self._inputs[frozenset(Counter(found).items())] += 1
        self.numbers.extend(numbers)

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
            known = [(hit, n) for answer, n in answers if (hit := is_hit(answer)) is not None]
            if known:
                sums[sum(n for hit, n in known if hit), sum(n for _, n in known)] += inputs
        if not sums:
            return None
        hits, totals = zip(*sums, strict=True)
        return share_of_sums(hits, totals, list(sums.values()))


def compare_models(log: AuditLog, span: Span) -> dict[str, Any]:
    """The comparison, as JSON, of the predictions of a span, whatever its arm.

    Returns:
        `arms`: each bundle as main, challenger or shadow with its shares and latency;
        `differences`: challenger minus main, share by share; `shadows`: main and shadow on the
        same slices.

    Raises:
        AuditError: If the database fails, or a row was changed so that it makes no sense.
    """
    with log.database.reading(snapshot=True) as connection:
        models = _singles(connection, span)
        pairs = _pairs(connection, span)
    labels = sorted({single.label for found in models.values() for single in found.counts()})
    shares = {model: _shares(found, labels) for model, found in models.items()}
    return {
        "since": None if span.since is None else stamp(span.since),
        "until": None if span.until is None else stamp(span.until),
        "arms": [
            {**model._asdict(), **_singles_json(found, shares[model])}
            for model, found in models.items()
        ],
        "differences": list(_differences(shares)),
        "shadows": [
            {"main": main._asdict(), "shadow": shadow._asdict(), **_pairs_json(found)}
            for (main, shadow), found in pairs.items()
        ],
    }


def _shares(found: ByInput[Single], labels: Iterable[str]) -> dict[str, Share | None]:
    """Every share of a model by its name, such as `decision accept` or `label glioma`."""

    def share(column: str, value: str) -> Share | None:
        return found.share(lambda single: getattr(single, column) == value)

    return {
        **{f"decision {name}": share("decision", name) for name in Verdict},
        **{f"label {name}": share("label", name) for name in labels},
        "tumor flag": found.share(lambda single: single.flag),
        "agreed in feedback": found.share(lambda single: single.agreed),
    }


def _singles_json(found: ByInput[Single], shares: Mapping[str, Share | None]) -> dict[str, Any]:
    counts = found.counts()
    latency = np.quantile(np.frombuffer(found.numbers), QUANTILES)
    return {
        "predictions": counts.total(),
        "inputs": found.inputs,
        "with_feedback": sum(n for single, n in counts.items() if single.agreed is not None),
        "shares": {name: _json(share) for name, share in shares.items()},
        "latency_ms": {
            f"p{100 * q:g}": ms for q, ms in zip(QUANTILES, latency.tolist(), strict=True)
        },
    }


def _differences(shares: Mapping[Model, Mapping[str, Share | None]]) -> Iterator[dict[str, Any]]:
    """Of every challenger from every main model, share by share."""
    for other in (model for model in shares if model.arm == Arm.CHALLENGER):
        for first in (model for model in shares if model.arm == Arm.MAIN):
            gaps = {
                name: _json(difference(share, shares[other][name]))
                for name, share in shares[first].items()
            }
            yield {"main": first._asdict(), "challenger": other._asdict(), "shares": gaps}


def _pairs_json(found: ByInput[Pair]) -> dict[str, Any]:
    exchanged: Counter[tuple[str, str]] = Counter()
    right: Counter[str | None] = Counter()
    for pair, count in found.counts().items():
        right[pair.right] += count
        if pair.label != pair.shadow_label:
            exchanged[pair.label, pair.shadow_label] += count
    return {
        "pairs": len(found.numbers),
        "inputs": found.inputs,
        "same": {
            "label": _json(found.share(lambda pair: pair.label == pair.shadow_label)),
            "decision": _json(found.share(lambda pair: pair.same_decision)),
            "tumor_flag": _json(found.share(lambda pair: pair.same_flag)),
        },
        "probability_gap": {"mean": float(np.mean(found.numbers)), "max": max(found.numbers)},
        "exchanged": [
            {"main": main, "shadow": shadow, "count": count}
            for (main, shadow), count in exchanged.most_common()
        ],
        "right": {name: right[name] for name in RIGHT.values()},
    }


def _json(share: Share | Estimate | None) -> dict[str, Any] | None:
    return None if share is None else share.as_json()


def _singles(connection: Connection, span: Span) -> dict[Model, ByInput[Single]]:
    """What every model answered, main first, with latency in milliseconds."""
    p, words = PREDICTIONS.c, _newest_feedback()
    columns = [p[name] for name in (*_MODEL, "input_sha256")]
    query = (
        select(*columns, p.label, p.decision, p.tumor_flag, words.c.agree, p.latency_ms)
        .select_from(PREDICTIONS.outerjoin(words, words.c.prediction_id == p.id))
        .where(*span.conditions(PREDICTIONS))
        .order_by(*columns)
    )
    found: dict[Model, ByInput[Single]] = {}
    for (*model, _), rows in groupby(_streamed(connection, query), key=lambda row: row[:5]):
        of_model = found.setdefault(Model(*model), ByInput())
        of_model.add((Single(*row[5:9]), row[9]) for row in rows)
    if any(model.arm not in _ARMS for model in found):
        raise _changed()
    return dict(sorted(found.items(), key=lambda item: (_ARMS.index(item[0].arm), item[0])))


def _pairs(connection: Connection, span: Span) -> dict[tuple[Model, Model], ByInput[Pair]]:
    """Each main model with each shadow that ran beside it; main's answers may be of any time.

    The number of a pair is the largest difference of a class probability.
    """
    main, shadow = PREDICTIONS.alias("main"), PREDICTIONS.alias("shadow")
    words = _newest_feedback()
    columns = [table.c[name] for table in (main, shadow) for name in _MODEL]
    columns.append(main.c.input_sha256)
    answers = [
        table.c[name]
        for table in (main, shadow)
        for name in ("label", "decision", "tumor_flag", "probabilities")
    ]
    query = (
        select(*columns, *answers, words.c.agree, words.c.label)
        .select_from(shadow.join(main, main.c.id == shadow.c.shadow_of))
        .outerjoin(words, words.c.prediction_id == main.c.id)
        .where(*span.conditions(shadow))
        .order_by(*columns)
    )
    found: dict[tuple[Model, Model], ByInput[Pair]] = {}
    for key, rows in groupby(_streamed(connection, query), key=lambda row: row[:9]):
        models = Model(*key[:4]), Model(*key[4:8])
        found.setdefault(models, ByInput()).add(_pair(*row[9:]) for row in rows)
    return found


def _pair(*row: Any) -> tuple[Pair, float]:
    label, decision, flag, probabilities, *other, agree, corrected = row
    truth = label if agree else corrected
    known = agree is not None and truth is not None
    pair = Pair(
        label,
        other[0],
        decision == other[1],
        None if flag is None or other[2] is None else flag == other[2],
        RIGHT[label == truth, other[0] == truth] if known else None,
    )
    return pair, _gap(probabilities, other[3])


def _gap(main: str, shadow: str) -> float:
    try:
        ours, theirs = json.loads(main), json.loads(shadow)
        names = {*ours, *theirs}
        return float(max(abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in names))
    except (ValueError, TypeError, AttributeError):
        raise _changed() from None


def _newest_feedback() -> Subquery:
    """The newest feedback on each prediction that has some."""
    newest = select(func.max(FEEDBACK.c.seq)).group_by(FEEDBACK.c.prediction_id)
    columns = (FEEDBACK.c.prediction_id, FEEDBACK.c.agree, FEEDBACK.c.label)
    return select(*columns).where(FEEDBACK.c.seq.in_(newest)).subquery()


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, few of them in memory at a time."""
    return map(tuple, connection.execution_options(yield_per=1000).execute(query))


def _changed() -> AuditError:
    return AuditError(
        "a prediction is not as it was written; `slicewise audit verify` says which one"
    )
