"""Builders of answers with chosen heat maps, without a model."""

from __future__ import annotations

import numpy as np

from slicewise.imaging.preprocess import Placement
from slicewise.imaging.slice import Series, Slice
from slicewise.inference.bundle import (
    Bundle,
    BundleInfo,
    Origin,
    Preprocessing,
    TaskInfo,
)
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import (
    BundleReference,
    Prediction,
    Reason,
    StudyAnswer,
    StudyPrediction,
    Verdict,
)
from slicewise.inference.results import SeriesAnswers
from slicewise.inference.rule import STUDY_RULES, DecisionRule

CLASSES = ("glioma", "meningioma", "no_tumor", "pituitary")
REFERENCE = BundleReference("four-class", "0.1.0", "ab" * 32)


def bundle() -> Bundle:
    """A bundle description without a graph."""
    origin = Origin(
        run_id="r1",
        architecture="resnet18",
        started_from="random",
        manifest_sha256="cd" * 32,
        training_slices=1200,
        training_groups=80,
        created="2026-01-01T00:00:00Z",
        slicewise_version="0.1.0",
    )
    info = BundleInfo(
        name=REFERENCE.name,
        version=REFERENCE.version,
        task=TaskInfo(name="four_class", classes=CLASSES, negative_class="no_tumor"),
        preprocessing=Preprocessing(channels=("grey",)),
        study=STUDY_RULES,
        decision=DecisionRule(),
        evaluation={},
        origin=origin,
        weight_storage="float32",
        licences={},
        intended_use="research",
        files={},
    )
    return Bundle(info, REFERENCE.sha256, {})


def prediction(source: str, shares: tuple[float, float, float, float]) -> Prediction:
    """A prediction with the given probabilities of the four classes."""
    return Prediction(
        source=source,
        label=CLASSES[int(np.argmax(shares))],
        probabilities=dict(zip(CLASSES, shares, strict=True)),
        confidence=max(shares),
        tumor_probability=1 - shares[2],
        tumor_flag=1 - shares[2] >= 0.4,
        threshold=0.4,
        prediction_set=None,
        decision=Verdict.REVIEW,
        reasons=[Reason.NOT_CALIBRATED],
        bundle=REFERENCE,
        timing_ms=8.0,
    )


def answer(slice_: Slice, shares: tuple[float, float, float, float], hot: tuple[int, int] | None,
           cells: int = 7) -> Answer:  # fmt: skip
    """An answer whose map for the most probable class is one hot cell, or empty."""
    cam = np.zeros((len(CLASSES), cells, cells), dtype=np.float32)
    if hot is not None:
        cam[int(np.argmax(shares)), hot[0], hot[1]] = 3.5
    placement = Placement(0, 0, max(slice_.shape))
    logits = np.log(np.maximum(np.array(shares, np.float32), 1e-6))
    return Answer(
        prediction(slice_.source, shares), logits, cam, np.zeros(4, np.float32), placement
    )


def single(slice_: Slice, shares: tuple[float, float, float, float],
           hot: tuple[int, int] | None = (3, 3)) -> SeriesAnswers:  # fmt: skip
    """The answer for one picture."""
    return SeriesAnswers(Series([slice_], slice_.source), [answer(slice_, shares, hot)], None)


def volume(slices: list[Slice], tumor: list[float], key: list[int]) -> SeriesAnswers:
    """The answers for a series with the given tumor probability of each slice."""
    answers = [
        answer(one, (0.8 * p, 0.1 * p, 1 - p, 0.1 * p), (2, 4))
        for one, p in zip(slices, tumor, strict=True)
    ]
    flagged = sum(p >= 0.4 for p in tumor)
    said = StudyAnswer("glioma", max(tumor), flagged, len(slices), [slices[i].source for i in key])
    study = StudyPrediction(
        "series", "axial", said, 0.4, Verdict.REVIEW, [Reason.NOT_CALIBRATED], REFERENCE
    )
    return SeriesAnswers(Series(slices, "series", True, "axial"), answers, study)
