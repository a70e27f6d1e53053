"""Tests of the heat maps: where they look, whether they follow the model, whether it needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slicewise.arrays import Strings
from slicewise.data.manifest import ManifestRow
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.explanations import deletion, localisation_report, randomisation
from slicewise.evaluation.explanations.localisation import BATCH
from slicewise.evaluation.explanations.regions import Boxes
from slicewise.evaluation.sample import sample_rows
from slicewise.files import write_json
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import require_plots

SHOWN = 18
"""Slices on the contact sheet."""

SAMPLE = 48
"""Slices for the tests of faithfulness, which run the network many times for each."""

SEED = 42
NOTHING_SEEN = "not measured: the model sees no tumor on any slice of the sample"


def explanation_tests(
    given: PartInput,
    shuffled: Mapping[str, Classifier] | str,
    boxes: Boxes | None = None,
    sample: int = SAMPLE,
) -> list[Section]:
    """Run every test of the heat maps and write `explanations.json` and its pictures.

    Args:
        shuffled: From a permuted part of the network (`all` among them) to the classifier made of
            it, or in words why there are none.
        boxes: Where tumors are, for slices without a mask.
        sample: Slices for the tests of faithfulness; see `sample_rows`.

    Raises:
        InputError: If a slice or mask cannot be read.
        ManifestError: If a name in the table of boxes means two slices.
        MissingExtraError: If matplotlib is not installed.
    """
    require_plots()
    given.out_dir.mkdir(parents=True, exist_ok=True)
    if boxes is not None:
        boxes.require_one_each(row.path for row in given.rows)
    shown = frozenset(row.path for row in _with_tumor(given, SHOWN))
    tests = {"localisation": localisation_report.localisation_report(given, boxes, shown)}
    slices, groups = _shown_tumors(given, _with_tumor(given, sample))
    tests["randomisation"] = randomisation.randomisation_report(
        slices, groups, given, shuffled if slices else NOTHING_SEEN
    )
    tests["deletion"] = (
        deletion.deletion_report(slices, groups, given)
        if slices
        else ({"reason": NOTHING_SEEN}, Section.of(deletion.TITLE, NOTHING_SEEN))
    )
    report: dict[str, Any] = {"slices": len(given.rows)}
    report |= {name: measured for name, (measured, _) in tests.items()}
    write_json(given.out_dir / "explanations.json", report)
    return [section for _, section in tests.values()]


def _with_tumor(given: PartInput, limit: int) -> list[ManifestRow]:
    """A sample of the slices with a tumor, one of each class at least; none where there is none."""
    negative = given.classifier.bundle.negative_class
    tumors = [row for row in given.rows if row.label != negative]
    if not tumors:
        return []
    return sample_rows(tumors, max(limit, len({row.label for row in tumors})), SEED)


def _shown_tumors(given: PartInput, rows: Sequence[ManifestRow]) -> tuple[list[Slice], Strings]:
    """Slices on which the model sees a tumor, where a map has something to show; their groups."""
    step, classifier = ProgressCount(given.progress, "reading", len(rows)), given.classifier
    slices, groups = [], []
    for batch in batched(rows, BATCH):
        read = [read_slice(given.manifest.resolve(row)) for row in batch]
        for row, slice_, answer in zip(batch, read, classifier.predict(read), strict=True):
            step()
            if answer.label != classifier.bundle.negative_class:
                slices.append(slice_)
                groups.append(row.group)
    return slices, np.array(groups, dtype=np.str_)
