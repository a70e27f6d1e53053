"""Inputs of any kind to answers: read, predict in small batches, one study answer a series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from slicewise.imaging.batches import batched
from slicewise.imaging.entry import Entry
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Failure, Series
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.decision import StudyPrediction
from slicewise.inference.study import with_ends_marked

BATCH = 8
"""Slices in one forward pass: enough for throughput, little memory."""


@dataclass(frozen=True, slots=True, eq=False)
class SeriesAnswers:
    """Answers for the slices of one series, and for the series where it is a volume."""

    series: Series
    answers: list[Answer]
    study: StudyPrediction | None


def answer_inputs(
    inputs: Iterable[str | Path | Entry],
    classifier: Classifier,
    *,
    threshold: float | None = None,
    tta: bool = False,
    limits: Limits | None = None,
) -> Iterator[SeriesAnswers | Failure]:
    """Answer for every input, one series after the other; a bad input is a `Failure` among them.

    Args:
        inputs: Files, folders and zips of any kind, or open entries, as `read_inputs` takes them.
        classifier: A loaded bundle.
        threshold: Tumor threshold to use instead of the one in the bundle.
        tta: Average over test-time views.
        limits: What is refused before decoding; None for the defaults.
    """
    for item in read_inputs(inputs, limits or Limits()):
        if isinstance(item, Failure):
            yield item
        else:
            yield answer_series(item, classifier, threshold=threshold, tta=tta)


def answer_series(
    series: Series, classifier: Classifier, *, threshold: float | None = None, tta: bool = False
) -> SeriesAnswers:
    """Answer for the slices of one series."""
    answers = [
        answer
        for batch in batched(series.slices, BATCH)
        for answer in classifier.answers(batch, threshold=threshold, tta=tta)
    ]
    return joined(series, answers, classifier, threshold=threshold)


def joined(
    series: Series,
    answers: list[Answer],
    classifier: Classifier,
    *,
    threshold: float | None = None,
) -> SeriesAnswers:
    """The answers for the slices of a series with the study answer, where it is a volume.

    Args:
        series: The series.
        answers: For its slices, in their order.
        classifier: What gave them.
        threshold: Tumor threshold that was used instead of the one in the bundle.
    """
    if not series.is_volume:
        return SeriesAnswers(series, answers, None)
    predictions = with_ends_marked([answer.prediction for answer in answers])
    study = classifier.study(series, predictions, threshold=threshold)
    marked = [replace(a, prediction=p) for a, p in zip(answers, predictions, strict=True)]
    return SeriesAnswers(series, marked, study)
