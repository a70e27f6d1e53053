"""What a finished graph gives, and what turns it into answers: fitted on held-out groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from slicewise.arrays import Array, Floats
from slicewise.data.manifest import Manifest
from slicewise.errors import EvaluationError
from slicewise.fitting.acceptance import fit_acceptance, fit_neighbours
from slicewise.fitting.calibration import class_balanced, fit_bias_corrected, fit_temperature
from slicewise.fitting.conformal import fit_conformal
from slicewise.fitting.ood_fit import FEWEST, Seen, cross_scores, fit_ood_detector, limits_of
from slicewise.fitting.operating_point import (
    least_cost,
    target_sensitivity,
    target_specificity,
    youden_j,
)
from slicewise.imaging.batches import batched
from slicewise.imaging.preprocess import to_batch
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.inference.ood import OodDetector, appearances_of
from slicewise.inference.rule import DecisionRule, OperatingPoint, OutOfDistribution
from slicewise.inference.trust import TrustReference
from slicewise.predictions.table import PredictionTable
from slicewise.synthetic.ood.kinds import kinds_of, ood_slices
from slicewise.synthetic.ood.picture import Kind
from slicewise.training.config import BundleConfig, OperatingPointConfig, RefusalConfig
from slicewise.training.data.dataset import DecodedSlices, in_parallel
from slicewise.training.loop.callbacks import announce

Fitted = TypeVar("Fitted")
BATCH = 32
DONORS = 64
"""Slices that out-of-distribution images are made from, where a kind is made from slices."""


def fit_decision(held_out: PredictionTable, described: str, settings: BundleConfig) -> DecisionRule:
    """Calibration by likelihood, then the tumor threshold by its rule on calibrated scores.

    What the held-out answers cannot give stays unfitted; the run says so on stderr, and a bundle
    without a threshold answers at 0.5 with the reason `threshold_not_fitted`.

    Args:
        held_out: Answers for slices that no weight behind them was trained on.
    """
    calibration = _calibration(held_out, settings)
    calibrated, refusal = held_out.decided(calibration), settings.refusal
    point = None
    if calibrated.negative_class is not None:
        point = _fitted(
            lambda: _by_rule(settings.operating_point, calibrated),
            "NO TUMOR THRESHOLD FITTED, 0.5 is used and every answer says so",
        )
    conformal = _fitted(
        lambda: fit_conformal(calibrated, refusal.coverage),
        "NO PREDICTION SETS, every answer is left for review",
    )
    acceptance = _fitted(
        lambda: fit_acceptance(calibrated, refusal.accept_target, refusal.unknown),
        "NOTHING WILL BE ACCEPTED, every answer is left for review",
    )
    fitted = {"operating_point": point, "conformal": conformal, "acceptance": acceptance}
    return calibration.model_copy(update={**fitted, "fitted_on": described})


def _calibration(held_out: PredictionTable, settings: BundleConfig) -> DecisionRule:
    """A rule of calibration alone; an empty one where none can be fitted."""
    logits, targets = held_out.logits, held_out.targets
    try:
        weights = class_balanced(targets, len(held_out.classes), settings.class_balance)
        if settings.calibration == "temperature":
            temperature = fit_temperature(logits, targets, weights)
            return DecisionRule(temperature=temperature, class_balance=settings.class_balance)
        temperature, biases = fit_bias_corrected(logits, targets, weights)
    except EvaluationError as error:
        announce(f"NOT CALIBRATED ({settings.calibration}): {error}")
        return DecisionRule()
    class_bias = dict(zip(held_out.classes, biases.tolist(), strict=True))
    return DecisionRule(
        temperature=temperature, class_bias=class_bias, class_balance=settings.class_balance
    )


def _fitted(fit: Callable[[], Fitted], otherwise: str) -> Fitted | None:
    """What is fitted, or None after a line that says what its absence means."""
    try:
        return fit()
    except EvaluationError as error:
        announce(f"{otherwise}: {error}")
        return None


def _by_rule(settings: OperatingPointConfig, calibrated: PredictionTable) -> OperatingPoint:
    scores, tumor = calibrated.tumor_probability(), calibrated.is_tumor()
    groups = calibrated.groups
    match settings.rule, settings.numbers:
        case "target_sensitivity", [value]:
            return target_sensitivity(scores, tumor, groups, value)
        case "target_specificity", [value]:
            return target_specificity(scores, tumor, groups, value)
        case "cost", [missed, false_alarm, prevalence]:
            return least_cost(
                scores, tumor, groups, missed=missed, false_alarm=false_alarm, prevalence=prevalence
            )
    return youden_j(scores, tumor, groups)


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
    """Run a graph on decoded slices, whatever their labels, on several threads."""
    batches = np.split(slices.images, range(BATCH, len(slices.images), BATCH))
    forward = in_parallel(
        lambda b: classifier.run(to_batch(b)), batches, "Answering slices", workers
    )
    logits, embeddings = zip(*((one.logits, one.embedding) for one in forward), strict=True)
    seen = Seen(np.concatenate(embeddings), slices.appearances, slices.groups)
    return Evidence(slices.manifest, np.concatenate(logits), seen)


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
