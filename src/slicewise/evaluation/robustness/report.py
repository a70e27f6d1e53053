"""How answers change when slices are corrupted, and what is answered out of distribution.

Accuracy and refusal stand together: a model that refuses what it cannot answer is better than
one that answers it wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slicewise.data.manifest import ManifestRow
from slicewise.data.tasks import TUMOR
from slicewise.errors import EvaluationError
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.robustness import results
from slicewise.evaluation.robustness.corruptions import CORRUPTIONS, corrupted
from slicewise.evaluation.sections.advice import few_groups
from slicewise.evaluation.slices import content_key, sample_rows
from slicewise.evaluation.summary import counts_of
from slicewise.files import write_json
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, drawing, grid, require_plots
from slicewise.synthetic.ood.kinds import KINDS, ood_slices
from slicewise.text import change_text, class_text, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Report = Mapping[str, Any]
"""The content of `robustness.json`."""
_BATCH = 32
_DONORS = 96
"""Slices that out-of-distribution pictures are made from; they are kept in memory."""
_OOD_SEED = 7_001
"""Added to the seed, so that no picture is one that a gate was fitted on."""
_SHOWN_LEVELS = (1, 3, 5)
_COLUMNS = 4
_LINES = (
    ("accuracy", "right answers, all slices", COLOURS[0], "-", "o"),
    ("accepted", "accepted", COLOURS[1], "--", "s"),
    ("accepted_wrong", "accepted and wrong", COLOURS[6], ":", "^"),
)
_VERDICTS = {
    "accepted": ("accepted", COLOURS[1]),
    "reviewed": ("for review", COLOURS[5]),
    "rejected": ("rejected", COLOURS[0]),
}


def robustness(
    given: PartInput, *, limit: int = 300, ood_count: int = 300, seed: int = 0
) -> list[Section]:
    """Corrupt a sample of slices, draw out-of-distribution pictures, and see what is answered.

    Writes `robustness.json`, `robustness.png` and `ood.png`; a section for each picture. Groups
    are resampled for each class apart, because the sample has a chosen mix of classes.

    Args:
        limit: Slices that are corrupted, at most.
        ood_count: Pictures of each out-of-distribution kind.

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
    labels = np.array([row.label for row in sample])
    groups = np.array([row.group for row in sample])
    outcomes, donors = _corrupted_outcomes(given, sample, names, seed)
    ood = _ood_outcomes(given, donors, ood_count, seed)
    plan = replace(given.bootstrap, stratified=True)
    limits = classifier.bundle.info.decision.out_of_distribution
    per_class = {str(name): counts_of(labels == name, groups) for name in np.unique(labels)}
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
        **results.corruption_metrics(labels, groups, outcomes, plan),
        "ood": results.ood_metrics(ood, fitted_on, plan.level),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "robustness.json", report)
    return [_corruption_section(report, folder), _ood_section(report, folder)]


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


def _corrupted_outcomes(
    given: PartInput, sample: Sequence[ManifestRow], names: Mapping[str, str], seed: int
) -> tuple[dict[results.Setting, list[results.Outcome]], list[Slice]]:
    """Answers of every slice in every setting, and slices that pictures can be made from."""
    outcomes: dict[results.Setting, list[results.Outcome]] = {results.CLEAN: []}
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
) -> dict[str, list[results.Outcome]]:
    outcomes: dict[str, list[results.Outcome]] = {kind: [] for kind in KINDS}
    names = {name: name for name in given.classifier.bundle.classes}
    tally = ProgressCount(given.progress, "out-of-distribution pictures", count * len(KINDS))
    for kind, answers in outcomes.items():
        for batch in batched(ood_slices(kind, count, seed + _OOD_SEED, donors), _BATCH):
            answers += _outcomes(given.classifier, batch, names)
            tally(len(batch))
    return outcomes


def _outcomes(
    classifier: Classifier, slices: Sequence[Slice], names: Mapping[str, str]
) -> list[results.Outcome]:
    return [
        results.Outcome(names[p.label], p.decision, p.confidence, tuple(r.value for r in p.reasons))
        for p in (answer.prediction for answer in classifier.answers(slices))
    ]


def _corruption_section(report: Report, folder: Path) -> Section:
    rows = [_row("unchanged", "0", report["clean"])] + [
        _row(name, f"{level['level']} ({level['strength']:g})", level)
        for name, entry in report["perturbations"].items()
        for level in entry["levels"]
        if level["level"] in _SHOWN_LEVELS
    ]
    classes = ", ".join(
        f"{name} {entry['n']} of {entry['groups']}" for name, entry in report["classes"].items()
    )
    text = (
        f"{report['n']} slices of {report['groups']} groups (by class: {classes} groups), changed "
        "in known ways at up to five levels. The mix of classes was chosen, so compare these "
        "metrics with each other and not with those of the whole split. Differences are paired: "
        "the same slices, unchanged. Intervals are 95 % and resample groups of each class apart; "
        "a share of 0 or 1 has Wilson's interval over groups.\n\n"
        "An answer that is withheld is no error: look at accuracy and at accepted and wrong "
        "together."
    )
    columns = ("corruption", "level (strength)", "accuracy", "difference to unchanged")
    return Section.of(
        "Image corruptions",
        "\n\n".join([*report["cautions"], text]),
        (*columns, "accepted", "accepted and wrong"),
        rows,
        [_draw_corruptions(report, folder / "robustness.png")],
        report["notice"],
    )


