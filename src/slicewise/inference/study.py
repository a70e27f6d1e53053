"""The answers for the slices of one series to one answer for the series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slicewise.arrays import Floats
from slicewise.imaging.slice import Series
from slicewise.inference.bundle import BundleInfo
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
from slicewise.inference.rule import StudyRules


def study_prediction(
    series: Series, predictions: Sequence[Prediction], info: BundleInfo, threshold: Threshold
) -> StudyPrediction:
    """Answer for a series from the answers for its slices, in order along the normal.

    Rejected slices and those outside of `middle_of` do not count, unless no other is left. The
    tumor probability is the highest mean over a run of neighbours, by the rules of the bundle.
    Where it reaches the threshold, the type is that with the highest mean over the flagged slices.
    Without a negative class the type is that with the highest mean over all. The answer is
    accepted only if its key slices are accepted and agree with it, and, where it says that there
    is no tumor, no slice at all is flagged. It is rejected only if all slices are.
    """
    negative, study = info.task.negative_class, info.study
    answered = [p for p in predictions if p.decision is not Verdict.REJECT]
    middle = [predictions[i] for i in middle_of(predictions, study.end_share)]
    counting = [p for p in middle if p.decision is not Verdict.REJECT] or answered or predictions
    label, tumor, scores = _pooled(counting, info, threshold.value)
    run = _strongest_run(scores, study)
    best = np.argsort(-scores[run], kind="stable")[: study.key_slices]
    key = [counting[run.start + int(i)] for i in sorted(best)]  # in the order of the series
    flagged = sum(p.tumor_flag is True for p in answered or predictions)
    flag = None if tumor is None or threshold.value is None else tumor >= threshold.value
    decision, reasons = Verdict.REJECT, _reasons_of(predictions)
    if answered:  # as strict as the decisions on the key slices
        concerns, confidence = _reasons_of(key), min(p.confidence for p in key)
        if label == negative and flagged:
            concerns.append(Reason.SLICE_FLAGGED)
        possible = sorted({label, *(n for p in key for n in p.prediction_set or [p.label])})
        agrees = flag is None or flag == (label != negative)
        decision, reasons = decide(info.decision, confidence, possible, concerns, agrees=agrees)
        reasons = list(dict.fromkeys(reasons))
    return StudyPrediction(
        source=series.source,
        plane=series.plane,
        study=StudyAnswer(
            label=label,
            tumor_probability=tumor,
            slices_flagged=None if flag is None else flagged,
            slices_total=len(predictions),
            key_slices=[p.source for p in key],
        ),
        threshold=threshold.value,
        decision=decision,
        reasons=[*reasons, *threshold.reasons],
        bundle=predictions[0].bundle,
        notes=list(series.notes),
    )


def with_ends_marked(predictions: Sequence[Prediction], end_share: float) -> list[Prediction]:
    """The answers for all slices of a series, those outside of `middle_of` left for review."""
    marked, middle = list(predictions), middle_of(predictions, end_share)
    for i, one in enumerate(predictions):
        if i not in middle and one.decision is not Verdict.REJECT:
            reasons = [*one.reasons, Reason.END_OF_SERIES]
            marked[i] = replace(one, decision=Verdict.REVIEW, reasons=reasons)
    return marked


def middle_of(predictions: Sequence[Prediction], end_share: float) -> range:
    """Positions of the slices between the ends of a series, each so large a share of it.

    The series runs from the first slice that is not rejected to the last: a volume is often padded
    with blank slices, which would take up the ends.
    """
    answered = [i for i, p in enumerate(predictions) if p.decision is not Verdict.REJECT]
    first, stop = (answered[0], answered[-1] + 1) if answered else (0, len(predictions))
    end = int(end_share * (stop - first))
    return range(first + end, stop - end)


def _pooled(
    counting: Sequence[Prediction], info: BundleInfo, threshold: float | None
) -> tuple[str, float | None, Floats]:
    """Label, tumor probability where there is one, and the score (N,) of each slice for it."""
    classes, negative_class = tuple(counting[0].probabilities), info.task.negative_class
    table = np.array([[p.probabilities[name] for name in classes] for p in counting])
    if negative_class is None or threshold is None:
        best = int(table.mean(axis=0).argmax())
        return classes[best], None, table[:, best]
    negative = classes.index(negative_class)
    scores = 1.0 - table[:, negative]
    tumor = float(scores[_strongest_run(scores, info.study)].mean())
    if tumor < threshold:
        return negative_class, tumor, scores
    means = table[scores >= threshold].mean(axis=0)
    means[negative] = -1.0
    best = int(means.argmax())
    return classes[best], tumor, table[:, best]


def _strongest_run(scores: Floats, study: StudyRules) -> slice:
    """The neighbours, among the counting slices, with the highest mean."""
    wanted = max(study.shortest_run, round(study.run_share * len(scores)))
    width = min(wanted, len(scores))
    means = np.lib.stride_tricks.sliding_window_view(scores, width).mean(axis=1)
    start = int(means.argmax())
    return slice(start, start + width)


def _reasons_of(predictions: Sequence[Prediction]) -> list[Reason]:
    """What stood against the answers for slices, each reason once."""
    return list(dict.fromkeys(r for p in predictions for r in p.reasons if r not in REMARKS))
