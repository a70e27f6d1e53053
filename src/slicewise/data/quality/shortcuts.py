"""How well files and borders alone predict the class, and the source: a shortcut for any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slicewise.arrays import Array, Ints
from slicewise.data.quality.features import FAMILIES, FEATURES
from slicewise.errors import MissingExtraError
from slicewise.progress import Progress, Tally
from slicewise.stats.intervals import Share, mean_share_by_class, share_by_group

FOLDS = 5
SEED = 42
_TREES = 80
_SMALLEST_LEAF = 5
_REPEATS = 3
_ABSENT = -1.0
"""No feature that a file may lack is negative."""
_JUDGED = 1000
"""Slices of each held-out fold on which features are shuffled."""


@dataclass(frozen=True, slots=True)
class FamilyScore:
    """How well one family of features predicts by itself.

    Args:
        family: Its name in `FAMILIES`, or `all`.
        accuracy: On held-out groups.
        balanced_accuracy: Mean over classes of the share answered right.
    """

    family: str
    accuracy: Share
    balanced_accuracy: Share


@dataclass(frozen=True, slots=True)
class Probe:
    """What the features predict.

    Args:
        target: `class` or `source`.
        n: Slices.
        groups: Leak-free groups.
        folds: Of the cross-validation by group.
        majority: Share of the most common answer.
        chance: Balanced accuracy of guessing: one over the number of answers.
        scores: Of all features together, then of each family alone.
        importance: By feature, the most important first: how much balanced accuracy falls when it
            is shuffled among the held-out slices.
    """

    target: str
    n: int
    groups: int
    folds: int
    majority: float
    chance: float
    scores: tuple[FamilyScore, ...]
    importance: tuple[tuple[str, float], ...]


def require_sklearn() -> None:
    """Find out early whether the probe can run.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401 (only asks whether it is there)
    except ModuleNotFoundError:
        raise MissingExtraError("an audit", "evaluate") from None


def probe(
    features: Array,
    answers: Sequence[str],
    groups: Ints,
    target: str,
    progress: Progress | None = None,
) -> Probe | str:
    """Cross-validate a gradient-boosted classifier on the features, whole groups held out.

    Args:
        features: (N, F) in the order of `FEATURES`; what a file does not have (NaN) is a value of
            its own.
        answers: (N) class or source of each slice.
        groups: (N,) numbers of leak-free groups.
        target: What the answers are: `class` or `source`.
        progress: Told of each fold.

    Returns:
        The probe, or why there is none.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    require_sklearn()
    names, truth = np.unique(np.array(answers), return_inverse=True)
    folds = min(FOLDS, *(len(np.unique(groups[truth == k])) for k in range(len(names))))
    if len(names) < 2 or folds < 2:
        return f"expected two or more of each {target}, in two or more groups each"
    parts = _held_out(truth, groups, folds)
    known = np.nan_to_num(features, nan=_ABSENT)
    families = {"all": FEATURES, **FAMILIES}
    scores = []
    tally = Tally(progress, f"probing the {target}", len(families) + 1)
    for family, columns in families.items():
        chosen = known[:, [FEATURES.index(name) for name in columns]]
        right = _answered(chosen, truth, parts) == truth
        balanced = mean_share_by_class(right, truth, groups)
        scores.append(FamilyScore(family, share_by_group(right, groups), balanced))
        tally()
    importance = _importance(known, truth, parts)
    tally()
    return Probe(
        target=target,
        n=len(truth),
        groups=len(np.unique(groups)),
        folds=folds,
        majority=float(np.bincount(truth).max() / len(truth)),
        chance=1 / len(names),
        scores=tuple(scores),
        importance=importance,
    )


def _held_out(truth: Ints, groups: Ints, folds: int) -> list[tuple[Ints, Ints]]:
    from sklearn.model_selection import StratifiedGroupKFold

    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
    return list(dealt.split(np.zeros((len(truth), 1)), truth, groups))


def _answered(features: Array, truth: Ints, parts: Sequence[tuple[Ints, Ints]]) -> Ints:
    answers = np.zeros(len(truth), dtype=np.int64)
    for train, test in parts:
        answers[test] = _fitted(features[train], truth[train]).predict(features[test])
    return answers


def _fitted(features: Array, truth: Ints) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=_TREES,
        min_samples_leaf=_SMALLEST_LEAF,
        early_stopping=False,
        class_weight="balanced",
        random_state=SEED,
    )
    return model.fit(features, truth)


def _importance(
    features: Array, truth: Ints, parts: Sequence[tuple[Ints, Ints]]
) -> tuple[tuple[str, float], ...]:
    """Permutation importance (Breiman 2001) on held-out slices, mean over folds."""
    from sklearn.inspection import permutation_importance

    falls = []
    for train, test in parts:
        chosen = np.random.default_rng(SEED).permutation(test)[:_JUDGED]
        judged = permutation_importance(
            _fitted(features[train], truth[train]),
            features[chosen],
            truth[chosen],
            scoring=_balanced_accuracy(),
            n_repeats=_REPEATS,
            random_state=SEED,
        )
        falls.append(judged.importances_mean)
    mean = np.mean(falls, axis=0)
    order = np.argsort(-mean, kind="stable")
    return tuple((FEATURES[i], round(float(mean[i]), 4)) for i in order)


def _balanced_accuracy() -> Callable[[Any, Array, Ints], float]:
    """As scikit-learn's, without its warning where a part of a fold lacks a class."""

    def score(model: Any, features: Array, truth: Ints) -> float:
        right = model.predict(features) == truth
        return float(np.mean([right[truth == k].mean() for k in np.unique(truth)]))

    return score
