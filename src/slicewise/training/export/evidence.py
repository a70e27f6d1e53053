"""What a finished graph gives for slices and for out-of-distribution images, and fits on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Array, Floats
from slicewise.data.manifest import Manifest
from slicewise.errors import EvaluationError
from slicewise.fitting.ood_fit import FEWEST, Seen, cross_scores, fit_ood_detector, limits_of
from slicewise.fitting.trust_fit import fit_neighbours
from slicewise.imaging.batches import batched
from slicewise.imaging.preprocess import to_batch
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier, Outputs
from slicewise.inference.ood import OodDetector, appearances_of
from slicewise.inference.rule import OutOfDistribution
from slicewise.inference.trust import TrustReference
from slicewise.predictions.table import PredictionTable
from slicewise.synthetic.ood.kinds import kinds_of, ood_slices
from slicewise.synthetic.ood.picture import Kind
from slicewise.training.config import RefusalConfig
from slicewise.training.data.dataset import DecodedSlices, Images, in_parallel

BATCH = 32
DONORS = 64
"""Slices that out-of-distribution images are made from, where a kind is made from slices."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a graph gives for the N slices of a manifest.

    Args:
        logits: (N, K).
        seen: The same slices as the out-of-distribution fit takes them.
    """

    manifest: Manifest
    logits: Array
    seen: Seen

    def table(self, classifier: Classifier, trust: TrustReference | None = None) -> PredictionTable:
        """The answers, where every label is a class; distances only where `trust` is given."""
        rows, bundle = self.manifest.rows, classifier.bundle
        return PredictionTable(
            classes=bundle.classes,
            negative_class=bundle.negative_class,
            logits=self.logits,
            targets=np.array([bundle.classes.index(row.label) for row in rows], dtype=np.int64),
            groups=self.seen.kinds,
            sources=np.array([row.source for row in rows]),
            paths=np.array([row.path for row in rows]),
            class_distances=None if trust is None else trust.class_distances(self.seen.embeddings),
        )

    def trust_reference(self, classes: Sequence[str], seed: int) -> TrustReference:
        """Where training slices lie; those without a class of their own are left out.

        Raises:
            EvaluationError: A class has no training slice.
        """
        labels = [row.label for row in self.manifest.rows]
        typed = np.array([label in classes for label in labels], dtype=np.bool_)
        numbers = np.array([classes.index(label) for label in labels if label in classes])
        seen = self.seen.take(typed)
        return fit_neighbours(seen.embeddings, numbers, seen.kinds, len(classes), seed=seed)


def evidence_of(classifier: Classifier, slices: DecodedSlices, workers: int = 1) -> Evidence:
    """Run a graph on decoded slices, whatever their labels.

    Args:
        classifier: Holds the graph; its decision rule is not used.
        workers: Threads, one forward pass each; the result does not depend on it.
    """

    def forward(images: Images) -> Outputs:
        return classifier.run(to_batch(images))

    starts = range(BATCH, len(slices.images), BATCH)
    batches = np.split(slices.images, starts)
    outputs = list(in_parallel(forward, batches, "Answering slices", workers))
    embeddings = np.concatenate([one.embedding for one in outputs])
    seen = Seen(embeddings, slices.appearances, slices.groups)
    return Evidence(slices.manifest, np.concatenate([one.logits for one in outputs]), seen)


def ood_evidence(
    classifier: Classifier,
    kinds: Sequence[Kind],
    donors: Sequence[Slice],
    per_kind: int,
    seed: int,
    workers: int = 1,
) -> Seen:
    """Run a graph on out-of-distribution images.

    Args:
        donors: Held-out slices that some kinds are made from.
        per_kind: Images of each kind.
        workers: Threads, one kind each; the result does not depend on it.
    """

    def of_kind(kind: Kind) -> list[tuple[Array, Floats]]:
        batches = batched(ood_slices(kind.name, per_kind, seed, donors), BATCH)
        return [(classifier.forward(batch).embedding, appearances_of(batch)) for batch in batches]

    parts = in_parallel(of_kind, kinds, "Fitting out-of-distribution limits", workers)
    embeddings, appearances = zip(*(batch for part in parts for batch in part), strict=True)
    names = np.repeat([kind.name for kind in kinds], per_kind)
    return Seen(np.concatenate(embeddings), np.concatenate(appearances), names)


def fit_refusal(
    classifier: Classifier,
    validation: Evidence,
    train: Evidence,
    config: RefusalConfig,
    seed: int,
    workers: int = 1,
) -> tuple[OodDetector, OutOfDistribution]:
    """Out-of-distribution detector and limits of one graph.

    Training slices serve the whitening only: weights and limits come from validation groups.

    Args:
        config: How many images of each kind, and which share of slices to refuse.

    Raises:
        EvaluationError: If there are too few validation slices or groups.
    """
    count = len(validation.manifest.rows)
    if count < FEWEST:
        raise EvaluationError(
            f"refusal limits: expected {FEWEST} validation slices or more; got {count}"
        )
    kinds, donors = kinds_of(), donors_of(validation.manifest, seed)
    images = ood_evidence(classifier, kinds, donors, config.per_kind, seed, workers)
    real, known = validation.seen, train.seen
    scores = cross_scores(real, images, known, seed=seed)
    names = [kind.name for kind in kinds]
    limits = limits_of(scores, real.kinds, names, config.reviewed, config.rejected)
    return fit_ood_detector(real, images, known), limits


def donors_of(validation: Manifest, seed: int) -> list[Slice]:
    """Some slices of a manifest, drawn at random."""
    rows = validation.rows
    chosen = np.random.default_rng(seed).permutation(len(rows))[:DONORS]
    return [read_slice(validation.resolve(rows[i])) for i in chosen]
