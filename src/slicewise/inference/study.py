"""Slices of one series to one study-level answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slicewise.inference.decision import (
    DecisionRule,
    Prediction,
    StudyAnswer,
    StudyPrediction,
    Threshold,
    Verdict,
    decide,
)

WINDOW = 3
"""Neighbouring slices averaged together: a tumor spans several, a false alarm rarely does."""

KEY_SLICES = 3


def study_prediction(
    source: str,
    plane: str | None,
    predictions: Sequence[Prediction],
    negative_class: str | None,
    rule: DecisionRule,
    threshold: Threshold,
) -> StudyPrediction:
    """Answer for a series from the answers for its slices, in order along the normal.

    The probabilities are averaged over each run of three neighbouring slices; the run with the
    highest tumor probability speaks for the study (without a negative class: the mean of all).
    Rejected slices do not speak, unless all are rejected.
    """
    speaking = [p for p in predictions if p.decision is not Verdict.REJECT] or list(predictions)
    classes = tuple(speaking[0].probabilities)
    table = np.array([[p.probabilities[name] for name in classes] for p in speaking])
    answer = _answer(table, speaking, classes, negative_class, threshold.value, len(predictions))
    flag = _reached(answer.tumor_probability, threshold.value)
    blank = all(p.decision is Verdict.REJECT for p in predictions)
    decision, reasons = decide(answer.label, negative_class, flag, rule, blank=blank)
    return StudyPrediction(
        source,
        plane,
        answer,
        threshold.value,
        decision,
        [*reasons, *threshold.reasons],
        speaking[0].bundle,
    )


def _answer(
    table: NDArray[np.float64],
    speaking: Sequence[Prediction],
    classes: tuple[str, ...],
    negative_class: str | None,
    threshold: float | None,
    total: int,
) -> StudyAnswer:
    if negative_class is None or threshold is None:
        mean = table.mean(axis=0)
        key = _top(table[:, mean.argmax()])
        return StudyAnswer(
            classes[mean.argmax()], None, None, total, [speaking[i].source for i in key]
        )
    tumor = 1.0 - table[:, classes.index(negative_class)]
    runs = _moving_mean(table, WINDOW)
    winner = runs[runs[:, classes.index(negative_class)].argmin()]
    probability = float(1.0 - winner[classes.index(negative_class)])
    label = _label(winner, classes, negative_class, probability >= threshold)
    return StudyAnswer(
        label=label,
        tumor_probability=probability,
        slices_flagged=sum(p.tumor_flag is True for p in speaking),
        slices_total=total,
        key_slices=[speaking[i].source for i in _top(tumor)],
    )


def _label(
    mean: NDArray[np.float64], classes: tuple[str, ...], negative_class: str, tumor: bool
) -> str:
    if not tumor:
        return negative_class
    others = [i for i, name in enumerate(classes) if name != negative_class]
    return classes[max(others, key=lambda i: mean[i])]


def _moving_mean(table: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    width = min(window, len(table))
    views = np.lib.stride_tricks.sliding_window_view(table, width, axis=0)
    return np.asarray(views.mean(axis=-1))


def _top(scores: NDArray[np.float64]) -> list[int]:
    """Indices of the highest scores, back in the order of the series."""
    return sorted(np.argsort(-scores, kind="stable")[:KEY_SLICES].tolist())


def _reached(probability: float | None, threshold: float | None) -> bool | None:
    return None if probability is None or threshold is None else probability >= threshold
