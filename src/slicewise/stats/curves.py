"""Curves over thresholds: ROC, precision-recall, reliability, and risk against coverage.

Risk-coverage curve and its area: Geifman and El-Yaniv, NeurIPS 2017; Geifman et al., ICLR 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Floats, Ints
from slicewise.errors import EvaluationError
from slicewise.stats.checks import require_flags, require_scores, require_some


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCounts:
    """What is flagged at every distinct score, from the strictest threshold to the loosest.

    Args:
        thresholds: (T,) distinct scores, falling; a slice is flagged from them on.
        true_positives: (T,) positives flagged.
        false_positives: (T,) negatives flagged.
    """

    thresholds: Floats
    true_positives: Ints
    false_positives: Ints
    positives: int
    negatives: int


def threshold_counts(scores: ArrayLike, positives: ArrayLike) -> ThresholdCounts:
    """Count what each threshold flags; equal scores are flagged together.

    `scores` (N,) finite, larger for positives, `positives` (N,) booleans; else `EvaluationError`.
    """
    truth = require_flags("positives", positives)
    values = require_scores(scores, truth.size)
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], truth[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    true_positives = np.cumsum(hits, dtype=np.int64)[last_of_tie]
    total = int(true_positives[-1])
    return ThresholdCounts(
        thresholds=ranked[last_of_tie],
        true_positives=true_positives,
        false_positives=last_of_tie.astype(np.int64) + 1 - true_positives,
        positives=total,
        negatives=truth.size - total,
    )


def roc_points(counts: ThresholdCounts) -> tuple[Floats, Floats]:
    """1 - specificity, sensitivity: (T + 1,), 0 to 1; `EvaluationError` where a side is empty."""
    n = counts.positives + counts.negatives
    require_some("auroc", counts.positives, n, "a positive")
    require_some("auroc", counts.negatives, n, "a negative")
    return (
        np.append(0.0, counts.false_positives / counts.negatives),
        np.append(0.0, counts.true_positives / counts.positives),
    )


def pr_points(counts: ThresholdCounts) -> tuple[Floats, Floats]:
    """Recall, rising to 1, and precision, (T,) steps; `EvaluationError` without a positive."""
    require_some("auprc", counts.positives, counts.positives + counts.negatives, "a positive")
    flagged = counts.true_positives + counts.false_positives
    return counts.true_positives / counts.positives, counts.true_positives / flagged


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityBins:
    """(B,) mean confidence, rising, share of right answers, and slices of each bin with any."""

    confidence: Floats
    accuracy: Floats
    count: Ints


def reliability_bins(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> ReliabilityBins:
    """Group slices of similar confidence, equally many a bin, equal confidences together.

    Args:
        confidence: (N,) probability of the predicted class.
        correct: (N,) booleans, whether it is the true class.
        bins: How many bins, at least 1.

    Raises:
        EvaluationError: If the shapes differ or `bins` is below 1.
    """
    if bins < 1:
        raise EvaluationError(f"bins: expected at least 1; got {bins}")
    right = require_flags("correct", correct)
    values = require_scores(confidence, right.size)
    _, tie, size = np.unique(values, return_inverse=True, return_counts=True)
    middle = (np.cumsum(size) - size / 2) / values.size
    index = np.minimum((middle * bins).astype(np.int64), bins - 1)[tie]
    count = np.bincount(index, minlength=bins)
    used = count > 0
    return ReliabilityBins(
        confidence=(np.bincount(index, values, bins)[used] / count[used]),
        accuracy=(np.bincount(index, right.astype(np.float64), bins)[used] / count[used]),
        count=count[used].astype(np.int64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Error rate of the answers kept, from the surest ones to all; equally sure ones go together.

    Args:
        sureness: (T,) distinct confidences or trust scores, falling: the least one that is kept.
        coverage: (T,) share of the slices kept, rising to 1.
        risk: (T,) share of wrong answers among those kept.
        count: (T,) slices that each step adds.
    """

    sureness: Floats
    coverage: Floats
    risk: Floats
    count: Ints


def risk_coverage(sureness: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """The curve of N answers.

    `sureness` (N,) finite, larger if surer, `correct` (N,) booleans; else `EvaluationError`.
    """
    wrong = threshold_counts(sureness, ~require_flags("correct", correct))
    kept = wrong.true_positives + wrong.false_positives
    return RiskCoverage(
        sureness=wrong.thresholds,
        coverage=kept / kept[-1],
        risk=wrong.true_positives / kept,
        count=np.diff(kept, prepend=0).astype(np.int64),
    )


def risk_coverage_area(sureness: ArrayLike, correct: ArrayLike) -> float:
    """Mean error rate over all shares kept, as `risk_coverage` has them; 0 is best.

    Chance gives the error rate of all answers.
    """
    curve = risk_coverage(sureness, correct)
    return float(np.sum(curve.risk * curve.count) / curve.count.sum())
