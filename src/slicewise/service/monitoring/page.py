"""`monitor.html`: how the service stands, with pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from slicewise.inference.bundle import BundleInfo
from slicewise.inference.results import DISCLAIMER
from slicewise.reports import blocks
from slicewise.reports.html import render_html
from slicewise.service.monitoring.drift import ALERT, LEVEL, TOLERANCE, WATCH, Change, Expectation
from slicewise.service.monitoring.pictures import draw_change, draw_days, draw_ood_scores
from slicewise.service.monitoring.report import Report, Standing
from slicewise.service.monitoring.windows import Window
from slicewise.stats.drift import PERMUTATIONS
from slicewise.stats.intervals import Share
from slicewise.text import class_text, counted, percent_text, share_text

STANDINGS: dict[Standing, str] = {
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
}
"""Quantities in words; one that is not here is called by its name."""

_ANSWERS = ("confidence", "tumor_probability", "label", "decision", "reasons")
_KINDS: dict[str, blocks.Kind] = {"steady": "good", "watch": "caution", "alert": "alert"}
"""How states and standings are shown; others are notes."""


def render_page(report: Report, bundle: BundleInfo) -> str:
    """The page.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    about, found = report.bundle, report.gathered
    span = f"{report.question.since:%Y-%m-%d %H:%M} to {report.question.until:%Y-%m-%d %H:%M} UTC"
    parts: dict[str, Iterator[blocks.Block]] = {
        "Summary": _summary(report),
        "Against the bundle": _expected(report),
        "Against the first window": _changed(report.changes),
        "Over time": _days(report, bundle),
        "Inputs": _drawn(report, lambda name: name not in _ANSWERS),
        "Answers": _drawn(report, lambda name: name in _ANSWERS),
    }
    sections = (blocks.Section(title, tuple(part)) for title, part in parts.items())
    page = blocks.Page(
        "SliceWise monitor",
        f"{about.name} {about.version}, {span}",
        DISCLAIMER,
        tuple(section for section in sections if section.blocks),
        made=(
            ("First window", _window_text(found.reference)),
            ("Recent window", _window_text(found.recent)),
            (
                "Left out",
                f"{found.others} answers of other bundles; earlier answers to an input that came "
                "again",
            ),
            ("Bundle", about.sha256),
        ),
    )
    return render_html(page)


def _summary(report: Report) -> Iterator[blocks.Block]:
    first, recent = report.gathered.reference.uploads, report.gathered.recent.uploads
    states = Counter([*(c.state for c in report.changes), *(e.state for e in report.expectations)])
    yield blocks.Notice(
        _KINDS.get(report.standing, "note"),
        STANDINGS[report.standing],
        f"{counted(states['alert'], 'alert')}, {states['watch']} to be watched",
    )
    yield blocks.Counts(
        ((first, "uploads in the first window"), (recent, "uploads in the recent window"))
    )
    if not report.changes:
        yield blocks.Prose(
            f"A window with fewer than {report.question.least_uploads} distinct uploads says "
            f"nothing about drift: here the first has {first} and the recent one {recent}."
        )
    yield blocks.Prose(
        "Drift says that inputs or answers are no longer as they were. It does not say that the "
        "answers are worse: for that, someone has to look at cases and say what they are "
        "(feedback, or an evaluation on new labelled slices)."
    )


def _expected(report: Report) -> Iterator[blocks.Block]:
    found = report.expectations
    if not found:
        return
    yield blocks.Prose(
        "Shares that the bundle measured on held-out slices. A share above a limit of the "
        "out-of-distribution score is an alert where its whole interval lies more than "
        f"{percent_text(TOLERANCE)} above; less confidence is to be watched, as it may come from "
        "another mix of cases."
    )
    yield blocks.Table(
        ("share of", "bundle", "first window (95 % interval)", "recent window (95 % interval)",
         "state"),
        tuple(
            (one.text, f"{percent_text(one.expected)} (n = {one.n}, {one.groups} groups)",
             _share_text(one.reference), _share_text(one.recent), one.state)
            for one in found
        ),
        tuple(map(_kind, found)),
    )  # fmt: skip


def _changed(changes: Sequence[Change]) -> Iterator[blocks.Block]:
    if not changes:
        return
    yield blocks.Prose(
        f"Population stability index over at most ten bins; each upload weighs the same. From "
        f"{WATCH} on it is to be watched, from {ALERT} on it is an alert, but only where chance "
        f"explains it in less than {percent_text(LEVEL)} of the cases: {PERMUTATIONS} times the "
        "uploads were dealt to the two windows at random, corrected for "
        f"{len(changes)} quantities (Holm)."
    )
    yield blocks.Table(
        ("quantity", "median, first → recent", "index", "chance", "state"),
        tuple(
            (
                title_of(one.name),
                "" if one.typical is None else f"{one.typical[0]:.3g} → {one.typical[1]:.3g}",
                "no values" if one.index is None else f"{one.index:.2f}",
                chance_text(one.chance),
                one.state,
            )
            for one in changes
        ),
        tuple(map(_kind, changes)),
    )


def _days(report: Report, bundle: BundleInfo) -> Iterator[blocks.Block]:
    """Drawings over time; none of a single day."""
    days, limits = report.gathered.days, bundle.decision.out_of_distribution
    if len(days) < 2:
        return
    drawn = [
        (draw_days(days, ("accept", "review", "reject"), "decisions"), "Decisions by day"),
        (draw_days(days, bundle.task.classes, "labels"), "Labels by day"),
    ]
    if any(day.ood_scores for day in days):
        drawn.append((draw_ood_scores(days, limits), "Out-of-distribution score by day"))
    yield blocks.Pictures(tuple(blocks.Picture(*one) for one in drawn))


def _drawn(report: Report, wanted: Callable[[str], bool]) -> Iterator[blocks.Block]:
    """Both windows of every quantity that has values."""
    pictures = tuple(
        blocks.Picture(draw_change(one), f"{title_of(one.name)}: {one.state}", _kind(one))
        for one in report.changes
        if one.index is not None and wanted(one.name)
    )
    if pictures:
        yield blocks.Pictures(pictures, small=True)


def _kind(one: Change | Expectation) -> blocks.Kind:
    return _KINDS.get(one.state, "note")


def title_of(name: str) -> str:
    """What a quantity is called on the page."""
    return TITLES.get(name, class_text(name).capitalize())


def chance_text(chance: float | None) -> str:
    """How often chance does as much: `<0.01` below that, after the correction."""
    if chance is None:
        return "-"
    return f"{chance:.2f}" if chance >= 0.01 else "<0.01"


def _share_text(share: Share | None) -> str:
    return "-" if share is None else share_text(share.value, share.ci_low, share.ci_high)


def _window_text(window: Window) -> str:
    text = f"{window.uploads} uploads, {window.answers} slices"
    if window.first is not None and window.last is not None:
        text += f", {window.first:%Y-%m-%d %H:%M} to {window.last:%Y-%m-%d %H:%M} UTC"
    return text + (" (a fair draw of more)" if window.sampled else "")
