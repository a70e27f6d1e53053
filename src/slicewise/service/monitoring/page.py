"""`monitor.html`: a report with pictures; self-contained, no script, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slicewise.inference.bundle import BundleInfo
from slicewise.inference.results import DISCLAIMER
from slicewise.reports.html import templates
from slicewise.reports.plots import require_plots
from slicewise.service.monitoring.drift import ALERT, LEVEL, TOLERANCE, WATCH, Change
from slicewise.service.monitoring.pictures import draw_change, draw_days, draw_ood_scores
from slicewise.service.monitoring.report import Report
from slicewise.stats.drift import PERMUTATIONS
from slicewise.stats.intervals import Share
from slicewise.text import class_text, percent_text, share_text

_TEMPLATE = "monitor.html.j2"

STANDINGS = {
    "steady": "Steady: no alert",
    "watch": "To be watched: no alert",
    "alert": "Alert",
    "too_little": "Too little to say",
}
"""The standing of a report in words."""

TITLES = {
    "rows": "Rows of the slice",
    "columns": "Columns of the slice",
    "mean": "Mean of the pixels",
    "std": "Spread of the pixels",
    "p1": "Darkest hundredth of the pixels",
    "p50": "Median of the pixels",
    "p99": "Brightest hundredth of the pixels",
    "ood_score": "Out-of-distribution score",
    "confidence": "Confidence",
    "tumor_probability": "Tumor probability",
    "label": "Label",
    "decision": "Decision",
    "reasons": "Reasons",
}
"""Quantities in words; one that is not here is called by its name."""

_ANSWERS = ("confidence", "tumor_probability", "label", "decision", "reasons")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A change with its words and picture."""

    title: str
    change: Change
    index: str
    chance: str
    typical: str
    picture: str


def render_page(report: Report, bundle: BundleInfo) -> str:
    """The page as text.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    require_plots()
    drawn = list(_drawn(report))
    environment = templates("slicewise.service.monitoring")
    environment.filters["share"] = _share_text
    environment.filters["percent"] = percent_text
    return environment.get_template(_TEMPLATE).render(
        report=report,
        headline=STANDINGS[report.standing],
        rows=drawn,
        parts=[
            ("Inputs", [d for d in drawn if d.change.name not in (*_ANSWERS, "ood_score")]),
            ("Out-of-distribution score", [d for d in drawn if d.change.name == "ood_score"]),
            ("Answers", [d for d in drawn if d.change.name in _ANSWERS]),
        ],
        days=_days(report, bundle),
        disclaimer=DISCLAIMER,
        limits={
            "watch": WATCH,
            "alert": ALERT,
            "level": LEVEL,
            "permutations": PERMUTATIONS,
            "tolerance": TOLERANCE,
        },
    )


def _drawn(report: Report) -> Iterator[Drawn]:
    for change in report.changes:
        known = change.index is not None
        yield Drawn(
            title=title_of(change.name),
            change=change,
            index=f"{change.index:.2f}" if known else "no values",
            chance=chance_text(change.chance),
            typical="" if change.typical is None else _typical_text(change.typical),
            picture=draw_change(change) if known else "",
        )


def title_of(name: str) -> str:
    """What a quantity is called on the page."""
    return TITLES.get(name, class_text(name))


def chance_text(chance: float | None) -> str:
    """How often chance does as much: `<0.01` below that, after the correction."""
    if chance is None:
        return "-"
    return f"{chance:.2f}" if chance >= 0.01 else "<0.01"


def _days(report: Report, bundle: BundleInfo) -> list[tuple[str, str]]:
    """Drawings over time, caption and address; none of a single day."""
    days = report.gathered.days
    if len(days) < 2:
        return []
    decisions = ("accept", "review", "reject")
    drawn = [
        ("Decisions by day", draw_days(days, decisions, "decisions")),
        ("Labels by day", draw_days(days, bundle.task.classes, "labels")),
    ]
    limits = bundle.decision.out_of_distribution
    if any(day.ood_scores for day in days):
        lines = []
        if limits is not None:
            lines = [("review above", limits.review_above), ("reject above", limits.reject_above)]
        drawn.append(("Out-of-distribution score by day", draw_ood_scores(days, lines)))
    return drawn


def _typical_text(typical: tuple[float, float]) -> str:
    return f"{typical[0]:.3g} → {typical[1]:.3g}"


def _share_text(share: Share | None) -> str:
    return "-" if share is None else share_text(share.value, share.ci_low, share.ci_high)
