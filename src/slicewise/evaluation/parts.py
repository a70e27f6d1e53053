"""What an evaluation looks at beyond the answers: gallery, times, robustness, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from slicewise.evaluation.evaluate import Evaluated, Part
from slicewise.evaluation.sections.gallery import gallery as draw_gallery
from slicewise.evaluation.sections.timing import timing_report
from slicewise.inference.bundle import Bundle
from slicewise.inference.classifier import Classifier
from slicewise.reports.blocks import Section

NOT_TOLD_APART = (
    "Not measured: the manifest tells only tumor from no tumor, and this part needs the classes "
    "of the model."
)

Shuffled = Callable[[Bundle], Mapping[str, Classifier] | str]
"""Gives a model with permuted weights, by what was permuted, or says why there is none."""


def parts_of(
    *, gallery: int, robustness: int, explanations: bool, boxes: Path | None, shuffled: Shuffled
) -> list[Part]:
    """The parts in the order in which they stand in the report.

    Args:
        gallery: Pictures of wrong and of right answers, at most so many of each.
        robustness: Slices to corrupt, and out-of-distribution pictures of each kind; 0 for none.
        boxes: Table of tumor boxes to test them against, beside the masks of the manifest.

    Raises:
        ManifestError: If the table of boxes cannot be read.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    parts: list[Part] = [partial(draw_gallery, most=gallery)] if gallery else []
    parts.append(timing_report)
    if robustness:
        parts.append(partial(_robustness, count=robustness))
    if explanations:
        parts.append(_explanations(boxes, shuffled))
    return parts


def _robustness(evaluated: Evaluated, count: int) -> list[Section]:
    from slicewise.evaluation.robustness.report import robustness

    return robustness(evaluated, limit=count, ood_count=count)


def _explanations(table: Path | None, shuffled: Shuffled) -> Part:
    from slicewise.evaluation.explanations.localisation import TITLE
    from slicewise.evaluation.explanations.regions import read_boxes
    from slicewise.evaluation.explanations.report import explanation_tests

    boxes = None if table is None else read_boxes(table)

    def part(evaluated: Evaluated) -> list[Section]:
        if evaluated.labels.collapsed:
            return [Section.of(TITLE, NOT_TOLD_APART)]
        return explanation_tests(evaluated, shuffled(evaluated.classifier.bundle), boxes)

    return part
