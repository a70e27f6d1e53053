"""A classifier and a split of a manifest to a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools, Strings
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.manifest import SPLITS, Manifest, ManifestRow
from slicewise.errors import EvaluationError, ManifestError, SeenError
from slicewise.evaluation.answering import answer_split, readable
from slicewise.evaluation.compare import comparison, names_of, require_same_task
from slicewise.evaluation.gate import Gate, judge, require_known, write_gate
from slicewise.evaluation.labels import Labels, read_labels
from slicewise.evaluation.report import Refusals, ReportContext, write_metrics, write_pages
from slicewise.evaluation.seen import RULES, find_seen, neighbour_correct, units_of
from slicewise.evaluation.slices import sample_slices
from slicewise.imaging.slice import Failure, InternalFailure
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier
from slicewise.predictions.table import PredictionTable
from slicewise.progress import Progress, ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import require_plots
from slicewise.stats.bootstrap import Bootstrap

TRAIN, TEST, ALL = "train", "test", "all"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PartInput:
    """What a further part of a report works on; every picture has to say the `notice`."""

    manifest: Manifest
    rows: Sequence[ManifestRow]
    classifier: Classifier
    out_dir: Path
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    notice: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evaluated(PartInput):
    """The same after an evaluation, with what was answered; N rows in the same order."""

    table: PredictionTable
    labels: Labels


class Chosen(NamedTuple):
    """What of a manifest is evaluated; `untyped` are paths left out, of no known kind of tumor."""

    rows: list[ManifestRow]
    training: list[ManifestRow]
    labels: Labels
    untyped: tuple[str, ...]


Part = Callable[[Evaluated], Sequence[Section]]
"""Writes files of its own into the folder of the report and says what stands in them."""


def evaluate(
    manifest: Manifest,
    classifier: Classifier,
    out_dir: Path,
    *,
    command: str,
    split: str = TEST,
    allow_seen: bool = False,
    bootstrap: Bootstrap | None = None,
    plots: bool = True,
    label_names: Mapping[str, str] | None = None,
    gate: Gate | None = None,
    rivals: Sequence[Classifier] = (),
    parts: Sequence[Part] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a classifier on one split, write the report, and return what is in `metrics.json`.

    Args:
        out_dir: Folder for the files; made where missing.
        command: The command that makes this report again; it is written into it.
        split: Which slices to evaluate; `all` for every row, whatever its split.
        allow_seen: Evaluate slices a model was trained on too, and stamp every file with it.
        label_names: What labels of the manifest mean, where they are no class of the model.
        rivals: Models to compare with, on the same slices.
        parts: Further parts of the report, in the order in which they stand there.

    Raises:
        EvaluationError: If the split is empty, has a label the model does not know, or nothing of
            it is left once unreadable, changed and seen slices are taken out; if a rival has other
            classes.
        ManifestError: If there is no such split.
        ConfigError: If the gate names a class or source that was not evaluated, or a label name
            a class that the model does not have.
        MissingExtraError: If pictures are wanted and matplotlib is not installed.
    """
    if plots:
        require_plots()
    models = (classifier, *rivals)
    require_same_task([model.bundle for model in models])
    rows, training, labels, untyped = choose(manifest, split, classifier.bundle, label_names or {})
    if gate is not None:
        require_known(gate, labels.classes, sorted({row.source for row in rows}))
    step = ProgressCount(progress, "reading slices", len(rows) + len(training))
    answers = answer_split(manifest, rows, models, labels, step)
    units, sources = units_of(answers.rows, answers.pixels), [row.source for row in answers.rows]
    checks = [find_seen(model.bundle, answers.prints, units, sources) for model in models]
    seen = np.asarray(np.any([check.seen for check in checks], axis=0))
    rules = np.select([check.patients for check in checks], [check.rules for check in checks], "")
    rules[seen] = ""
    alike = np.any([check.alike for check in checks], axis=0) & ~seen & (rules == "")
    kept = _kept(seen, rules, split, allow_seen=allow_seen)
    tables = [table.take(kept) for table in answers.tables]
    thumbnails = answers.thumbnails[kept]
    neighbour = _neighbour(manifest, split, training, tables[0].labels, thumbnails, step)
    refusals = Refusals(
        tuple(answers.tables[0].paths[seen].tolist()),
        "; ".join(
            check.described if len(models) == 1 else f"{name}: {check.described}"
            for name, check in zip(names_of(models), checks, strict=True)
        ),
        answers.failed,
        allow_seen,
        untyped,
        tuple(answers.tables[0].paths[rules != ""].tolist()),
        checked=all(check.checked for check in checks),
        rules=_by_rule(rules),
        groups_checked=all(check.groups_checked for check in checks),
        alike=int(alike.sum()),
    )
    context = _context(classifier.bundle, split, command, refusals, labels)
    method = bootstrap or Bootstrap()
    report = write_metrics(
        tables[0], out_dir, context, neighbour=neighbour, bootstrap=method, plots=plots
    )
    read = tuple(row for row, keep in zip(answers.rows, kept, strict=True) if keep)
    evaluated = Evaluated(
        manifest=manifest,
        rows=read,
        classifier=classifier,
        out_dir=out_dir,
        bootstrap=method,
        notice=refusals.notice,
        progress=progress,
        table=tables[0],
        labels=labels,
    )
    judgement = None if gate is None else judge(gate, report)
    first = () if gate is None or judgement is None else (write_gate(judgement, gate, out_dir),)
    write = partial(
        write_pages, tables[0], report, out_dir, plots=plots, judgement=judgement, first=first
    )
    write()  # so that a part that fails, or is broken off, does not cost the report
    more: list[Section] = []
    if rivals:
        some = sample_slices(manifest, read)
        notice = refusals.notice
        more.append(comparison(models, tables, some, out_dir, method, notice=notice, plots=plots))
    more += [section for part in parts for section in part(evaluated)]
    if more:
        write(more=more)
    return report


