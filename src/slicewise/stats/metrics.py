"""The quantities that say how good a set of predictions is: pure functions of arrays.

`predicted` and `targets` are (N,) class indices, `flagged` and `positives` (N,) booleans (for one
class of many, flag where it was predicted), `scores` (N,) finite numbers, larger for positives, and
`probabilities` (N, K) in [0, 1] with rows that sum to one. `classes` are the indices to average
over: a class without a slice has no sensitivity, and leaving it out unasked would change what is
measured. Every function raises EvaluationError where a shape or value is off, or where the quantity
is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from slicewise.arrays import Bools, Ints
from slicewise.errors import EvaluationError
from slicewise.stats.checks import (
    require_flags,
    require_probabilities,
    require_some,
    require_targets,
)
from slicewise.stats.curves import pr_points, reliability_bins, roc_points, threshold_counts


def accuracy(predicted: ArrayLike, targets: ArrayLike) -> float:
    """Share of slices whose predicted class is the true one."""
    guesses, truth = _label_pair(predicted, targets)
    return float(np.mean(guesses == truth))


def balanced_accuracy(predicted: ArrayLike, targets: ArrayLike, classes: Sequence[int]) -> float:
    """Mean of the sensitivities of the classes."""
    return _macro(sensitivity, predicted, targets, classes)


def macro_f1(predicted: ArrayLike, targets: ArrayLike, classes: Sequence[int]) -> float:
    """Mean of the F1 scores of the classes."""
    return _macro(f1, predicted, targets, classes)


def macro_auroc(probabilities: ArrayLike, targets: ArrayLike, classes: Sequence[int]) -> float:
    """Mean of the areas under the ROC curves, each class against all the rest."""
    scores = require_probabilities(probabilities)
    truth = require_targets(targets, scores.shape[0], scores.shape[1])
    _require_classes(classes)
    return float(np.mean([auroc(scores[:, k], truth == k) for k in classes]))


def auroc(scores: ArrayLike, positives: ArrayLike) -> float:
    """Chance that a positive scores above a negative, ties counting half (Hanley & McNeil 1982)."""
    false_alarms, sensitivities = roc_points(threshold_counts(scores, positives))
    return float(np.trapezoid(sensitivities, false_alarms))


def auprc(scores: ArrayLike, positives: ArrayLike) -> float:
    """Average precision: precision at every threshold, weighted by the recall it adds."""
    recall, precision = pr_points(threshold_counts(scores, positives))
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def sensitivity(flagged: ArrayLike, positives: ArrayLike) -> float:
    """Share of the positives that are flagged (recall)."""
    flags, truth = _flag_pair(flagged, positives)
    return _share("sensitivity", flags & truth, truth, "a positive")


def specificity(flagged: ArrayLike, positives: ArrayLike) -> float:
    """Share of the negatives that are not flagged."""
    flags, truth = _flag_pair(flagged, positives)
    return _share("specificity", ~flags & ~truth, ~truth, "a negative")


def ppv(flagged: ArrayLike, positives: ArrayLike) -> float:
    """Share of the flagged that are positive (precision); depends on how common positives are."""
    flags, truth = _flag_pair(flagged, positives)
    return _share("ppv", flags & truth, flags, "a flagged slice")


def npv(flagged: ArrayLike, positives: ArrayLike) -> float:
    """Share of the not flagged that are negative; it depends on how common positives are."""
    flags, truth = _flag_pair(flagged, positives)
    return _share("npv", ~flags & ~truth, ~flags, "a slice that is not flagged")


def f1(flagged: ArrayLike, positives: ArrayLike) -> float:
    """Harmonic mean of precision and sensitivity; 0 where positives exist and none is flagged."""
    flags, truth = _flag_pair(flagged, positives)
    require_some("f1", int(truth.sum()), truth.size, "a positive")
    return 2 * int((flags & truth).sum()) / int(flags.sum() + truth.sum())


def brier(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Multi-class Brier score: mean squared distance to the one-hot truth, 0 to 2 (Brier 1950)."""
    scores = require_probabilities(probabilities)
    truth = require_targets(targets, scores.shape[0], scores.shape[1])
    one_hot = np.eye(scores.shape[1])[truth]
    return float(np.mean(np.sum((scores - one_hot) ** 2, axis=1)))


def ece(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> float:
    """Top-label expected calibration error with bins of equal mass (Nixon et al. 2019)."""
    scores = require_probabilities(probabilities)
    truth = require_targets(targets, scores.shape[0], scores.shape[1])
    return ece_of(scores.max(axis=1), scores.argmax(axis=1) == truth, bins)


def ece_of(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """The same of answers that need not be the most probable class."""
    found = reliability_bins(confidence, correct, bins)
    gaps = np.abs(found.accuracy - found.confidence)
    return float(np.sum(gaps * found.count) / np.sum(found.count))


def confusion_matrix(predicted: ArrayLike, targets: ArrayLike, classes: int) -> Ints:
    """(K, K) counts of slices: rows are true classes, columns predicted ones."""
    truth = require_targets(targets, np.asarray(targets).size, classes)
    guesses = require_targets(predicted, truth.size, classes)
    counts = np.bincount(truth * classes + guesses, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def _share(name: str, part: Bools, whole: Bools, what: str) -> float:
    require_some(name, int(whole.sum()), whole.size, what)
    return int(part.sum()) / int(whole.sum())


def _flag_pair(flagged: ArrayLike, positives: ArrayLike) -> tuple[Bools, Bools]:
    truth = require_flags("positives", positives)
    return require_flags("flagged", flagged, truth.size), truth


def _label_pair(predicted: ArrayLike, targets: ArrayLike) -> tuple[Ints, Ints]:
    anything = np.iinfo(np.int64).max
    truth = require_targets(targets, np.asarray(targets).size, anything)
    return require_targets(predicted, truth.size, anything), truth


def _require_classes(classes: Sequence[int]) -> None:
    if len(classes) == 0:
        raise EvaluationError("classes: expected at least one class to average over; got none")


def _macro(
    quantity: Callable[[ArrayLike, ArrayLike], float],
    predicted: ArrayLike,
    targets: ArrayLike,
    classes: Sequence[int],
) -> float:
    guesses, truth = _label_pair(predicted, targets)
    _require_classes(classes)
    return float(np.mean([quantity(guesses == k, truth == k) for k in classes]))
