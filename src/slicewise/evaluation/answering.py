"""Slices of a manifest to tables of answers, one table a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools, Floats, Ints
from slicewise.data.duplicates.fingerprint import Fingerprints, concatenate, fingerprints
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError, InputError
from slicewise.evaluation.content import require_unchanged
from slicewise.evaluation.labels import Labels
from slicewise.evaluation.verdicts import verdict_columns
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Failure, Slice, is_synthetic
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Answer, Classifier
from slicewise.inference.decision import Prediction, threshold_of
from slicewise.predictions.table import PredictionTable

BATCH = 32
SYNTHETIC = "synthetic slices are never measured on"


@dataclass(frozen=True, slots=True, eq=False)
class SplitAnswers:
    """What classifiers say about the readable slices of a split.

    Args:
        rows: The N slices that could be read, labels as the evaluation reads them.
        tables: One a classifier, N rows each, in the order of `rows`; columns are in the order of
            the classes of the evaluation, whatever the order of the model.
        thumbnails: (N, 1024) float32, for the nearest-neighbour baseline.
        failed: Slices that could not be read, or whose file has changed.
    """

    rows: tuple[ManifestRow, ...]
    tables: tuple[PredictionTable, ...]
    thumbnails: NDArray[np.float32]
    prints: Fingerprints
    failed: tuple[Failure, ...]


def answer_split(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifiers: Sequence[Classifier],
    labels: Labels,
    step: Callable[[], None],
) -> SplitAnswers:
    """Read slices once and run every model on them, a batch at a time.

    Args:
        manifest: Knows where the files of its rows are.
        classifiers: The models, all of the same classes, each in an order of its own.

    Raises:
        EvaluationError: If not one slice can be used.
    """
    read: list[ManifestRow] = []
    failed: list[Failure] = []
    answers: list[list[Answer]] = [[] for _ in classifiers]
    thumbnails, prints = [], []
    for batch in batched(readable(manifest, rows, failed, step), BATCH):
        slices = [slice_ for _, slice_ in batch]
        for classifier, said in zip(classifiers, answers, strict=True):
            said += _without_maps(classifier.answers(slices))
        read += [row for row, _ in batch]
        thumbnails.append(np.stack([thumbnail(slice_.pixels) for slice_ in slices]))
        prints.append(fingerprints([slice_.pixels for slice_ in slices]))
    if not read:
        raise EvaluationError(
            f"none of {len(rows)} slices can be used; the first: {failed[0].error}"
        )
    tables = (
        _table(read, classifier.bundle, said, labels)
        for classifier, said in zip(classifiers, answers, strict=True)
    )
    return SplitAnswers(
        tuple(read),
        tuple(tables),
        np.concatenate(thumbnails),
        concatenate(prints),
        tuple(failed),
    )


def readable(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    failed: list[Failure],
    step: Callable[[], None],
) -> Iterator[tuple[ManifestRow, Slice]]:
    """Slices in order; those that cannot be read, or have another SHA-256, go to `failed`.

    Args:
        manifest: Knows where the files are.
    """
    for row in rows:
        try:
            slice_ = read_slice(manifest.resolve(row))
            require_unchanged(manifest, row)
        except InputError as error:
            failed.append(Failure(row.path, str(error)))
        else:
            if is_synthetic(slice_):
                failed.append(Failure(row.path, SYNTHETIC))
            else:
                yield row, slice_
        step()


def _without_maps(answers: Sequence[Answer]) -> list[Answer]:
    """Heat maps and features of a whole split would fill the memory.

    Not even an empty part of them may stay: it would hold on to the array of its batch.
    """
    return [
        replace(
            answer,
            cam=np.zeros((0, *answer.cam.shape[1:]), dtype=np.float32),
            embedding=np.zeros(0, dtype=np.float32),
        )
        for answer in answers
    ]


def _table(
    rows: Sequence[ManifestRow], bundle: Bundle, answers: Sequence[Answer], labels: Labels
) -> PredictionTable:
    said = [answer.prediction for answer in answers]
    rule = bundle.info.decision
    kept: dict[str, Any] = {
        "classes": labels.classes,
        "negative_class": labels.negative_class,
        "targets": np.array([labels.classes.index(row.label) for row in rows], dtype=np.int64),
        "groups": np.array([row.group for row in rows], dtype=np.str_),
        "sources": np.array([row.source for row in rows], dtype=np.str_),
        "paths": np.array([row.path for row in rows], dtype=np.str_),
    }
    class_distances = _distances(answers)
    if not labels.collapsed:
        order = [bundle.classes.index(name) for name in labels.classes]
        logits = np.stack([answer.logits for answer in answers])[:, order]
        decisions = verdict_columns(said, labels.classes)
        kept["class_distances"] = None if class_distances is None else class_distances[:, order]
        return replace(PredictionTable(logits=logits, **kept).decided(rule), **decisions)
    decisions = verdict_columns(said, bundle.classes)
    if decisions["sets"] is not None:
        decisions["sets"] = _joined(decisions["sets"], bundle)
    threshold = threshold_of(rule, bundle.negative_class, None).value
    return PredictionTable(
        logits=_binary_logits(bundle, answers),
        thresholds=None if threshold is None else np.full(len(rows), threshold),
        answered=_binary_answers(bundle, said, labels),
        class_distances=None if class_distances is None else _to_any_tumor(class_distances, bundle),
        **kept,
        **decisions,
    )


def _binary_logits(bundle: Bundle, answers: Sequence[Answer]) -> NDArray[np.float32]:
    """(N, 2) logarithms of the calibrated probabilities of no tumor and of any tumor."""
    tumor: Floats = np.array([answer.prediction.tumor_probability for answer in answers])
    none = np.array([a.prediction.probabilities[bundle.negative_class or ""] for a in answers])
    smallest = np.finfo(np.float32).tiny
    logits = np.log(np.maximum(np.stack([none, tumor], axis=1), smallest))
    return np.asarray(logits, dtype=np.float32)


def _binary_answers(bundle: Bundle, said: Sequence[Prediction], labels: Labels) -> Ints:
    """(N,) index of what was answered: tumor where the label is any kind of tumor.

    The most probable class of two is another question: no tumor can be the likeliest of all
    classes and yet less likely than all tumors together.
    """
    negative = labels.classes.index(labels.negative_class or "")
    none = np.array([prediction.label == bundle.negative_class for prediction in said])
    return np.where(none, negative, 1 - negative).astype(np.int64)


def _distances(answers: Sequence[Answer]) -> Floats | None:
    """(N, K) to the training slices of each class of the model, where it knows them."""
    found = [answer.class_distances for answer in answers if answer.class_distances is not None]
    return np.stack(found) if found else None


def _to_any_tumor(class_distances: Floats, bundle: Bundle) -> Floats:
    """(N, 2) to slices without a tumor, and to the nearer of those of any kind of tumor."""
    negative = bundle.classes.index(bundle.negative_class or "")
    nearest = np.delete(class_distances, negative, axis=1).min(axis=1)
    return np.stack([class_distances[:, negative], nearest], axis=1)


def _joined(sets: Bools, bundle: Bundle) -> Bools:
    """(N, 2) whether no tumor, and whether any tumor, stays possible."""
    negative = bundle.classes.index(bundle.negative_class or "")
    tumor = np.delete(sets, negative, axis=1).any(axis=1)
    return np.stack([sets[:, negative], tumor], axis=1)
