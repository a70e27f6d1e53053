"""Slices of a manifest to tables of answers, one table a model, and what a rule makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array, Floats, Ints
from slicewise.data.duplicates.fingerprint import Fingerprints, concatenate, fingerprints
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.public.index import pixels_sha256
from slicewise.errors import EvaluationError, InputError, InternalError
from slicewise.evaluation.labels import Labels
from slicewise.evaluation.slices import require_unchanged
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Failure, InternalFailure, Slice, is_synthetic
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import Conclusion, Prediction, Reason, conclude, threshold_of
from slicewise.inference.rule import DecisionRule
from slicewise.predictions.table import JOINT, PredictionTable

BATCH = 32
SYNTHETIC = "synthetic slices are never measured on"
_Kept = tuple[Prediction, Array, Floats | None]
"""Of an answer: prediction, logits (K,), distances (K,); maps of a whole split fill the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitAnswers:
    """What classifiers say about the N readable slices of a split, all in the order of `rows`.

    Args:
        rows: Labels as the evaluation reads them.
        tables: One a classifier; columns in the order of the classes of the evaluation.
        thumbnails: (N, 1024) float32, for the nearest-neighbour baseline.
        pixels: `pixels_sha256` of each.
        failed: Slices that could not be read, or whose file has changed.
    """

    rows: tuple[ManifestRow, ...]
    tables: tuple[PredictionTable, ...]
    thumbnails: NDArray[np.float32]
    prints: Fingerprints
    pixels: tuple[str, ...]
    failed: tuple[Failure, ...]


def answer_split(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifiers: Sequence[Classifier],
    labels: Labels,
    step: Callable[[], None],
) -> SplitAnswers:
    """Slices read once, answered by models of the same classes; `EvaluationError` without any."""
    read: list[ManifestRow] = []
    failed: list[Failure] = []
    answers: list[list[_Kept]] = [[] for _ in classifiers]
    thumbnails, prints = [], []
    pixels: list[str] = []
    for batch in batched(readable(manifest, rows, failed, step), BATCH):
        slices = [slice_ for _, slice_ in batch]
        for classifier, own in zip(classifiers, answers, strict=True):
            own += [(a.prediction, a.logits, a.class_distances) for a in classifier.answers(slices)]
        read += [row for row, _ in batch]
        thumbnails.append(np.stack([thumbnail(slice_.pixels) for slice_ in slices]))
        prints.append(fingerprints([slice_.pixels for slice_ in slices]))
        pixels += map(pixels_sha256, slices)
    if not read:
        raise EvaluationError(
            f"none of {len(rows)} slices can be used; the first: {failed[0].error}"
        )
    return SplitAnswers(
        tuple(read),
        tuple(
            _table(read, classifier.bundle, own, labels)
            for classifier, own in zip(classifiers, answers, strict=True)
        ),
        np.concatenate(thumbnails),
        concatenate(prints),
        tuple(pixels),
        tuple(failed),
    )


def with_verdicts(
    table: PredictionTable, rule: DecisionRule, concerns: Sequence[Sequence[Reason]]
) -> PredictionTable:
    """The same logits, calibrated and decided by one rule; `concerns` are about each row's picture.

    `EvaluationError` where the answers do not follow from the logits, or a distance is missing.
    """
    if rule.goes_by_trust and table.class_distances is None:
        raise EvaluationError(
            "a rule with a limit of trust needs class_distances; the table holds none"
        )
    ready = table.decided(rule)
    threshold = threshold_of(rule, table.negative_class, None)
    apart = [None] * table.n if table.class_distances is None else table.class_distances
    found = [
        conclude(shares, table.classes, table.negative_class, rule, threshold, own, near)
        for shares, own, near in zip(ready.probabilities(), concerns, apart, strict=True)
    ]
    return replace(ready, **verdict_columns(found, table.classes))