def default_split(manifest: Manifest) -> str:
    """`test`, or `all` where no slice of the manifest has a split: an external set."""
    return TEST if any(row.split for row in manifest.rows) else ALL


def choose(manifest: Manifest, split: str, bundle: Bundle, names: Mapping[str, str]) -> Chosen:
    """The slices to evaluate, by the labels alone; no file of theirs is opened.

    Raises:
        EvaluationError: If the split is empty, or has a label the model does not know.
        ManifestError: If there is no such split.
        ConfigError: If a name stands for a class that the model does not have.
    """
    if split not in (*SPLITS, ALL):
        known = ", ".join((*SPLITS, ALL))
        raise ManifestError(f"split {split!r}: expected one of {known}")
    rows = manifest.rows if split == ALL else manifest.subset(split).rows
    if not rows:
        present = sorted({row.split for row in manifest.rows if row.split})
        raise EvaluationError(f"split {split!r}: expected slices; the manifest has {present}")
    training = () if split == ALL else manifest.subset(TRAIN).rows
    beside = [row.label for row in training]
    labels = read_labels([row.label for row in rows], bundle.info.task, names, beside)
    typed = [row for row in rows if row.label not in labels.untyped]
    untyped = tuple(row.path for row in rows if row.label in labels.untyped)
    return Chosen(labels.read(typed), labels.read(training), labels, untyped)


def _kept(seen: Bools, rules: Strings, split: str, *, allow_seen: bool) -> Bools:
    """(N,) which slices are evaluated: those that no model was trained on."""
    met: Bools = np.asarray(seen | (rules != ""))
    if allow_seen:
        return np.ones_like(seen)
    if met.all():
        why = [f"{seen.sum()} seen", *(f"{n} {RULES[rule]}" for rule, n in _by_rule(rules).items())]
        raise SeenError(
            f"split {split!r}: all {seen.size} slices are ones the model was trained on, copies of "
            f"them, or others of their patients ({'; '.join(why)}); --allow-seen (over HTTP "
            "allow_seen) evaluates them, with a notice"
        )
    return ~met


def _by_rule(rules: Strings) -> dict[str, int]:
    counts = Counter(rules.tolist())
    return {rule: counts[rule] for rule in RULES if counts[rule]}


def _neighbour(
    manifest: Manifest,
    split: str,
    training: Sequence[ManifestRow],
    labels: NDArray[np.str_],
    thumbnails: NDArray[np.float32],
    step: Callable[[], None],
) -> Bools | str:
    """Whether the nearest training slice has the same label, or why that is not known."""
    if split == TRAIN:
        return f"the {TRAIN} split is its own neighbour"
    if split == ALL:
        return "all slices are evaluated; none is left to compare them with"
    if not training:
        return f"the manifest has no {TRAIN} split"
    failed: list[Failure] = []
    read = readable(manifest, training, failed, step)
    references = [thumbnail(slice_.pixels) for _, slice_ in read]
    if failed:
        faults = sum(isinstance(one, InternalFailure) for one in failed)
        why = f"; SliceWise itself failed on {faults}: please report it" if faults else ""
        of = f"{len(failed)} of {len(training)}"
        return f"{of} training slices cannot be read or have changed{why}"
    known = [row.label for row in training]
    return neighbour_correct(thumbnails, labels, np.stack(references), known)


def _context(
    bundle: Bundle, split: str, command: str, refusals: Refusals, labels: Labels
) -> ReportContext:
    point, sets = bundle.info.decision.operating_point, bundle.info.decision.conformal
    return ReportContext(
        split=split,
        command=command,
        bundle=bundle.reference,
        threshold_rule="not fitted, 0.5 assumed" if point is None else point.rule,
        threshold_fitted=point is not None,
        refusals=refusals,
        promised_coverage=None if sets is None else sets.coverage,
        labels=labels,
    )
