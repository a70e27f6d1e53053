"""Tests of the heat maps: where they look, whether they follow the model, whether it needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from slicewise.arrays import Strings
from slicewise.data.manifest import ManifestRow
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.explanations.deletion import TITLE, deletion_report
from slicewise.evaluation.explanations.localisation import BATCH, localisation_report
from slicewise.evaluation.explanations.randomisation import randomisation_report
from slicewise.evaluation.explanations.regions import Boxes
from slicewise.evaluation.slices import sample_rows
from slicewise.files import write_json
from slicewise.imaging.batches import batched
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.progress import Tally
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
        shuffled: Classifiers by what of them was permuted, `all` among them, or why there are none.
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


def _with_tumor(given: PartInput, limit: int) -> list[ManifestRow]:
    """A sample of the slices with a tumor, one of each class at least; none where there is none."""
    negative = given.classifier.bundle.negative_class
    tumors = [row for row in given.rows if row.label != negative]
    if not tumors:
        return []
    return sample_rows(tumors, max(limit, len({row.label for row in tumors})), SEED)


def _shown_tumors(given: PartInput, rows: Sequence[ManifestRow]) -> tuple[list[Slice], Strings]:
    """Slices on which the model sees a tumor, where a map has something to show; their groups."""
    step, classifier = Tally(given.progress, "reading", len(rows)), given.classifier
    slices, groups = [], []
    for batch in batched(rows, BATCH):
        read = [read_slice(given.manifest.resolve(row)) for row in batch]
        for row, slice_, answer in zip(batch, read, classifier.predict(read), strict=True):
            step()
            if answer.label != classifier.bundle.negative_class:
                slices.append(slice_)
                groups.append(row.group)
    return slices, np.array(groups, dtype=np.str_)
