"""The parts of a report on decisions: accepted or not, why not, and prediction sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slicewise.inference.decision import REASON_TEXTS, Reason, Verdict
from slicewise.reports.blocks import Section
from slicewise.text import cell_text, class_text, percent_text

Report = Mapping[str, Any]


def decision_chapters(report: Report, pictures: tuple[Path, ...]) -> Iterator[Section]:
    """Withholding answers, the decisions and their reasons, and the sets, where there are any.

    Args:
        report: As in `metrics.json`.
        pictures: The drawn risk-coverage curve, where it was drawn.
    """
    yield _decisions(report, pictures)
    if report["decisions"]["reasons"]:
        yield _reasons(report)
    if report["conformal"]["coverage"]["value"] is not None:
        yield _sets(report)


def _decisions(report: Report, pictures: tuple[Path, ...]) -> Section:
    decisions = report["decisions"]
    area = cell_text(decisions["risk_coverage_area"])
    text = (
        "The curve keeps the surest answers first and shows how many of those kept are wrong. By "
        f"{decisions['scored_by']} the area under it is {area}; it would be the error rate if that "
        "said nothing."
    )
    if decisions["counts"] is None:
        return Section("Withholding answers", text, pictures=pictures)
    rows = tuple(
        (
            str(verdict),
            str(decisions["counts"][verdict]),
            cell_text(decisions[verdict]["share"]),
            cell_text(decisions[verdict]["accuracy"]),
        )
        for verdict in Verdict
    )
    return Section(
        "Accept, review, reject",
        "An answer is accepted by itself, sent to a person, or not given at all. Slices to review "
        f"or reject count in every other figure of this report. {text}",
        ("decision", "slices", "share", "accuracy within"),
        rows,
        pictures,
    )


def _reasons(report: Report) -> Section:
    rows = tuple(
        (reason, str(count), REASON_TEXTS[Reason(reason)])
        for reason, count in report["decisions"]["reasons"].items()
    )
    return Section(
        "Why answers were not simply accepted",
        "A slice may have several reasons; some are remarks that decide nothing.",
        ("reason", "slices", "meaning"),
        rows,
    )


def _sets(report: Report) -> Section:
    sets = report["conformal"]
    promised = sets["promised"]
    words = "" if promised is None else f" They aim at {percent_text(promised)} or more."
    rows = (
        ("all", cell_text(sets["coverage"]), cell_text(sets["set_size"])),
        *(
            (class_text(name), cell_text(entry["coverage"]), cell_text(entry["set_size"]))
            for name, entry in sets["per_class"].items()
        ),
    )
    return Section(
        "Prediction sets",
        "The set holds every class that stays possible. Coverage is how often the true class is "
        f"among them.{words} {cell_text(sets['single'])} of the sets hold one class only. The "
        "promise holds for slices like those the sets were fitted on.",
        ("true class", "coverage", "mean size"),
        rows,
    )
