"""Tests of the heat maps: where they look, whether they follow the model, whether it needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.evaluation.explanations.faithfulness import (
    NOTHING_SEEN,
    SEED,
    deletion_report,
    randomisation_report,
)
from slicewise.evaluation.explanations.localisation import BATCH, Scored, localised
from slicewise.evaluation.explanations.localisation_pictures import contact_sheet, tile
from slicewise.evaluation.explanations.localisation_report import TITLE, localisation_report
from slicewise.evaluation.explanations.regions import Boxes
from slicewise.evaluation.sample import sample_rows
from slicewise.files import write_json
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.progress import Progress, Tally
from slicewise.reports.blocks import Section
from slicewise.reports.plots import require_plots
from slicewise.stats.bootstrap import Bootstrap

SHOWN = 18
"""Slices on the contact sheet."""

SAMPLE = 48
"""Slices for the tests of faithfulness, which run the network many times for each."""

NO_REGIONS = "not measured: no slice has a tumor box or mask"


def explanation_tests(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifier: Classifier,
    out_dir: Path,
    *,
    shuffled: Mapping[str, Classifier] | str,
    boxes: Boxes | None = None,
    bootstrap: Bootstrap | None = None,
    sample: int = SAMPLE,
    notice: str | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], list[Section]]:
    """Run every test of the heat maps and write `explanations.json` and its pictures.

    Args:
        manifest: Knows where slices and masks are.
        out_dir: Folder for the files; made where missing.
        shuffled: From a permuted part of the network (`all` among them) to the classifier made of
            it, or in words why there are none.
        boxes: Where tumors are, for slices without a mask.
        bootstrap: How intervals are made; the default of `Bootstrap` where None.
        sample: Slices for the tests of faithfulness; see `sample_rows`.
        notice: A line of warning on every picture, such as that training slices are among them.
        progress: Told of each step.

    Returns:
        What was written to `explanations.json`, and the parts of the report.

    Raises:
        InputError: If a slice or mask cannot be read.
        ManifestError: If a name in the table of boxes means two slices.
        MissingExtraError: If matplotlib is not installed.
    """
    require_plots()
    out_dir.mkdir(parents=True, exist_ok=True)
    method = bootstrap or Bootstrap()
    if boxes is not None:
        boxes.require_one_each(row.path for row in rows)
    found, place = _localisation(
        manifest, rows, classifier, boxes, out_dir, method, notice, progress
    )
    chosen = _with_tumor(rows, classifier, sample)
    slices, groups = _shown_tumors(
        manifest, chosen, classifier, Tally(progress, "reading", len(chosen))
    )
    faith, tests = _faithfulness(
        slices, groups, classifier, shuffled, out_dir, method, notice, progress
    )
    report = {"slices": len(rows), "localisation": found, **faith}
    write_json(out_dir / "explanations.json", report)
    return report, [place, *tests]


def _localisation(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifier: Classifier,
    boxes: Boxes | None,
    out_dir: Path,
    method: Bootstrap,
    notice: str | None,
    progress: Progress | None,
) -> tuple[dict[str, Any], Section]:
    step = Tally(progress, "localising", len(rows))
    shown = {row.path for row in _with_tumor(rows, classifier, SHOWN)}
    scored: list[Scored] = []
    tiles: list[Image.Image] = []
    for one in localised(manifest, rows, classifier, boxes, step):
        scored.append(one.scored)
        if one.path in shown:
            tiles.append(tile(one))
    if not scored:
        return {"reason": NO_REGIONS}, Section.of(TITLE, NO_REGIONS)
    sheet = contact_sheet(tiles, out_dir / "localisation_slices.png", notice) if tiles else None
    return localisation_report(scored, sheet, out_dir, method, notice)


def _faithfulness(
    slices: Sequence[Slice],
    groups: Sequence[str],
    classifier: Classifier,
    shuffled: Mapping[str, Classifier] | str,
    out_dir: Path,
    method: Bootstrap,
    notice: str | None,
    progress: Progress | None,
) -> tuple[dict[str, Any], list[Section]]:
    names = np.array(groups, dtype=np.str_)
    rounds = 1 if isinstance(shuffled, str) else 1 + len(shuffled)
    step = Tally(progress, "permuted networks", rounds * len(slices))
    checked = randomisation_report(
        slices,
        names,
        classifier,
        shuffled if slices else NOTHING_SEEN,
        out_dir,
        method,
        step,
        notice,
    )
    step = Tally(progress, "taking pixels away", len(slices))
    deleted = deletion_report(slices, names, classifier, out_dir, method, step, notice)
    return (
        {"randomisation": checked[0], "deletion": deleted[0]},
        [checked[1], deleted[1]],
    )


def _with_tumor(
    rows: Sequence[ManifestRow], classifier: Classifier, limit: int
) -> list[ManifestRow]:
    """A sample of the slices with a tumor, one of each class at least; none where there is none."""
    tumors = [row for row in rows if row.label != classifier.bundle.negative_class]
    if not tumors:
        return []
    return sample_rows(tumors, max(limit, len({row.label for row in tumors})), SEED)


def _shown_tumors(
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    classifier: Classifier,
    step: Callable[[], None],
) -> tuple[list[Slice], list[str]]:
    """Slices on which the model sees a tumor, where a map has something to show; their groups."""
    slices, groups = [], []
    for batch in batched(rows, BATCH):
        read = [read_slice(manifest.resolve(row)) for row in batch]
        for row, slice_, said in zip(batch, read, classifier.predict(read), strict=True):
            step()
            if said.label != classifier.bundle.negative_class:
                slices.append(slice_)
                groups.append(row.group)
    return slices, groups
