"""What an evaluation looks at beyond the answers: gallery, times, robustness, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from slicewise.arrays import Ints, Strings
from slicewise.data.manifest import ManifestRow
from slicewise.evaluation.evaluate import Evaluated, Part, PartInput
from slicewise.evaluation.slices import SAMPLE, sample_rows, sample_slices
from slicewise.evaluation.summary import confident_errors
from slicewise.evaluation.timing import STAGES, machine, timings
from slicewise.explain.heatmap import heat_map_of
from slicewise.explain.overlay import caption_of, display, overlay, side_by_side, stamped
from slicewise.files import whole, write_json
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier
from slicewise.predictions.table import PredictionTable
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import require_plots
from slicewise.text import class_text, counted, percent_text

if TYPE_CHECKING:
    from slicewise.evaluation.explanations.regions import Boxes

NOT_TOLD_APART = (
    "Not measured: the manifest tells only tumor from no tumor, and this part needs the classes "
    "of the model."
)
Shuffled = Callable[[Bundle], Mapping[str, Classifier] | str]
"""Gives a model with permuted weights, by what was permuted, or says why there is none."""
_SEED = 42
_BATCH = 16
SHOWN = 18
"""Slices on the contact sheet of heat maps."""
NOTHING_SEEN = "not measured: the model sees no tumor on any slice of the sample"


def parts_of(
    *, gallery: int, robustness: int, explanations: bool, boxes: Path | None, shuffled: Shuffled
) -> list[Part]:
    """Parts of a report beyond the answers, in the order in which they stand there.

    Args:
        gallery: Pictures of wrong and of right answers, at most so many of each.
        robustness: Slices to corrupt, and out-of-distribution pictures of each kind; 0 for none.
        boxes: Table of tumor boxes to test heat maps against, beside the masks of the manifest.

    Raises:
        ManifestError: If the table of boxes cannot be read.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    parts: list[Part] = [partial(draw_gallery, most=gallery)] if gallery else []
    parts.append(timing_report)
    if robustness:
        from slicewise.evaluation.robustness.report import robustness as corrupt

        parts.append(partial(corrupt, limit=robustness, ood_count=robustness))
    if explanations:
        parts.append(_explanations(boxes, shuffled))
    return parts


def draw_gallery(evaluated: Evaluated, most: int) -> list[Section]:
    """Draw the most confident wrong answers, and right ones drawn by lot from every class.

    Writes `gallery/incorrect_0001.png` and on, `gallery/correct_0001.png` and on, at most so many
    (1 or more) of each, beside the heat map of the answered class. Older ones are removed.
    """
    folder, table = evaluated.out_dir / "gallery", evaluated.table
    folder.mkdir(exist_ok=True)
    for kind in ("correct", "incorrect"):
        for old in folder.glob(f"{kind}_[0-9][0-9][0-9][0-9].png"):
            old.unlink()
    wrong, right = confident_errors(table, most), correct_by_lot(table, most)
    step = ProgressCount(evaluated.progress, "drawing the gallery", wrong.size + right.size)
    mistakes = int(np.sum(table.predicted != table.targets))
    kinds = (
        ("wrong", "incorrect", wrong, mistakes, "the most confident first"),
        ("right", "correct", right, table.n - mistakes, "drawn by lot from every class"),
    )
    sections = []
    for name, file, rows, total, order in kinds:
        paths = [folder / f"{file}_{number:04d}.png" for number in range(1, rows.size + 1)]
        for row, path in zip(rows.tolist(), paths, strict=True):
            _draw(evaluated, row, path)
            step()
        text = (
            f"{len(paths)} of {total} {name} answers, {order}. Left the slice, right where the "
            "evidence for the answered class lies. A heat map shows what the model looked at, not "
            "where a tumor is. These pictures are slices of the data set: keep the report where "
            "the data may be kept."
        )
        text = text if paths else f"No slice was answered {name}."
        sections.append(Section.of(f"Gallery of {name} answers", text, pictures=paths))
    return sections


def correct_by_lot(table: PredictionTable, most: int) -> Ints:
    """Rows of right answers by lot, class after class, at most so many; the same for a table."""
    generator = np.random.default_rng(_SEED)
    right = table.predicted == table.targets
    decks = [
        generator.permutation(np.flatnonzero(right & (table.targets == k))).tolist()
        for k in range(len(table.classes))
    ]
    chosen: list[int] = []
    while len(chosen) < most and any(decks):
        chosen += [deck.pop() for deck in decks if deck]
    return np.array(chosen[:most], dtype=np.int64)