def _row(name: str, strength: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    change = found.get("accuracy_change")
    return (
        class_text(name),
        strength,
        _share(found["accuracy"]),
        "" if change is None else change_text(change, 1, 100, " points"),
        _share(found["accepted"]),
        _share(found["accepted_wrong"]),
    )


def _ood_section(report: Report, folder: Path) -> Section:
    found = report["ood"]
    rows = [
        (
            class_text(name),
            entry["family"],
            "yes" if entry["fitted_on"] else "no",
            str(entry["n"]),
            *(_share(entry[key]) for key in _VERDICTS),
        )
        for name, entry in found["kinds"].items()
    ]
    text = (
        "Pictures made in code, cut from photographs with a stated licence, or made from slices of "
        "this evaluation in ways that spoil them. None should be accepted. Intervals are 95 % "
        "(Wilson) and take pictures as independent; those made from slices share "
        "their donors, so for them the intervals are too narrow."
    )
    for key, known in (("unseen_kinds", "never saw"), ("seen_kinds", "were fitted on")):
        if found[key] is not None:
            text += (
                f"\n\nKinds that the limits {known}: {_share(found[key]['accepted'])} accepted and "
                f"{_share(found[key]['rejected'])} rejected, of {found[key]['n']} pictures of "
                f"{found[key]['kinds']} kinds (no interval: {results.NO_INTERVAL})."
            )
    return Section.of(
        "Out-of-distribution inputs",
        text,
        ("kind", "family", "limits fitted on it", "n", *(title for title, _ in _VERDICTS.values())),
        rows,
        [_draw_ood(report, folder / "ood.png")],
        report["notice"],
    )


def _share(estimate: Mapping[str, Any]) -> str:
    return share_text(*(estimate[name] for name in ("value", "ci_low", "ci_high")))


def _draw_corruptions(report: Report, path: Path) -> Path:
    entries = report["perturbations"]
    rows = -(-len(entries) // _COLUMNS)
    title = "Share of slices by strength (0: unchanged)\n"
    title += f"{report['n']} slices of {report['groups']} groups; bands: 95 % by groups"
    with drawing(path, 2.7 * _COLUMNS, 2.1 * rows + 1.0, title, report["notice"]) as figure:
        panels = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False).ravel()
        for axes, (name, entry) in zip(panels, entries.items(), strict=False):
            _draw_curves(axes, name, report["clean"], entry["levels"])
        for axes in panels[len(entries) :]:
            axes.set_axis_off()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return path


def _draw_ood(report: Report, path: Path) -> Path:
    kinds = report["ood"]["kinds"]
    title = f"Out-of-distribution inputs, {next(iter(kinds.values()))['n']} of each kind"
    if any(entry["fitted_on"] for entry in kinds.values()):
        title += "   * limits were fitted on this kind"
    with drawing(path, 7.5, 0.17 * len(kinds) + 1.4, title, report["notice"]) as figure:
        axes = figure.subplots()
        starts = [0.0] * len(kinds)
        for key, (label, colour) in _VERDICTS.items():
            shares = [entry[key]["value"] for entry in kinds.values()]
            axes.barh(range(len(kinds)), shares, left=starts, color=colour, label=label, height=0.8)
            starts = [start + share for start, share in zip(starts, shares, strict=True)]
        names = [f"{name}{' *' if entry['fitted_on'] else ''}" for name, entry in kinds.items()]
        axes.set_yticks(range(len(kinds)), names, fontsize=7)
        axes.set(ylim=(len(kinds) - 0.4, -0.6), xlim=(0, 1), xlabel="Share of pictures")
        figure.legend(loc="outside lower center", ncols=3)
    return path


def _draw_curves(
    axes: Axes, name: str, clean: Mapping[str, Any], levels: list[dict[str, Any]]
) -> None:
    for key, label, colour, dash, marker in _LINES:
        points = [clean[key], *(level[key] for level in levels)]
        x = list(range(len(points)))
        axes.plot(x, [point["value"] for point in points], color=colour, linestyle=dash,
                  marker=marker, markersize=3, linewidth=1.5, label=label)  # fmt: skip
        if all(point["ci_low"] is not None for point in points):
            low, high = ([point[end] for point in points] for end in ("ci_low", "ci_high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    strengths = ["0", *(f"{level['strength']:g}" for level in levels)]
    axes.set_xticks(range(len(strengths)), strengths, fontsize=7)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(class_text(name), fontsize=9)
    grid(axes)
