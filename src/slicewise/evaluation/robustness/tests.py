"""How answers change when slices are corrupted, and what is answered out of distribution.

Accuracy and refusal stand together: a model that refuses what it cannot answer is better than
one that answers it wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from slicewise.arrays import Strings
from slicewise.data.manifest import ManifestRow
from slicewise.data.tasks import TUMOR
from slicewise.errors import EvaluationError
from slicewise.evaluation.content import content_key
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.robustness.catalogue import CORRUPTIONS, corrupted
from slicewise.evaluation.robustness.report import corruption_section, ood_section
from slicewise.evaluation.robustness.results import (
    CLEAN,
    Outcome,
    Setting,
    corruption_metrics,
    ood_metrics,
)
from slicewise.evaluation.sample import sample_rows
from slicewise.evaluation.sections.advice import few_groups
from slicewise.files import write_json
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import require_plots
from slicewise.synthetic.ood.kinds import KINDS, ood_slices

LIMIT = 300
"""Slices that are corrupted, unless another number is asked for."""

OOD_COUNT = 300
"""Pictures of each out-of-distribution kind, unless another number is asked for."""

_BATCH = 32
_DONORS = 96
"""Slices that out-of-distribution pictures are made from; they are kept in memory."""

_OOD_SEED = 7_001
"""Added to the seed, so that no picture is one that a gate was fitted on."""


def robustness(
    given: PartInput, *, limit: int = LIMIT, ood_count: int = OOD_COUNT, seed: int = 0
) -> list[Section]:
    """Corrupt a sample of slices, draw out-of-distribution pictures, and see what is answered.

    Writes `robustness.json`, `robustness.png` and `ood.png`. Groups are resampled for each class
    apart, because the sample has a chosen mix of classes.

    Args:
        limit: Slices that are corrupted, at most.
        ood_count: Pictures of each out-of-distribution kind.

    Returns:
        Two parts of a report: corrupted slices, and out-of-distribution inputs.

    Raises:
        EvaluationError: If a label is unknown to the model, or a number is out of range.
        InputError: If a slice cannot be read.
        MissingExtraError: If matplotlib or scikit-learn is not installed.
    """
    require_plots()
    classifier, folder = given.classifier, given.out_dir
    names = _names(given.rows, classifier)
    if ood_count < 1:
        raise EvaluationError(
            f"out-of-distribution pictures: expected at least 1 a kind; got {ood_count}"
        )
    sample = sample_rows(given.rows, limit, seed)
    labels = np.array([row.label for row in sample], dtype=np.str_)
    groups = np.array([row.group for row in sample], dtype=np.str_)
    outcomes, donors = _corrupted_outcomes(given, sample, names, seed)
    ood = _ood_outcomes(given, donors, ood_count, seed)
    plan = replace(given.bootstrap, stratified=True)
    limits, per_class = classifier.bundle.info.decision.out_of_distribution, _counts(labels, groups)
    fitted_on = frozenset() if limits is None else frozenset(limits.fitted_on_kinds)
    n_groups = int(np.unique(groups).size)
    report = {
        "bundle": asdict(classifier.bundle.reference),
        "n": len(sample),
        "groups": n_groups,
        "classes": per_class,
        "cautions": few_groups(n_groups, per_class),
        "limit": limit,
        "seed": seed,
        "notice": given.notice,
        **corruption_metrics(labels, groups, outcomes, plan),
        "ood": ood_metrics(ood, fitted_on, plan.level),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "robustness.json", report)
    return [corruption_section(report, folder), ood_section(report, folder)]


def _names(rows: Sequence[ManifestRow], classifier: Classifier) -> dict[str, str]:
    """What the labels call each class: its own name, or `tumor` where they know no kinds of it."""
    bundle = classifier.bundle
    labels = {row.label for row in rows}
    if labels <= set(bundle.classes):
        return {name: name for name in bundle.classes}
    if bundle.negative_class is not None and labels <= {TUMOR, bundle.negative_class}:
        return {name: name if name == bundle.negative_class else TUMOR for name in bundle.classes}
    unknown = sorted(labels - set(bundle.classes))
    raise EvaluationError(f"labels: the model knows {', '.join(bundle.classes)}; got {unknown}")


def _counts(labels: Strings, groups: Strings) -> dict[str, dict[str, int]]:
    """Slices and groups of each class."""
    masks = {str(label): labels == label for label in np.unique(labels)}
    return {
        label: {"n": int(mine.sum()), "groups": int(np.unique(groups[mine]).size)}
        for label, mine in masks.items()
    }


def _corrupted_outcomes(
    given: PartInput, sample: Sequence[ManifestRow], names: Mapping[str, str], seed: int
) -> tuple[dict[Setting, list[Outcome]], list[Slice]]:
    """Answers of every slice in every setting, and slices that pictures can be made from."""
    outcomes: dict[Setting, list[Outcome]] = {CLEAN: []}
    for name, entry in CORRUPTIONS.items():
        outcomes |= {(name, level): [] for level in range(1, len(entry.strengths) + 1)}
    donors: list[Slice] = []
    every = max(1, len(sample) // _DONORS)
    tally = ProgressCount(given.progress, "corrupted slices", len(sample) * len(outcomes))
    for start, batch in enumerate(batched(sample, _BATCH)):
        slices = [read_slice(given.manifest.resolve(row)) for row in batch]
        keys = [content_key(given.manifest, row) for row in batch]
        donors += [s for k, s in enumerate(slices) if (start * _BATCH + k) % every == 0]
        for name, level in outcomes:
            changed = [
                s if level == 0 else corrupted(s, name, level, seed, key)
                for s, key in zip(slices, keys, strict=True)
            ]
            outcomes[name, level] += _outcomes(given.classifier, changed, names)
            tally(len(changed))
    return outcomes, donors[:_DONORS]


def _ood_outcomes(
    given: PartInput, donors: Sequence[Slice], count: int, seed: int
) -> dict[str, list[Outcome]]:
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in KINDS}
    names = {name: name for name in given.classifier.bundle.classes}
    tally = ProgressCount(given.progress, "out-of-distribution pictures", count * len(KINDS))
    for kind, answers in outcomes.items():
        for batch in batched(ood_slices(kind, count, seed + _OOD_SEED, donors), _BATCH):
            answers += _outcomes(given.classifier, batch, names)
            tally(len(batch))
    return outcomes


def _outcomes(
    classifier: Classifier, slices: Sequence[Slice], names: Mapping[str, str]
) -> list[Outcome]:
    found = [answer.prediction for answer in classifier.answers(slices)]
    return [
        Outcome(names[p.label], p.decision, p.confidence, tuple(r.value for r in p.reasons))
        for p in found
    ]