def timing_report(evaluated: Evaluated) -> list[Section]:
    """Take times on some of the slices and write `timing.json`, not `metrics.json`; its section."""
    slices, classifier = sample_slices(evaluated.manifest, evaluated.rows), evaluated.classifier
    at, found = machine(classifier.threads), timings(classifier, slices)
    write_json(evaluated.out_dir / "timing.json", {"machine": at, **found})
    load = "" if at["load_average"] is None else f", load average {at['load_average']:.1f}"
    section = Section.of(
        "Speed on this machine",
        f"Milliseconds on {at['device']} ({at['cpu']}, {at['cpus']} logical processors, "
        f"{counted(at['threads'], 'thread')} for the forward pass{load}, ONNX Runtime "
        f"{at['onnxruntime']}). Batches hold {found['batch']} slices. Reading files is not "
        "counted. Other work on the machine makes these times longer; they judge nothing.",
        ("stage", "median", "90th percentile", "99th percentile", "slices"),
        [
            (STAGES[name], *(f"{times[key]:.1f}" for key in ("p50", "p90", "p99")), str(times["n"]))
            for name, times in found["stages_ms"].items()
        ],
    )
    return [section]


def explanation_tests(
    given: PartInput,
    shuffled: Mapping[str, Classifier] | str,
    boxes: Boxes | None = None,
    sample: int = SAMPLE,
) -> list[Section]:
    """Run every test of the heat maps and write `explanations.json` and its pictures.

    Args:
        shuffled: Classifiers by what of them was permuted, `all` among them, or why there are none.
        boxes: Where tumors are, for slices without a mask.
        sample: Slices for the tests of faithfulness; see `sample_rows`.

    Raises:
        InputError: If a slice or mask cannot be read.
        ManifestError: If a name in the table of boxes means two slices.
        MissingExtraError: If matplotlib is not installed.
    """
    from slicewise.evaluation.explanations.deletion import TITLE, deletion_report
    from slicewise.evaluation.explanations.localisation import localisation_report
    from slicewise.evaluation.explanations.randomisation import randomisation_report

    require_plots()
    given.out_dir.mkdir(parents=True, exist_ok=True)
    if boxes is not None:
        boxes.require_one_each(row.path for row in given.rows)
    shown = frozenset(row.path for row in _with_tumor(given, SHOWN))
    places = localisation_report(given, boxes, shown)
    slices, groups = _shown_tumors(given, _with_tumor(given, sample))
    weights = randomisation_report(slices, groups, given, shuffled if slices else NOTHING_SEEN)
    pixels = {"reason": NOTHING_SEEN}, Section.of(TITLE, NOTHING_SEEN)
    if slices:
        pixels = deletion_report(slices, groups, given)
    tests = {"localisation": places, "randomisation": weights, "deletion": pixels}
    measured = {name: found for name, (found, _) in tests.items()}
    write_json(given.out_dir / "explanations.json", {"slices": len(given.rows), **measured})
    return [section for _, section in tests.values()]


def _explanations(table: Path | None, shuffled: Shuffled) -> Part:
    from slicewise.evaluation.explanations.localisation import TITLE
    from slicewise.evaluation.explanations.regions import read_boxes

    boxes = None if table is None else read_boxes(table)

    def part(evaluated: Evaluated) -> list[Section]:
        if evaluated.labels.collapsed:
            return [Section.of(TITLE, NOT_TOLD_APART)]
        return explanation_tests(evaluated, shuffled(evaluated.classifier.bundle), boxes)

    return part


def _draw(evaluated: Evaluated, row: int, path: Path) -> None:
    slice_ = read_slice(evaluated.manifest.resolve(evaluated.rows[row]))
    answer = evaluated.classifier.answers([slice_])[0]
    table = evaluated.table
    caption = [
        f"true: {class_text(str(table.labels[row]))}, answered: "
        f"{class_text(answer.prediction.label)} {percent_text(answer.prediction.confidence)}",
        str(table.paths[row]),
        *caption_of(answer.prediction)[1:],
    ]
    drawn = overlay(slice_, heat_map_of(slice_, answer))
    sheet = side_by_side(Image.fromarray(display(slice_)), drawn, caption)
    with whole(path) as draft:
        stamped(sheet, evaluated.notice).save(draft)


def _with_tumor(given: PartInput, limit: int) -> list[ManifestRow]:
    """A sample of the slices with a tumor, one of each class at least; none where there is none."""
    negative = given.classifier.bundle.negative_class
    tumors = [row for row in given.rows if row.label != negative]
    if not tumors:
        return []
    return sample_rows(tumors, max(limit, len({row.label for row in tumors})), _SEED)


def _shown_tumors(given: PartInput, rows: Sequence[ManifestRow]) -> tuple[list[Slice], Strings]:
    """Slices on which the model sees a tumor, where a map has something to show; their groups."""
    step, classifier = ProgressCount(given.progress, "reading", len(rows)), given.classifier
    slices, groups = [], []
    for batch in batched(rows, _BATCH):
        read = [read_slice(given.manifest.resolve(row)) for row in batch]
        for row, slice_, answer in zip(batch, read, classifier.predict(read), strict=True):
            step()
            if answer.label != classifier.bundle.negative_class:
                slices.append(slice_)
                groups.append(row.group)
    return slices, np.array(groups, dtype=np.str_)
