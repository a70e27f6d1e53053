"""Slices of one series to one study-level answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from slicewise.arrays import Floats
from slicewise.inference.decision import (
    REMARKS,
    Prediction,
    Reason,
    StudyAnswer,
    StudyPrediction,
    Threshold,
    Verdict,
    decide,
)
from slicewise.inference.rule import DecisionRule

RUN = 0.25
"""Neighbouring slices averaged together, share of the series: a tumor spans several of them, a
false alarm rarely does, and a share means the same stretch of the head in thin slices and thick."""

SHORTEST_RUN = 3

END = 0.15
"""Share of the slices at each end that do not speak: neck, crown or the sides of the head, which no
model learnt well. Rejected slices before the first other one and after the last do not count."""

KEY_SLICES = 3


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What the slices that speak say together.

    Args:
        label: The answer.
        tumor: Mean tumor probability of the strongest run; None without a negative class.
        flag: Whether it reaches the threshold; None without one.
        key: Slices to look at first, in the order of the series.
    """

    label: str
    tumor: float | None
    flag: bool | None
    key: list[Prediction]


def study_prediction(
    source: str,
    plane: str | None,
    predictions: Sequence[Prediction],
    negative_class: str | None,
    rule: DecisionRule,
    threshold: Threshold,
) -> StudyPrediction:
    """Answer for a series from the answers for its slices.

    Rejected slices and those outside of `middle_of` do not speak, unless no other is left. The
    tumor probability is the highest mean over a run of neighbours, a quarter of those long.
    Where it reaches the threshold, the type is that with the highest mean over the flagged slices.
    Without a negative class the type is that with the highest mean over all. The answer is
    accepted only if its key slices are accepted and agree with it, and, where it says that there
    is no tumor, no slice at all is flagged. It is rejected only if all slices are.

    Args:
        source: What to call the series.
        plane: Of the series, where known.
        predictions: For its slices, in order along the normal; at least one.
        negative_class: The class without a tumor, if the task has one.
        rule: What was fitted for the model.
        threshold: The tumor threshold in force.
    """
    heard = [p for p in predictions if p.decision is not Verdict.REJECT]
    spoken = _spoken(
        _speaking(predictions) or heard or predictions, negative_class, threshold.value
    )
    flagged = sum(p.tumor_flag is True for p in heard)
    answer = StudyAnswer(
        label=spoken.label,
        tumor_probability=spoken.tumor,
        slices_flagged=None if spoken.flag is None else flagged,
        slices_total=len(predictions),
        key_slices=[p.source for p in spoken.key],
    )
    if heard:
        decision, reasons = _decided(spoken, flagged, negative_class, rule)
    else:
        decision, reasons = Verdict.REJECT, _reasons_of(predictions)
    return StudyPrediction(
        source,
        plane,
        answer,
        threshold.value,
        decision,
        [*reasons, *threshold.reasons],
        predictions[0].bundle,
    )


def with_ends_marked(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The answers of a series, those outside of `middle_of` left for review.

    Args:
        predictions: For all slices of a series, in order along the normal.
    """
    middle = middle_of(predictions)
    return [p if i in middle else _for_review(p) for i, p in enumerate(predictions)]


def middle_of(predictions: Sequence[Prediction]) -> range:
    """Positions of the slices between the ends of a series; all of a short one.

    The series runs from the first slice that is not rejected to the last: a volume is often padded
    with blank slices, which would take up the ends.

    Args:
        predictions: For all slices of a series, in order along the normal.
    """
    heard = [i for i, p in enumerate(predictions) if p.decision is not Verdict.REJECT]
    first, stop = (heard[0], heard[-1] + 1) if heard else (0, len(predictions))
    end = int(END * (stop - first))
    return range(first + end, stop - end)


def _for_review(prediction: Prediction) -> Prediction:
    if prediction.decision is Verdict.REJECT:
        return prediction
    reasons = [*prediction.reasons, Reason.END_OF_SERIES]
    return replace(prediction, decision=Verdict.REVIEW, reasons=reasons)


def _speaking(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The slices between the ends of a series that are not rejected."""
    middle = (predictions[i] for i in middle_of(predictions))
    return [p for p in middle if p.decision is not Verdict.REJECT]


def _spoken(
    speaking: Sequence[Prediction], negative_class: str | None, threshold: float | None
) -> _Spoken:
    classes = tuple(speaking[0].probabilities)
    table = np.array([[p.probabilities[name] for name in classes] for p in speaking])
    if negative_class is None or threshold is None:
        label = classes[int(table.mean(axis=0).argmax())]
        return _Spoken(label, None, None, _key(speaking, table[:, classes.index(label)]))
    scores = 1.0 - table[:, classes.index(negative_class)]
    run = _strongest_run(scores)
    tumor = float(scores[run].mean())
    if tumor < threshold:
        return _Spoken(negative_class, tumor, False, _key(speaking, scores))
    label = _type(table[scores >= threshold], classes, negative_class)
    return _Spoken(label, tumor, True, _key(speaking, table[:, classes.index(label)]))


def _type(flagged: Floats, classes: tuple[str, ...], negative_class: str) -> str:
    """The class with a tumor that has the highest mean over the flagged slices."""
    means = dict(zip(classes, flagged.mean(axis=0), strict=True))
    return max((name for name in classes if name != negative_class), key=lambda name: means[name])


def _key(speaking: Sequence[Prediction], scores: Floats) -> list[Prediction]:
    """The slices with the highest scores in the strongest run, in the order of the series."""
    run = _strongest_run(scores)
    best = np.argsort(-scores[run], kind="stable")[:KEY_SLICES]
    return [speaking[run.start + int(i)] for i in sorted(best)]


def _strongest_run(scores: Floats) -> slice:
    """The neighbours, among the slices that speak, with the highest mean."""
    width = min(max(SHORTEST_RUN, round(RUN * len(scores))), len(scores))
    means = np.lib.stride_tricks.sliding_window_view(scores, width).mean(axis=1)
    start = int(means.argmax())
    return slice(start, start + width)


def _decided(
    spoken: _Spoken, flagged: int, negative_class: str | None, rule: DecisionRule
) -> tuple[Verdict, list[Reason]]:
    """The verdict on a study: as strict as that on its key slices."""
    concerns = _reasons_of(spoken.key)
    if spoken.label == negative_class and flagged:
        concerns.append(Reason.SLICE_FLAGGED)
    possible = {spoken.label, *(name for p in spoken.key for name in p.prediction_set or [p.label])}
    verdict, reasons = decide(
        spoken.label,
        negative_class,
        spoken.flag,
        rule,
        confidence=min(p.confidence for p in spoken.key),
        possible=sorted(possible),
        concerns=concerns,
    )
    return verdict, list(dict.fromkeys(reasons))


def _reasons_of(predictions: Sequence[Prediction]) -> list[Reason]:
    """What stood against the answers for slices, each reason once."""
    return list(dict.fromkeys(r for p in predictions for r in p.reasons if r not in REMARKS))
