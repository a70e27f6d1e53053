"""What a finished graph makes of held-out slices, and of out-of-distribution images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError
from slicewise.fitting.ood_fit import (
    FEWEST,
    Seen,
    cross_scores,
    fit_ood_detector,
    limits_of,
)
from slicewise.fitting.trust_fit import fit_neighbours
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.inference.ood import OodDetector, appearances_of
from slicewise.inference.rule import OutOfDistribution
from slicewise.inference.trust import TrustReference
from slicewise.predictions.table import PredictionTable
from slicewise.progress import track
from slicewise.synthetic.ood.kinds import kinds_of, ood_slices
from slicewise.synthetic.ood.picture import Kind
from slicewise.training.bundle_config import RefusalConfig

BATCH = 32
DONORS = 64
"""Slices that out-of-distribution images are made from, where a kind is made from slices."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a graph makes of slices of a manifest.

    Args:
        seen: The same slices as the out-of-distribution fit takes them.
    """

    table: PredictionTable
    seen: Seen


def evidence_of(
    classifier: Classifier, manifest: Manifest, split: str, trust: TrustReference | None = None
) -> Evidence:
    """Run a graph on one split.

    Args:
        classifier: Holds the graph; its decision rule is not used.
        trust: Training slices that distances are taken to; None for no distances.
    """
    rows, bundle = manifest.subset(split).rows, classifier.bundle
    logits, seen = _answered(classifier, manifest, split)
    table = PredictionTable(
        classes=bundle.classes,
        negative_class=bundle.negative_class,
        logits=logits,
        targets=np.array([bundle.classes.index(row.label) for row in rows], dtype=np.int64),
        groups=seen.kinds,
        sources=np.array([row.source for row in rows]),
        paths=np.array([row.path for row in rows]),
        class_distances=None if trust is None else trust.class_distances(seen.embeddings),
    )
    return Evidence(table, seen)


def seen_of(classifier: Classifier, manifest: Manifest, split: str) -> Seen:
    """Slices as the out-of-distribution fit takes them, whatever their labels."""
    return _answered(classifier, manifest, split)[1]


def _answered(
    classifier: Classifier, manifest: Manifest, split: str
) -> tuple[NDArray[np.float32], Seen]:
    """Logits (N, K) of one split, and the same slices for the out-of-distribution fit."""
    logits, embeddings, appearances = [], [], []
    rows = manifest.subset(split).rows
    slices = (read_slice(manifest.resolve(row)) for row in track(rows, f"Answering split {split}"))
    for batch in batched(slices, BATCH):
        outputs = classifier.forward(batch)
        logits.append(outputs.logits)
        embeddings.append(outputs.embedding)
        appearances.append(appearances_of(batch))
    groups = np.array([row.group for row in rows])
    seen = Seen(np.concatenate(embeddings), np.concatenate(appearances), groups)
    return np.concatenate(logits), seen


def ood_evidence(
    classifier: Classifier, kinds: Sequence[Kind], donors: Sequence[Slice], per_kind: int, seed: int
) -> Seen:
    """Run a graph on out-of-distribution images.

    Args:
        donors: Held-out slices that some kinds are made from.
        per_kind: Images of each kind.
    """
    embeddings, appearances = [], []
    for kind in track(kinds, "Fitting out-of-distribution limits"):
        for batch in batched(ood_slices(kind.name, per_kind, seed, donors), BATCH):
            embeddings.append(classifier.forward(batch).embedding)
            appearances.append(appearances_of(batch))
    names = np.repeat([kind.name for kind in kinds], per_kind)
    return Seen(np.concatenate(embeddings), np.concatenate(appearances), names)


def trust_reference_of(
    classifier: Classifier, manifest: Manifest, known: Seen, seed: int
) -> TrustReference:
    """Where the training slices lie; those without a class of their own are left out.

    Raises:
        EvaluationError: A class has no training slice.
    """
    classes = classifier.bundle.classes
    labels = [row.label for row in manifest.subset("train").rows]
    typed = np.array([label in classes for label in labels], dtype=np.bool_)
    numbers = np.array([classes.index(label) for label in labels if label in classes])
    seen = known.take(typed)
    return fit_neighbours(seen.embeddings, numbers, seen.kinds, len(classes), seed=seed)


def fit_refusal(
    classifier: Classifier,
    manifest: Manifest,
    real: Seen,
    known: Seen,
    config: RefusalConfig,
    seed: int,
) -> tuple[OodDetector, OutOfDistribution]:
    """Detector and limits of one graph, from its validation and training slices.

    Training slices serve the whitening only: weights and limits come from validation groups.

    Args:
        config: How many images of each kind, and which share of slices to refuse.

    Raises:
        EvaluationError: If there are too few validation slices or groups.
    """
    validation = manifest.subset("val").rows
    if len(validation) < FEWEST:
        raise EvaluationError(
            f"refusal limits: expected {FEWEST} validation slices or more; got {len(validation)}"
        )
    kinds = kinds_of()
    donors = donors_of(manifest, validation, seed)
    images = ood_evidence(classifier, kinds, donors, config.per_kind, seed)
    scores = cross_scores(real, images, known, seed=seed)
    names = [kind.name for kind in kinds]
    limits = limits_of(scores, real.kinds, names, config.reviewed, config.rejected)
    return fit_ood_detector(real, images, known), limits


def donors_of(manifest: Manifest, rows: Sequence[ManifestRow], seed: int) -> list[Slice]:
    """Some slices of a manifest, drawn at random."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:DONORS]
    return [read_slice(manifest.resolve(rows[i])) for i in chosen]
