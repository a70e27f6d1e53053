"""A classifier and a split of a manifest to a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.data.fingerprint import Fingerprints, concatenate, fingerprints
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError, InputError
from slicewise.evaluation.bootstrap import Bootstrap
from slicewise.evaluation.checks import Bools
from slicewise.evaluation.neighbour import neighbour_correct, thumbnail
from slicewise.evaluation.plots import require_plots
from slicewise.evaluation.predictions import PredictionTable
from slicewise.evaluation.report import Refusals, ReportContext, report_from_predictions
from slicewise.evaluation.seen import SeenCheck, find_seen
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Failure, Slice, is_synthetic
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier

BATCH = 32
SYNTHETIC = "synthetic slices are never measured on"
TRAIN = "train"

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done and how much there is."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitAnswers:
    """What a classifier says about the readable slices of a split.

    Args:
        table: Logits beside what the manifest knows; N rows.
        thumbnails: (N, 1024) float32, for the nearest-neighbour baseline.
        prints: N fingerprints.
        failed: Slices that could not be read.
    """

    table: PredictionTable
    thumbnails: NDArray[np.float32]
    prints: Fingerprints
    failed: tuple[Failure, ...]


def evaluate(
    manifest: Manifest,
    classifier: Classifier,
    out_dir: Path,
    *,
    command: str,
    split: str = "test",
    allow_seen: bool = False,
    bootstrap: Bootstrap | None = None,
    plots: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a classifier on one split and write the report.

    Args:
        manifest: Slices with labels, groups and splits.
        classifier: The model.
        out_dir: Folder for the files; made where missing.
        command: The command that makes this report again; it is written into it.
        split: Which slices to evaluate.
        allow_seen: Evaluate slices the model was trained on too, and stamp every file with it.
        bootstrap: How intervals are made; the default of `Bootstrap` where None.
        plots: Whether to draw the pictures.
        progress: Told after every slice read.

    Returns:
        What was written to `metrics.json`.

    Raises:
        EvaluationError: If the split is empty, has a label the model does not know, or nothing of
            it is left once unreadable and seen slices are taken out.
        MissingExtraError: If pictures are wanted and matplotlib is not installed.
    """
    if plots:
        require_plots()
    rows = _rows_of(manifest, split, classifier.bundle.classes)
    training = manifest.subset(TRAIN).rows
    step = _counter(progress, len(rows) + len(training))
    answers = answer_split(manifest, rows, classifier, step)
    check = find_seen(classifier.bundle, answers.prints)
    kept = np.ones_like(check.seen) if allow_seen else ~check.seen
    _require_rest(kept, split)
    table = answers.table.take(kept)
    neighbour: Bools | str = f"the {TRAIN} split is its own neighbour"
    if split != TRAIN:
        neighbour = _neighbour(manifest, training, table.labels, answers.thumbnails[kept], step)
    context = _context(classifier.bundle, answers, check, command, split, allow_seen=allow_seen)
    return report_from_predictions(
        table, out_dir, context, neighbour=neighbour, bootstrap=bootstrap, plots=plots
    )


def answer_split(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifier: Classifier,
    step: Callable[[], None],
) -> SplitAnswers:
    """Read slices and run the model on them, a batch at a time.

    Args:
        manifest: Knows where the files of its rows are.
        rows: The slices, with labels the model knows.
        classifier: The model.
        step: Called after every slice.

    Raises:
        EvaluationError: If not one slice can be read.
    """
    read: list[ManifestRow] = []
    failed: list[Failure] = []
    logits, embeddings, thumbnails, prints = [], [], [], []
    for batch in _batches(_readable(manifest, rows, failed, step)):
        pixels = [slice_.pixels for _, slice_ in batch]
        outputs = classifier.forward([slice_ for _, slice_ in batch])
        read += [row for row, _ in batch]
        logits.append(outputs.logits)
        embeddings.append(outputs.embedding)
        thumbnails.append(np.stack([thumbnail(values) for values in pixels]))
        prints.append(fingerprints(pixels))
    if not read:
        raise EvaluationError(
            f"none of {len(rows)} slices can be read; the first: {failed[0].error}"
        )
    return SplitAnswers(
        _table(read, classifier.bundle, np.concatenate(logits), np.concatenate(embeddings)),
        np.concatenate(thumbnails),
        concatenate(prints),
        tuple(failed),
    )


