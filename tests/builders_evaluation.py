"""Prediction tables and decision rules made up for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slicewise.evaluation.evaluate import PartInput
from slicewise.inference.rule import DecisionRule, OperatingPoint
from slicewise.predictions.table import PredictionTable
from slicewise.stats.bootstrap import Bootstrap

FOUR = ("glioma", "meningioma", "no_tumor", "pituitary")


def table_of(
    groups=40, per_group=5, seed=0, classes=FOUR, negative_class="no_tumor", skill=3.0
) -> PredictionTable:
    """Logits of groups of one class each; the first slices are tumors of `figshare`."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), per_group)
    targets = group % len(classes)
    shared = rng.normal(size=(groups, len(classes)))[group]
    noise = rng.normal(size=(group.size, len(classes)))
    logits = skill * np.eye(len(classes))[targets] + shared + noise
    labels = np.array(classes)[targets]
    return PredictionTable(
        classes=classes,
        negative_class=negative_class,
        logits=logits.astype(np.float32),
        targets=targets.astype(np.int64),
        groups=np.array([f"group-{i:03d}" for i in group]),
        sources=np.where(labels == negative_class, "web", "figshare"),
        paths=np.array([f"{label}/{i}.png" for i, label in enumerate(labels)]),
    )


def with_distances(table: PredictionTable, seed: int = 0) -> PredictionTable:
    """The same answers by a model that remembers slices, nearest to those of the true class."""
    rng = np.random.default_rng(seed)
    distances = rng.uniform(0.6, 1.4, table.logits.shape)
    distances[np.arange(table.n), table.targets] *= 0.7
    return replace(table, class_distances=distances)


def rule_of(temperature: float | None = 1.3, threshold: float | None = 0.4) -> DecisionRule:
    """A decision rule with these numbers, made-up measurements beside them."""
    if threshold is None:
        return DecisionRule(temperature=temperature)
    point = OperatingPoint(
        threshold=threshold, rule="youden_j", sensitivity=0.9, specificity=0.8, n=50, groups=10
    )
    return DecisionRule(temperature=temperature, operating_point=point)


def decided_table() -> PredictionTable:
    """Forty groups of five slices: the first five slices are rejected, the next ten reviewed."""
    table = table_of().decided(rule_of())
    verdicts = np.full(table.n, "accept")
    verdicts[:5], verdicts[5:15] = "reject", "review"
    reasons = np.full(table.n, "", dtype="U60")
    reasons[:5], reasons[5:15] = "colour_picture", "low_confidence;several_classes_possible"
    probabilities = table.probabilities()
    sets = probabilities >= np.minimum(0.2, probabilities.max(axis=1, keepdims=True))
    return replace(table, verdicts=verdicts, reasons=reasons, sets=sets)


def input_of(manifest, classifier, out_dir, rows=None, **more) -> PartInput:
    """What a part of a report works on: all rows of a manifest, 50 resamples."""
    own = manifest.rows if rows is None else rows
    given = {"bootstrap": Bootstrap(resamples=50), **more}
    return PartInput(manifest=manifest, rows=own, classifier=classifier, out_dir=out_dir, **given)
