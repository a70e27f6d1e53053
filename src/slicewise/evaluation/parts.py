"""What an evaluation looks at beyond the answers: gallery, times, robustness, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slicewise.evaluation.evaluate import Evaluated, Part
from slicewise.evaluation.sections.gallery import gallery
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


@dataclass(frozen=True, slots=True)
class Extras:
    """What is to be looked at beyond the answers.

    Args:
        gallery: Pictures of wrong and of right answers, at most so many of each.
        robustness: Slices to perturb, and strange pictures of each kind; 0 for none.
        boxes: Table of tumor boxes to test them against, beside the masks of the manifest.
    """

    gallery: int
    robustness: int
    explanations: bool
    boxes: Path | None


def parts_of(extras: Extras, shuffled: Shuffled) -> list[Part]:
    """The parts in the order in which they stand in the report.

    Raises:
        ManifestError: If the table of boxes cannot be read.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    parts: list[Part] = [partial(gallery, most=extras.gallery)] if extras.gallery else []
    parts.append(timing_report)
    if extras.robustness:
        parts.append(partial(_robustness, count=extras.robustness))
    if extras.explanations:
        parts.append(_explanations(extras.boxes, shuffled))
    return parts


def _robustness(evaluated: Evaluated, count: int) -> list[Section]:
    from slicewise.evaluation.robustness.tests import robustness

    return robustness(
        evaluated.manifest,
        evaluated.rows,
        evaluated.classifier,
        evaluated.out_dir,
        limit=count,
        ood_count=count,
        bootstrap=evaluated.bootstrap,
        notice=evaluated.notice,
        progress=evaluated.progress,
    )


def _explanations(table: Path | None, shuffled: Shuffled) -> Part:
    from slicewise.evaluation.explanations.regions import read_boxes
    from slicewise.evaluation.explanations.tests import explanation_tests

    boxes = None if table is None else read_boxes(table)

    def part(evaluated: Evaluated) -> list[Section]:
        if evaluated.labels.collapsed:
            return [Section.of("Where the heat maps look", NOT_TOLD_APART)]
        _, sections = explanation_tests(
            evaluated.manifest,
            evaluated.rows,
            evaluated.classifier,
            evaluated.out_dir,
            shuffled=shuffled(evaluated.classifier.bundle),
            boxes=boxes,
            bootstrap=evaluated.bootstrap,
            notice=evaluated.notice,
            progress=evaluated.progress,
        )
        return sections

    return part