def _rows_of(manifest: Manifest, split: str, classes: tuple[str, ...]) -> Sequence[ManifestRow]:
    rows = manifest.subset(split).rows
    if not rows:
        known = sorted({row.split for row in manifest.rows if row.split})
        raise EvaluationError(f"split {split!r}: expected slices; the manifest has {known}")
    strange = sorted({row.label for row in rows} - set(classes))
    if strange:
        raise EvaluationError(f"labels: the model knows {', '.join(classes)}; got {strange}")
    return rows


def _require_rest(kept: Bools, split: str) -> None:
    if not kept.any():
        raise EvaluationError(
            f"split {split!r}: all {kept.size} slices are ones the model was trained on, or copies "
            "of them; --allow-seen evaluates them all the same and stamps every file"
        )


def _readable(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    failed: list[Failure],
    step: Callable[[], None],
) -> Iterator[tuple[ManifestRow, Slice]]:
    """Slices in order; those that cannot be read go to `failed`."""
    for row in rows:
        try:
            slice_ = read_slice(manifest.resolve(row))
        except InputError as error:
            failed.append(Failure(row.path, str(error)))
        else:
            if is_synthetic(slice_):
                failed.append(Failure(row.path, SYNTHETIC))
            else:
                yield row, slice_
        step()


def _batches(
    slices: Iterator[tuple[ManifestRow, Slice]],
) -> Iterator[list[tuple[ManifestRow, Slice]]]:
    batch: list[tuple[ManifestRow, Slice]] = []
    for pair in slices:
        batch.append(pair)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _table(
    rows: Sequence[ManifestRow],
    bundle: Bundle,
    logits: NDArray[np.float32],
    embeddings: NDArray[np.float32],
) -> PredictionTable:
    table = PredictionTable(
        classes=bundle.classes,
        negative_class=bundle.negative_class,
        logits=logits,
        targets=np.array([bundle.classes.index(row.label) for row in rows], dtype=np.int64),
        groups=np.array([row.group for row in rows], dtype=np.str_),
        sources=np.array([row.source for row in rows], dtype=np.str_),
        paths=np.array([row.path for row in rows], dtype=np.str_),
        embeddings=embeddings,
    )
    return table.decided(bundle.info.decision)


def _neighbour(
    manifest: Manifest,
    training: Sequence[ManifestRow],
    labels: NDArray[np.str_],
    thumbnails: NDArray[np.float32],
    step: Callable[[], None],
) -> Bools | str:
    """Whether the nearest training slice has the same label, or why that is not known."""
    if not training:
        return f"the manifest has no {TRAIN} split"
    failed: list[Failure] = []
    known = [
        (row.label, thumbnail(slice_.pixels))
        for row, slice_ in _readable(manifest, training, failed, step)
    ]
    if failed:
        return f"{len(failed)} of {len(training)} training slices cannot be read"
    references = np.stack([small for _, small in known])
    return neighbour_correct(thumbnails, labels, references, [label for label, _ in known])


def _context(
    bundle: Bundle,
    answers: SplitAnswers,
    check: SeenCheck,
    command: str,
    split: str,
    *,
    allow_seen: bool,
) -> ReportContext:
    point = bundle.info.decision.operating_point
    seen = tuple(str(path) for path in answers.table.paths[check.seen])
    return ReportContext(
        split=split,
        command=command,
        bundle=bundle.reference,
        threshold_rule="not fitted, 0.5 assumed" if point is None else point.rule,
        refusals=Refusals(seen, check.described, answers.failed, allow_seen),
    )


def _counter(progress: Progress | None, total: int) -> Callable[[], None]:
    """A function that counts its calls and tells `progress`."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("reading slices", done, total)

    return step
