"""Pictures of wrong and right answers with their heat maps, to be looked at one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from slicewise.arrays import Ints
from slicewise.evaluation.evaluate import Evaluated
from slicewise.evaluation.sections.mistakes import confident_errors
from slicewise.explain.heatmap import heat_map_of
from slicewise.explain.overlay import caption_of, display, overlay, side_by_side, stamped
from slicewise.files import whole
from slicewise.imaging.read import read_slice
from slicewise.predictions.table import PredictionTable
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.text import class_text, percent_text

FOLDER = "gallery"
CORRECT, INCORRECT = "correct", "incorrect"
_SEED = 42


def gallery(evaluated: Evaluated, most: int) -> list[Section]:
    """Draw the most confident wrong answers, and right ones drawn by lot from every class.

    Writes `gallery/incorrect_0001.png` and on, `gallery/correct_0001.png` and on, each the slice
    beside the heat map of the answered class. Pictures of an older report are removed.

    Args:
        most: At most so many of each kind, at least 1.
    """
    folder, table = evaluated.out_dir / FOLDER, evaluated.table
    folder.mkdir(exist_ok=True)
    for kind in (CORRECT, INCORRECT):
        for old in folder.glob(f"{kind}_[0-9][0-9][0-9][0-9].png"):
            old.unlink()
    wrong, right = confident_errors(table, most), correct_by_lot(table, most)
    step = ProgressCount(evaluated.progress, "drawing the gallery", wrong.size + right.size)
    mistakes = int(np.sum(table.predicted != table.targets))
    kinds = (
        ("wrong", INCORRECT, wrong, mistakes, "the most confident first"),
        ("right", CORRECT, right, table.n - mistakes, "drawn by lot from every class"),
    )
    sections = []
    for name, file, rows, total, order in kinds:
        paths = [folder / f"{file}_{number:04d}.png" for number in range(1, rows.size + 1)]
        for row, path in zip(rows.tolist(), paths, strict=True):
            _draw(evaluated, row, path)
            step()
        sections.append(_section(name, total, order, paths))
    return sections


def correct_by_lot(table: PredictionTable, most: int) -> Ints:
    """Rows of right answers drawn by lot, class after class in turn; always the same of a table.

    Args:
        most: At most so many.
    """
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


def _draw(evaluated: Evaluated, row: int, path: Path) -> None:
    """Slice and heat map of one row over what was true and what was answered."""
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


def _section(kind: str, total: int, order: str, pictures: Sequence[Path]) -> Section:
    text = (
        f"{len(pictures)} of {total} {kind} answers, {order}. Left the slice, right where the "
        "evidence for the answered class lies. A heat map shows what the model looked at, not "
        "where a tumor is. These pictures are slices of the data set: keep the report where the "
        "data may be kept."
    )
    title, none = f"Gallery of {kind} answers", f"No slice was answered {kind}."
    return Section.of(title, text if pictures else none, pictures=pictures)
