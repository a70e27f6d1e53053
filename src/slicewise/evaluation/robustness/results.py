"""Answers to worse slices and to ood pictures, as metrics with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slicewise.arrays import Bools, Floats, Strings
from slicewise.data.manifest import ManifestRow
from slicewise.evaluation.robustness.catalogue import CORRUPTIONS
from slicewise.inference.decision import Prediction, Verdict
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import Share, mean_of, share_of, wilson
from slicewise.synthetic.ood.kinds import KINDS

Setting = tuple[str, int]
"""Corruption and level."""

CLEAN: Setting = ("clean", 0)

SHARES = ("accuracy", "accepted", "reviewed", "rejected", "accepted_wrong", "confidence")
"""Means over all slices of a setting."""

CHANGES = ("accuracy", "accepted", "accepted_wrong", "confidence")
"""Of these the difference to the same slices unchanged is given too."""

NO_INTERVAL = "pictures of one kind resemble each other, and kinds are few"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What matters here of one answer."""

    label: str
    verdict: Verdict
    confidence: float
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, prediction: Prediction, names: Mapping[str, str]) -> Outcome:
        """From a prediction.

        Args:
            names: What the true labels call each class.
        """
        reasons = tuple(reason.value for reason in prediction.reasons)
        label = names[prediction.label]
        return cls(label, prediction.decision, prediction.confidence, reasons)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The slices that were corrupted.

    Args:
        labels: (N,) true classes.
        groups: (N,) leak-free units; intervals resample these.
    """

    labels: Strings
    groups: Strings

    @classmethod
    def of(cls, rows: Sequence[ManifestRow]) -> Sample:
        """From rows of a manifest."""
        return cls(
            np.array([row.label for row in rows], dtype=np.str_),
            np.array([row.group for row in rows], dtype=np.str_),
        )

    @property
    def n(self) -> int:
        """Number of slices."""
        return int(self.labels.size)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(np.unique(self.groups).size)

    @property
    def per_class(self) -> dict[str, dict[str, int]]:
        """Slices and groups of each class."""
        return {
            str(label): {
                "n": int(np.count_nonzero(self.labels == label)),
                "groups": int(np.unique(self.groups[self.labels == label]).size),
            }
            for label in np.unique(self.labels)
        }


def corruption_metrics(
    sampled: Sample, outcomes: Mapping[Setting, Sequence[Outcome]], bootstrap: Bootstrap
) -> dict[str, Any]:
    """Figures of every setting, all from the same resamples of groups.

    Args:
        outcomes: By setting, one answer a slice in the order of `sampled`; `CLEAN` among them.

    Returns:
        `clean`, and `perturbations` by name with one entry a level; `accuracy_change` and its like
        are paired differences to the clean answers.
    """
    columns = {setting: _columns(sampled, answers) for setting, answers in outcomes.items()}
    quantities: dict[Key, Quantity] = {}
    for setting, column in columns.items():
        quantities |= _quantities(setting, column, columns[CLEAN])
    found = group_intervals(quantities, sampled.groups, sampled.labels, bootstrap)
    figures: dict[Setting, dict[str, Any]] = {setting: {} for setting in outcomes}
    for (name, level, figure), estimate in found.items():
        figures[name, int(level)][figure] = estimate.as_json()
    return {
        "clean": figures[CLEAN],
        "perturbations": {
            name: {
                "unit": entry.unit,
                "source": entry.source,
                "levels": [
                    {"level": level, "strength": strength, **figures[name, level]}
                    for level, strength in enumerate(entry.strengths, start=1)
                    if (name, level) in figures
                ],
            }
            for name, entry in CORRUPTIONS.items()
            if any(setting[0] == name for setting in figures)
        },
    }


def ood_metrics(
    outcomes: Mapping[str, Sequence[Outcome]], fitted_on: frozenset[str], level: float
) -> dict[str, Any]:
    """Verdicts on ood pictures by kind, and on all kinds a gate never saw.

    Shares over several kinds have no interval: their pictures are not independent (those of one
    kind resemble each other, real scans are views of few images), and kinds are too few to
    resample. The number of kinds stands beside them instead.
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
        "accepted": share(counts[Verdict.ACCEPT], n).as_json(),
        "reviewed": share(counts[Verdict.REVIEW], n).as_json(),
        "rejected": share(counts[Verdict.REJECT], n).as_json(),
        "confidence": float(np.mean([answer.confidence for answer in answers])),
        "reasons": dict(reasons.most_common()),
    }


def _columns(sampled: Sample, answers: Sequence[Outcome]) -> dict[str, Floats]:
    """One number a slice for each share."""
    correct = np.array([answer.label for answer in answers]) == sampled.labels
    verdicts = np.array([answer.verdict.value for answer in answers])
    accepted = verdicts == Verdict.ACCEPT.value
    flags: dict[str, Bools] = {
        "accuracy": correct,
        "accepted": accepted,
        "reviewed": verdicts == Verdict.REVIEW.value,
        "rejected": verdicts == Verdict.REJECT.value,
        "accepted_wrong": accepted & ~correct,
    }
    columns = {name: flag.astype(np.float64) for name, flag in flags.items()}
    columns["confidence"] = np.array([answer.confidence for answer in answers])
    return columns


def _quantities(
    setting: Setting, column: Mapping[str, Floats], clean: Mapping[str, Floats]
) -> dict[Key, Quantity]:
    name, level = setting
    found: dict[Key, Quantity] = {
        (name, str(level), share): share_of(column[share]) for share in SHARES
    }
    found[name, str(level), "accuracy_of_accepted"] = share_of(
        column["accuracy"],
        column["accepted"] > 0,
        "accuracy of accepted needs an accepted slice",
    )
    if setting != CLEAN:
        for share in CHANGES:
            change = column[share] - clean[share]
            found[name, str(level), f"{share}_change"] = mean_of(change)
    return found
