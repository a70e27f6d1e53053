"""What the bundle itself says should be seen, against what was seen.

A bundle carries no distributions, but three shares that were measured on held-out slices: above
the lower and above the upper limit of the outlier score, and with at least the trust, or the
confidence, that an accepted answer must have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Floats
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.rule import Acceptance, DecisionRule
from slicewise.service.monitoring.drift import SEED, State
from slicewise.service.monitoring.windows import Window

TOLERANCE = 0.05
"""How far a share may lie from the bundle's before it counts."""

RESAMPLES = 1000
_ENDS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of slices, every upload weighing the same, with its 95 % interval over uploads."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """A share that the bundle carries, and what the windows show of it.

    Args:
        name: Of the share.
        text: What it is a share of, in words.
        expected: On the bundle's held-out slices.
        n: Of those slices.
        groups: Of their groups.
        reference: In the first window; None where it has no values.
        recent: In the recent window; None where it has no values.
        state: What follows from the recent window.
    """

    name: str
    text: str
    expected: float
    n: int
    groups: int
    reference: Share | None
    recent: Share | None
    state: State


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str
    text: str
    quantity: str
    least: float | None
    expected: float
    n: int
    groups: int
    too_many_is_bad: bool


def expectations(rule: DecisionRule, reference: Window, recent: Window) -> list[Expectation]:
    """Every share that the decision rule of a bundle carries; none where nothing was fitted."""
    return [_compared(limit, reference, recent) for limit in _limits(rule)]


def _limits(rule: DecisionRule) -> Iterator[_Limit]:
    outliers, acceptance = rule.out_of_distribution, rule.acceptance
    if outliers is not None:
        fitted = (outliers.n, outliers.groups)
        yield _Limit(
            "possibly_out_of_distribution",
            "slices above the lower limit of the outlier score",
            "ood_score",
            outliers.review_above,
            outliers.reviewed,
            *fitted,
            too_many_is_bad=True,
        )
        yield _Limit(
            "out_of_distribution",
            "slices above the upper limit of the outlier score",
            "ood_score",
            outliers.reject_above,
            outliers.rejected,
            *fitted,
            too_many_is_bad=True,
        )
    if acceptance is not None:
        yield _accepted(acceptance)


def _accepted(acceptance: Acceptance) -> _Limit:
    fitted = (acceptance.coverage, acceptance.n, acceptance.groups)
    if acceptance.confidence is not None:
        text = "answers as confident as an accepted one must be"
        least = acceptance.confidence
        return _Limit("confident", text, "confidence", least, *fitted, too_many_is_bad=False)
    text = "answers with as much trust as an accepted one must have"
    return _Limit("trusted", text, "reasons", None, *fitted, too_many_is_bad=False)


def _compared(limit: _Limit, reference: Window, recent: Window) -> Expectation:
    first, latest = _share(reference, limit), _share(recent, limit)
    fitted = (limit.expected, limit.n, limit.groups)
    state = _state(limit, latest)
    return Expectation(limit.name, limit.text, *fitted, first, latest, state)


def _share(window: Window, limit: _Limit) -> Share | None:
    reached = _reached(window, limit)
    known = np.isfinite(reached)
    if not known.any():
        return None
    _, number = np.unique(window.upload[known], return_inverse=True)
    hits = np.bincount(number, weights=reached[known])
    each = hits / np.bincount(number)
    drawn = np.random.default_rng(SEED).integers(0, each.size, (RESAMPLES, each.size))
    low, high = np.percentile(each[drawn].mean(axis=1), _ENDS)
    return Share(float(each.mean()), float(low), float(high))


def _reached(window: Window, limit: _Limit) -> Floats:
    """(N,) 1 or 0, as the decision has it: above a limit of the outlier score, at least sure.

    A trust score is not recorded: that it fell short stands among the reasons, but of what was
    rejected. NaN where nothing is known.
    """
    if limit.least is None:
        said = zip(window.words["decision"], window.words["reasons"], strict=True)
        return np.array(
            [np.nan if Verdict.REJECT in d else float(Reason.LOW_TRUST not in r) for d, r in said]
        )
    values = window.numbers[limit.quantity]
    reached = values > limit.least if limit.too_many_is_bad else values >= limit.least
    return np.where(np.isfinite(values), reached, np.nan)


def _state(limit: _Limit, recent: Share | None) -> State:
    """Too many outliers alarm; less confidence may be a mix of other cases and is to be watched."""
    if recent is None:
        return "unknown"
    if limit.too_many_is_bad:
        return "alert" if recent.ci_low > limit.expected + TOLERANCE else "steady"
    return "watch" if recent.ci_high < limit.expected - TOLERANCE else "steady"
