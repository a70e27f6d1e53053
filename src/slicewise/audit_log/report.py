"""Comparing the arms: what the main model, its challenger and its shadow answered.

Main and challenger answer different inputs, so their shares are compared as independent ones. A
shadow answers what main answered too, slice by slice, so these answers are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slicewise.audit_log.arms import ArmFigures, Model, figures_by_model
from slicewise.audit_log.clock import stamp
from slicewise.audit_log.ledger import Ledger
from slicewise.audit_log.pairs import figures_of_pairs
from slicewise.audit_log.reading import Span
from slicewise.audit_log.record import Arm
from slicewise.audit_log.shares import difference
from slicewise.stats.intervals import Share


def compare_arms(ledger: Ledger, span: Span) -> dict[str, Any]:
    """All figures of the arms, as JSON.

    Args:
        ledger: Where the predictions are.
        span: Which of them; its arm is not looked at.

    Returns:
        `arms`: each bundle in each role with its shares and latency; `differences`: challenger
        minus main, share by share; `shadows`: main and shadow on the same slices.

    Raises:
        AuditError: If the database fails.
    """
    with ledger.database.reading(snapshot=True) as connection:
        arms = figures_by_model(connection, span)
        pairs = figures_of_pairs(connection, span)
    labels = sorted({label for figures in arms.values() for label in figures.labels.kinds()})
    return {
        "since": None if span.since is None else stamp(span.since),
        "until": None if span.until is None else stamp(span.until),
        "arms": [_arm(model, figures, labels) for model, figures in arms.items()],
        "differences": list(_differences(arms, labels)),
        "shadows": [
            {"main": _named(main), "shadow": _named(shadow), **figures.as_json()}
            for (main, shadow), figures in pairs.items()
        ],
    }


def _named(model: Model) -> dict[str, str]:
    return model._asdict()


def _arm(model: Model, figures: ArmFigures, labels: Sequence[str]) -> dict[str, Any]:
    return {
        **_named(model),
        "predictions": figures.decisions.total,
        "inputs": figures.decisions.inputs,
        "with_feedback": figures.agreed.total,
        "shares": {name: _json(share) for name, share in figures.shares(labels).items()},
        "latency_ms": figures.latency_quantiles(),
    }


def _json(share: Share | None) -> dict[str, float | None] | None:
    return None if share is None else share.as_json()


def _differences(
    arms: Mapping[Model, ArmFigures], labels: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Of every challenger from every main model, share by share."""
    for other, theirs in arms.items():
        for first, ours in arms.items():
            if (first.arm, other.arm) != (Arm.MAIN, Arm.CHALLENGER):
                continue
            mine, its = ours.shares(labels), theirs.shares(labels)
            gaps = {name: difference(mine[name], its[name]) for name in mine}
            yield {"main": _named(first), "challenger": _named(other), "shares": gaps}
