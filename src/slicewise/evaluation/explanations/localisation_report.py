"""A localisation in numbers for JSON and in words for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from slicewise.evaluation.explanations.localisation import (
    ALL,
    CENTRE_SPREAD,
    LEVEL,
    MEASURES,
    METHODS,
    NEAR,
    Localisation,
    Scored,
    figures,
)
from slicewise.evaluation.explanations.localisation_pictures import METHOD_TITLES, TITLES, draw_bars
from slicewise.evaluation.summary import nested
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap, Estimate
from slicewise.text import figure_text, signed_text

DEFINITIONS = {
    "pointing": "share of slices whose heat map peaks inside the region",
    "near": f"the same, or within {NEAR:.0%} of the slice's longer side",
    "energy": "mean share of the heat that lies inside the region",
    "iou": f"mean intersection over union of the region and the heat above {LEVEL} of its maximum",
    "heat_map": "of the true class, or of the answered one where a tumor was answered",
    "centre": f"a Gaussian in the middle of the head's square, spread {CENTRE_SPREAD} of its side",
    "brightest": "the pixels themselves, from the darkest up",
    "random": "expectation for a point, or for heat, spread evenly over an ellipse in the head box",
    "gain": "heat map minus centre, paired",
    "without_evidence": "maps that are 0 everywhere; they count as misses",
}
TITLE = "Where the heat maps look"


def localisation_report(
    found: Sequence[Scored],
    sheet: Path | None,
    out_dir: Path,
    bootstrap: Bootstrap,
    notice: str | None,
) -> tuple[dict[str, Any], Section]:
    """Metrics with intervals for JSON, the bars, and the section of the report.

    Args:
        found: At least one slice.
        sheet: The contact sheet, where one was drawn.
        out_dir: Folder for `localisation.png`.
    """
    measured = figures(found, bootstrap)
    tree: dict[str, Any] = {"definitions": DEFINITIONS, **nested(measured.estimates)}
    for (target, class_), counts in measured.counts.items():
        tree[target][class_] |= counts
    bars = draw_bars(measured, out_dir / "localisation.png", notice)
    section = Section.of(
        TITLE,
        _text(measured),
        ("class", "slices", "map", *(TITLES[name] for name in MEASURES)),
        _rows(measured),
        [bars, sheet] if sheet else [bars],
        notice,
    )
    return tree, section


def _rows(measured: Localisation) -> Iterator[tuple[str, ...]]:
    """One line for each class and kind of map, for the true class."""
    known = [(class_, n) for (target, class_), n in measured.counts.items() if target == "true"]
    for class_, counts in known:
        for method in METHODS:
            head = (class_, str(counts["n"])) if method == METHODS[0] else ("", "")
            found = (measured.estimates["true", class_, method, name] for name in MEASURES)
            yield *head, METHOD_TITLES[method], *(figure_text(one.as_json()) for one in found)


def _text(measured: Localisation) -> str:
    counts = measured.counts["true", ALL]
    gain = measured.estimates["true", ALL, "gain", "pointing"]
    answered = measured.counts["answered", ALL]
    pointing = measured.estimates["answered", ALL, "heat_map", "pointing"].as_json()
    lines = [
        f"The heat map of the true class was held against the tumor's box or mask on {counts['n']} "
        f"slices of {counts['groups']} groups; {counts['without_evidence']} maps show no evidence "
        "and count as misses. A peak within 5 % means within 5 % of the slice's longer side. "
        "Beside it stand guesses that know nothing of the model: a map is worth no more than what "
        "it gains over them.",
        f"Against a Gaussian in the middle of the head, the share of peaks inside is "
        f"{signed_text(gain.as_json())}. {_verdict(gain)} With the map of the answered class, "
        f"where a tumor was answered ({answered['n']} slices), it is {figure_text(pointing)}.",
        "The network's map is coarse, and a tumor smaller than one of its cells cannot hold much "
        "of the heat: the share of heat and the overlap stay low even for a map that points well.",
    ]
    return "\n\n".join(lines)


def _verdict(gain: Estimate) -> str:
    if gain.ci_low is None or gain.ci_high is None:
        return "There is no interval to judge by."
    if gain.ci_low > 0:
        return "The maps point better than the middle of the picture."
    if gain.ci_high < 0:
        return "The maps point worse than the middle of the picture."
    return "The maps do not point measurably better than the middle of the picture."
