"""A monitoring report for a reader: `monitor.html` with its drawings, and lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slicewise.inference.bundle import BundleInfo
from slicewise.inference.results import DISCLAIMER
from slicewise.inference.rule import OutOfDistribution
from slicewise.reports import blocks
from slicewise.reports.html import render_html
from slicewise.reports.plots import COLOURS, grid, line_style, new_figure, png
from slicewise.service.monitoring import drift
from slicewise.service.monitoring.report import Report, Standing
from slicewise.stats.drift import PERMUTATIONS
from slicewise.stats.intervals import Share
from slicewise.text import class_text, counted, percent_text, share_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

_DPI = 110
_WIDTH = 4.6
_TICKS = 6
_MOST_DAYS = 400
_LONGEST_WORD = 34
_AGAIN = "earlier answers to an input that came again"
_ANSWERS = ("confidence", "tumor_probability", "label", "decision", "reasons")
_KINDS: dict[str, blocks.Kind] = {"steady": "good", "watch": "caution", "alert": "alert"}
"""How states and standings are shown; others are notes."""


def render_page(report: Report, bundle: BundleInfo) -> str:
    """The page; MissingExtraError without matplotlib."""
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
            ("Left out", f"{counted(found.others, 'answer')} of other bundles; {_AGAIN}"),
            ("Bundle", about.sha256),
        ),
    )
    return render_html(page)


def report_text(report: Report, page: Path) -> str:
    """What matters of a report, for a terminal; `page` is where all of it stands."""
    found = report.gathered
    lines = [
        f"{STANDINGS[report.standing]}: {report.bundle.name} {report.bundle.version}, "
        f"{counted(found.recent.uploads, 'recent upload')} against the first "
        f"{found.reference.uploads:,}"
    ]
    if found.others:
        lines.append(f"  left out: {counted(found.others, 'answer')} of other bundles")
    for one in report.expectations:
        if one.state != "steady" and one.recent is not None:
            lines.append(
                f"  {one.state}: {one.text}: {one.recent.value:.1%}; the bundle says "
                f"{one.expected:.1%}"
            )
    for change in report.changes:
        if change.state in ("watch", "alert"):
            lines.append(
                f"  {change.state}: {title_of(change.name).lower()}: index {change.index:.2f}, "
                f"chance {chance_text(change.chance)}"
            )
    return "\n".join([*lines, f"  report: {page}"])


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
        f"{percent_text(drift.TOLERANCE)} above; less confidence is to be watched, as it may come "
        "from another mix of cases."
    )
    yield blocks.Table(
        ("share of", "bundle", "first window (95 % interval)", "recent window (95 % interval)",
         "state"),
        tuple(
            (one.text,
             f"{percent_text(one.expected)} (n = {one.n}, {counted(one.groups, 'group')})",
             _share_text(one.reference), _share_text(one.recent), one.state)
            for one in found
        ),
        tuple(map(_kind, found)),
    )  # fmt: skip


def _changed(changes: Sequence[drift.Change]) -> Iterator[blocks.Block]:
    if not changes:
        return
    yield blocks.Prose(
        f"Population stability index over at most ten bins; each upload weighs the same. From "
        f"{drift.WATCH} on it is to be watched, from {drift.ALERT} on it is an alert, but only "
        f"where chance explains it in less than {percent_text(drift.LEVEL)} of the cases: "
        f"{PERMUTATIONS} times the uploads were dealt to the two windows at random, corrected for "
        f"{len(changes)} quantities (Holm)."
    )
    yield blocks.Table(
        ("quantity", "median, first → recent", "index", "chance", "state"),
        tuple(
            (title_of(one.name),
             "" if one.typical is None else f"{one.typical[0]:.3g} → {one.typical[1]:.3g}",
             "no values" if one.index is None else f"{one.index:.2f}",
             chance_text(one.chance), one.state)
            for one in changes
        ),
        tuple(map(_kind, changes)),
    )  # fmt: skip


def _days(report: Report, bundle: BundleInfo) -> Iterator[blocks.Block]:
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
    pictures = tuple(
        blocks.Picture(draw_change(one), f"{title_of(one.name)}: {one.state}", _kind(one))
        for one in report.changes
        if one.index is not None and wanted(one.name)
    )
    if pictures:
        yield blocks.Pictures(pictures, small=True)


def _kind(one: drift.Change | drift.Expectation) -> blocks.Kind:
    return _KINDS.get(one.state, "note")


def title_of(name: str) -> str:
    return TITLES.get(name, class_text(name).capitalize())


def chance_text(chance: float | None) -> str:
    """How often chance does as much: `<0.01` below that, after the correction."""
    if chance is None:
        return "-"
    return f"{chance:.2f}" if chance >= 0.01 else "<0.01"


def _share_text(share: Share | None) -> str:
    return "-" if share is None else share_text(share.value, share.ci_low, share.ci_high)


def _window_text(window: drift.Window) -> str:
    text = f"{counted(window.uploads, 'upload')}, {counted(window.answers, 'slice')}"
    if window.first is not None and window.last is not None:
        text += f", {window.first:%Y-%m-%d %H:%M} to {window.last:%Y-%m-%d %H:%M} UTC"
    return text + (" (a fair draw of more)" if window.sampled else "")


def draw_change(change: drift.Change) -> bytes:
    """Shares of both windows in every bin, as bars of equal width: the bins hold about as much."""
    words = change.kind == "words"
    figure = new_figure(_WIDTH, 1.2 + 0.34 * len(change.bins) if words else 2.7, _DPI)
    axes = figure.add_subplot()
    places = np.arange(len(change.reference))[:: -1 if words else 1]
    draw, side = (axes.barh, -1) if words else (axes.bar, 1)
    both = (
        (change.reference, -0.2, COLOURS[5], "first", ""),
        (change.recent, 0.2, COLOURS[1], "recent", "///"),
    )
    for shares, shift, colour, name, hatch in both:
        draw(places + side * shift, shares, 0.4, color=colour, hatch=hatch, edgecolor="white",
             linewidth=0.4, label=name)  # fmt: skip
    axes.legend(fontsize=8, ncols=2, frameon=False, loc="lower right", bbox_to_anchor=(1, 1),
                borderaxespad=0)  # fmt: skip
    axes.tick_params(labelsize=8)
    if words:
        texts = [class_text(str(word)) for word in change.bins]
        short = [t if len(t) <= _LONGEST_WORD else t[: _LONGEST_WORD - 1] + "…" for t in texts]
        axes.set_yticks(places, short, fontsize=8)
        axes.set_xlabel("share", fontsize=8)
    else:
        marks = np.array(change.bins, dtype=float)
        every = max(1, round(len(marks) / _TICKS))
        at = np.arange(len(marks)) - (0.5 if change.kind == "number" else 0.0)
        axes.set_xticks(at[::every], [f"{mark:.3g}" for mark in marks[::every]])
        axes.set_ylabel("share", fontsize=8)
    return png(figure)


def draw_days(days: Sequence[drift.Day], names: Sequence[str], what: str) -> bytes:
    """Share of answers by day for some `decisions` or `labels`, of the latest days."""
    shown = days[-_MOST_DAYS:]
    figure = new_figure(2 * _WIDTH, 2.9, _DPI)
    axes = figure.add_subplot()
    for index, name in enumerate(names):
        shares = [getattr(day, what)[name] / day.answers for day in shown]
        style = {"marker": "o" if len(shown) < 60 else "", "markersize": 3, **line_style(index)}
        axes.plot([day.day for day in shown], shares, label=class_text(name), **style)  # type: ignore[arg-type]  # dates are numbers to it
    axes.set_ylim(-0.02, 1.02)
    return _by_day(figure, "share of answers", min(4, len(names)))


def draw_ood_scores(days: Sequence[drift.Day], limits: OutOfDistribution | None) -> bytes:
    """Median and middle half of the out-of-distribution scores by day, with the bundle's limits."""
    shown = [day for day in days[-_MOST_DAYS:] if day.ood_scores]
    figure = new_figure(2 * _WIDTH, 2.9, _DPI)
    axes = figure.add_subplot()
    at = [day.day for day in shown]
    low, middle, high = np.array([np.percentile(day.ood_scores, (25, 50, 75)) for day in shown]).T
    style = {**line_style(0), "marker": "o", "markersize": 3}
    # Dates are numbers to matplotlib; its annotations do not say so.
    axes.plot(at, middle, label="median", **style)  # type: ignore[arg-type]
    axes.vlines(at, low, high, color=COLOURS[0], alpha=0.4, label="middle half")  # type: ignore[arg-type]
    if limits is not None:
        axes.axhline(limits.review_above, label="review above", **line_style(1))
        axes.axhline(limits.reject_above, label="reject above", **line_style(2))
    return _by_day(figure, "out-of-distribution score", 2)


def _by_day(figure: Figure, label: str, columns: int) -> bytes:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    [axes] = figure.axes
    place = AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(place)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(place))
    axes.set_ylabel(label)
    axes.legend(fontsize=8, ncols=columns, loc="best")
    grid(axes)
    return png(figure)
