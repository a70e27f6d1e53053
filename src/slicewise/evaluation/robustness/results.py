"""Answers to corrupted slices and to out-of-distribution pictures, as metrics with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from slicewise.arrays import Floats, Strings
from slicewise.evaluation.robustness.corruptions import CORRUPTIONS
from slicewise.evaluation.summary import nested
from slicewise.inference.decision import Verdict
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import Share, mean_of, share_of, wilson
from slicewise.synthetic.ood.kinds import KINDS

Setting = tuple[str, int]
"""Corruption and level."""
CLEAN: Setting = ("clean", 0)
CHANGES = ("accuracy", "accepted", "accepted_wrong", "confidence")
"""Measures of which the difference to the same slices unchanged is given too."""
_VERDICTS = {"accepted": Verdict.ACCEPT, "reviewed": Verdict.REVIEW, "rejected": Verdict.REJECT}
NO_INTERVAL = "pictures of one kind resemble each other, and kinds are few"


class Outcome(NamedTuple):
    """What matters here of one answer; the label is one of those that the slices have."""

    label: str
    verdict: Verdict
    confidence: float
    reasons: tuple[str, ...]


def corruption_metrics(
    labels: Strings,
    groups: Strings,
    outcomes: Mapping[Setting, Sequence[Outcome]],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Metrics of every setting, all from the same resamples of groups.

    Args:
        labels: (N,) true classes.
        groups: (N,) leak-free units.
        outcomes: N answers by setting, `CLEAN` among them.

    Returns:
        `clean`, and `perturbations` by name with one entry a level; `accuracy_change` and its like
        are paired differences to the clean answers.
    """
    columns = {setting: _columns(labels, answers) for setting, answers in outcomes.items()}
    clean = columns[CLEAN]
    quantities: dict[Key, Quantity] = {}
    for (name, level), column in columns.items():
        own = {measure: share_of(values) for measure, values in column.items()}
        needs = "accuracy of accepted needs an accepted slice"
        own["accuracy_of_accepted"] = share_of(column["accuracy"], column["accepted"] > 0, needs)
        quantities |= {(name, str(level), measure): share for measure, share in own.items()}
        if (name, level) != CLEAN:
            for measure in CHANGES:
                change = mean_of(column[measure] - clean[measure])
                quantities[name, str(level), f"{measure}_change"] = change
    found = nested(group_intervals(quantities, groups, labels, bootstrap))
    clean_name, clean_level = CLEAN
    return {
        "clean": found.pop(clean_name)[str(clean_level)],
        "perturbations": {
            name: {
                "unit": entry.unit,
                "source": entry.source,
                "levels": [
                    {"level": level, "strength": strength, **found[name][str(level)]}
                    for level, strength in enumerate(entry.strengths, start=1)
                    if str(level) in found[name]
                ],
            }
            for name, entry in CORRUPTIONS.items()
            if name in found
        },
    }


def ood_metrics(
    outcomes: Mapping[str, Sequence[Outcome]], fitted_on: frozenset[str], level: float
) -> dict[str, Any]:
    """Verdicts on out-of-distribution pictures by kind, and over all kinds the limits never saw.

    Shares over several kinds have no interval: pictures of one kind resemble each other, and kinds
    are too few to resample. The number of kinds stands beside them instead.
    """
    unseen = [answers for kind, answers in outcomes.items() if kind not in fitted_on]
    seen = [answers for kind, answers in outcomes.items() if kind in fitted_on]
    return {
        "kinds": {
            name: {
                "family": KINDS[name].family,
                "half": KINDS[name].half,
                "says": KINDS[name].description,
                "fitted_on": name in fitted_on,
                **_verdicts(answers, lambda count, n: wilson(count, n, level)),
            }
            for name, answers in outcomes.items()
        },
        "unseen_kinds": _over_kinds(unseen) if unseen else None,
        "seen_kinds": _over_kinds(seen) if seen else None,
    }


def _over_kinds(kinds: Sequence[Sequence[Outcome]]) -> dict[str, Any]:
    answers = [answer for answers in kinds for answer in answers]
    shares = _verdicts(answers, lambda count, n: Estimate(count / n, reason=NO_INTERVAL))
    return {"kinds": len(kinds), **shares}


def _verdicts(
    answers: Sequence[Outcome], share: Callable[[int, int], Share | Estimate]
) -> dict[str, Any]:
    counts = Counter(answer.verdict for answer in answers)
    reasons = Counter(reason for answer in answers for reason in answer.reasons)
    n = len(answers)
    return {
        "n": n,
        **{name: share(counts[verdict], n).as_json() for name, verdict in _VERDICTS.items()},
        "confidence": float(np.mean([answer.confidence for answer in answers])),
        "reasons": dict(reasons.most_common()),
    }


def _columns(labels: Strings, answers: Sequence[Outcome]) -> dict[str, Floats]:
    correct = np.array([answer.label for answer in answers]) == labels
    verdicts = np.array([answer.verdict.value for answer in answers])
    decided = {name: verdicts == verdict.value for name, verdict in _VERDICTS.items()}
    columns = {
        "accuracy": correct,
        **decided,
        "accepted_wrong": decided["accepted"] & ~correct,
        "confidence": np.array([answer.confidence for answer in answers]),
    }
    return {name: values.astype(np.float64) for name, values in columns.items()}