def verdict_columns(
    found: Sequence[Prediction] | Sequence[Conclusion], classes: Sequence[str]
) -> dict[str, Any]:
    """`verdicts`, `reasons` and `sets` (N, K), None where not fitted, of N decisions."""
    sets = [one.prediction_set for one in found]
    members = [[name in inside for name in classes] for inside in sets if inside is not None]
    return {
        "verdicts": np.array([str(one.decision) for one in found]),
        "reasons": np.array([JOINT.join(one.reasons) for one in found]),
        "sets": np.array(members) if len(members) == len(found) else None,
    }


def readable(
    manifest: Manifest, rows: Sequence[ManifestRow], failed: list[Failure], step: Callable[[], None]
) -> Iterator[tuple[ManifestRow, Slice]]:
    """Slices in order; those that cannot be read, or have another SHA-256, go to `failed`.

    Those that SliceWise itself failed on stand there as `InternalFailure`.
    """
    for row in rows:
        try:
            slice_ = read_slice(manifest.resolve(row))
            require_unchanged(manifest, row)
            if is_synthetic(slice_):
                raise InputError(SYNTHETIC)
        except InputError as error:
            kind = InternalFailure if isinstance(error, InternalError) else Failure
            failed.append(kind(row.path, str(error)))
        else:
            yield row, slice_
        step()


def _table(
    rows: Sequence[ManifestRow], bundle: Bundle, answers: Sequence[_Kept], labels: Labels
) -> PredictionTable:
    predictions = [prediction for prediction, _, _ in answers]
    rule = bundle.info.decision
    kept: dict[str, Any] = {
        "classes": labels.classes,
        "negative_class": labels.negative_class,
        "targets": np.array([labels.classes.index(row.label) for row in rows], dtype=np.int64),
        "groups": np.array([row.group for row in rows], dtype=np.str_),
        "sources": np.array([row.source for row in rows], dtype=np.str_),
        "paths": np.array([row.path for row in rows], dtype=np.str_),
    }
    known = [distances for _, _, distances in answers if distances is not None]
    class_distances = np.stack(known) if known else None
    if not labels.collapsed:
        order = [bundle.classes.index(name) for name in labels.classes]
        logits = np.stack([logits for _, logits, _ in answers])[:, order]
        decisions = verdict_columns(predictions, labels.classes)
        kept["class_distances"] = None if class_distances is None else class_distances[:, order]
        return replace(PredictionTable(logits=logits, **kept).decided(rule), **decisions)
    decisions = verdict_columns(predictions, bundle.classes)
    if decisions["sets"] is not None:
        decisions["sets"] = _joined(decisions["sets"], bundle, np.any)
    threshold = threshold_of(rule, bundle.negative_class, None).value
    return PredictionTable(
        logits=_binary_logits(bundle, predictions),
        thresholds=None if threshold is None else np.full(len(rows), threshold),
        answered=_binary_answers(bundle, predictions, labels),
        class_distances=(
            None if class_distances is None else _joined(class_distances, bundle, np.min)
        ),
        **kept,
        **decisions,
    )


def _binary_logits(bundle: Bundle, found: Sequence[Prediction]) -> NDArray[np.float32]:
    """(N, 2) logarithms of the calibrated probabilities of no tumor and of any tumor."""
    negative = bundle.negative_class or ""
    shares: Floats = np.array([(p.probabilities[negative], p.tumor_probability) for p in found])
    return np.log(np.maximum(shares, np.finfo(np.float32).tiny)).astype(np.float32)


def _binary_answers(bundle: Bundle, found: Sequence[Prediction], labels: Labels) -> Ints:
    """(N,) index of what was answered: tumor where the label is any kind of tumor.

    No tumor can be the likeliest of all classes and yet less likely than all tumors together.
    """
    negative = labels.classes.index(labels.negative_class or "")
    none = np.array([prediction.label == bundle.negative_class for prediction in found])
    return np.where(none, negative, 1 - negative).astype(np.int64)


def _joined(
    values: NDArray[Any], bundle: Bundle, join: Callable[..., NDArray[Any]]
) -> NDArray[Any]:
    """(N, 2) the column of no tumor beside all those of tumors joined to one; from (N, K)."""
    negative = bundle.classes.index(bundle.negative_class or "")
    tumors = join(np.delete(values, negative, axis=1), axis=1)
    return np.stack([values[:, negative], tumors], axis=1)
