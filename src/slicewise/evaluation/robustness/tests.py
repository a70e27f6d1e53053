"""How answers change when slices are corrupted, and what is answered out of distribution.

Accuracy and refusal are told together: a model that refuses what it cannot answer is better than
one that answers it wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import TUMOR
from slicewise.errors import EvaluationError
from slicewise.evaluation.content import content_key
from slicewise.evaluation.robustness.catalogue import CORRUPTIONS, corrupted
from slicewise.evaluation.robustness.plots import draw_corruptions, draw_ood
from slicewise.evaluation.robustness.results import (
    CLEAN,
    Outcome,
    Sample,
    Setting,
    corruption_metrics,
    ood_metrics,
)
from slicewise.evaluation.robustness.sections import corruption_section, ood_section
from slicewise.evaluation.sample import sample_rows
from slicewise.evaluation.sections.advice import few_groups
from slicewise.files import write_json
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.progress import Progress, Tally
from slicewise.reports.blocks import Section
from slicewise.reports.plots import require_plots
from slicewise.stats.bootstrap import Bootstrap
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
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifier: Classifier,
    out_dir: Path,
    *,
    limit: int = LIMIT,
    ood_count: int = OOD_COUNT,
    seed: int = 0,
    bootstrap: Bootstrap | None = None,
    notice: str | None = None,
    progress: Progress | None = None,
) -> list[Section]:
    """Corrupt a sample of slices, draw out-of-distribution pictures, and see what is answered.

    Writes `robustness.json`, `robustness.png` and `ood.png`.

    Args:
        manifest: Knows where the files of its rows are.
        rows: Slices that an evaluation admits: readable, not seen in training, labelled with the
            classes of the model, or with `tumor` for all of them but the negative one.
        out_dir: Folder for the files; made where missing.
        ood_count: Pictures of each out-of-distribution kind.
        bootstrap: How intervals are made; groups are drawn for each class apart, because the
            sample has a chosen mix of classes.

    Returns:
        Two parts of a report: corrupted slices, and out-of-distribution inputs.

    Raises:
        EvaluationError: If a label is unknown to the model, or a number is out of range.
        InputError: If a slice cannot be read.
        MissingExtraError: If matplotlib or scikit-learn is not installed.
    """
    require_plots()
    names = _names(rows, classifier)
    if ood_count < 1:
        raise EvaluationError(
            f"out-of-distribution pictures: expected at least 1 a kind; got {ood_count}"
        )
    sample = sample_rows(rows, limit, seed)
    corrupting = Tally(progress, "corrupted slices", len(sample) * len(_settings()))
    ood_done = Tally(progress, "out-of-distribution pictures", ood_count * len(KINDS))
    sampled = Sample.of(sample)
    outcomes, donors = _corrupted_outcomes(manifest, sample, classifier, names, seed, corrupting)
    ood = _ood_outcomes(donors, classifier, ood_count, seed, ood_done)
    plan = replace(bootstrap or Bootstrap(), stratified=True)
    report = {
        **_described(sampled, classifier, limit, seed, notice),
        **corruption_metrics(sampled, outcomes, plan),
        "strange": ood_metrics(ood, _fitted_on(classifier), plan.level),
    }
    out_dir.mkdir(parents=True, exist_ok=True)
    write_json(out_dir / "robustness.json", report)
    pictures = out_dir / "robustness.png", out_dir / "ood.png"
    draw_corruptions(report, pictures[0], notice)
    draw_ood(report, pictures[1], notice)
    return [corruption_section(report, pictures[0]), ood_section(report, pictures[1])]


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


def _settings() -> list[Setting]:
    graded = [
        (name, level)
        for name, entry in CORRUPTIONS.items()
        for level in range(1, len(entry.strengths) + 1)
    ]
    return [CLEAN, *graded]


def _corrupted_outcomes(
    manifest: Manifest,
    sample: Sequence[ManifestRow],
    classifier: Classifier,
    names: Mapping[str, str],
    seed: int,
    tally: Tally,
) -> tuple[dict[Setting, list[Outcome]], list[Slice]]:
    """Answers of every slice in every setting, and slices that pictures can be made from."""
    outcomes: dict[Setting, list[Outcome]] = {setting: [] for setting in _settings()}
    donors: list[Slice] = []
    every = max(1, len(sample) // _DONORS)
    for start, batch in enumerate(batched(sample, _BATCH)):
        slices = [read_slice(manifest.resolve(row)) for row in batch]
        keys = [content_key(manifest, row) for row in batch]
        donors += [s for k, s in enumerate(slices) if (start * _BATCH + k) % every == 0]
        for name, level in outcomes:
            changed = [
                s if level == 0 else corrupted(s, name, level, seed, key)
                for s, key in zip(slices, keys, strict=True)
            ]
            outcomes[name, level] += _outcomes(classifier, changed, names)
            tally(len(changed))
    return outcomes, donors[:_DONORS]


def _ood_outcomes(
    donors: Sequence[Slice],
    classifier: Classifier,
    count: int,
    seed: int,
    tally: Tally,
) -> dict[str, list[Outcome]]:
    outcomes: dict[str, list[Outcome]] = {}
    names = {name: name for name in classifier.bundle.classes}
    for kind in KINDS:
        outcomes[kind] = []
        made = ood_slices(kind, count, seed + _OOD_SEED, donors)
        for batch in batched(made, _BATCH):
            outcomes[kind] += _outcomes(classifier, batch, names)
            tally(len(batch))
    return outcomes


def _outcomes(
    classifier: Classifier, slices: Sequence[Slice], names: Mapping[str, str]
) -> list[Outcome]:
    return [Outcome.of(answer.prediction, names) for answer in classifier.answers(slices)]


def _fitted_on(classifier: Classifier) -> frozenset[str]:
    """Strange kinds that the gates of the model were fitted on."""
    limits = classifier.bundle.info.decision.out_of_distribution
    return frozenset() if limits is None else frozenset(limits.fitted_on_kinds)


def _described(
    sampled: Sample, classifier: Classifier, limit: int, seed: int, notice: str | None
) -> dict[str, Any]:
    reference = classifier.bundle.reference
    return {
        "bundle": {
            "name": reference.name, "version": reference.version, "sha256": reference.sha256,
        },
        "n": sampled.n,
        "groups": sampled.n_groups,
        "classes": sampled.per_class,
        "cautions": few_groups(sampled.n_groups, sampled.per_class),
        "limit": limit,
        "seed": seed,
        "notice": notice,
    }  # fmt: skip
