"""The drawings of a monitoring report, as PNG in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from slicewise.inference.rule import OutOfDistribution
from slicewise.reports.plots import COLOURS, grid, line_style, new_figure, png
from slicewise.service.monitoring.drift import Change
from slicewise.service.monitoring.windows import Day
from slicewise.text import class_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_WIDTH = 4.6
_TICKS = 6
_MOST_DAYS = 400
_LONGEST_WORD = 34


def draw_change(change: Change) -> bytes:
    """Shares of both windows in every bin of a quantity, side by side."""
    words = change.kind == "words"
    figure = new_figure(_WIDTH, 1.2 + 0.34 * len(change.bins) if words else 2.7, _DPI)
    (_draw_words if words else _draw_numbers)(figure.add_subplot(), change)
    return png(figure)


def draw_days(days: Sequence[Day], names: Sequence[str], what: str) -> bytes:
    """Share of answers by day, of the latest days.

    Args:
        names: Which decisions or labels.
        what: `decisions` or `labels`.
    """
    shown = days[-_MOST_DAYS:]
    figure = new_figure(2 * _WIDTH, 2.9, _DPI)
    axes = figure.add_subplot()
    for index, name in enumerate(names):
        shares = [getattr(day, what)[name] / day.answers for day in shown]
        style = {"marker": "o" if len(shown) < 60 else "", "markersize": 3, **line_style(index)}
        axes.plot([day.day for day in shown], shares, label=class_text(name), **style)  # type: ignore[arg-type]  # dates are numbers to it
    axes.set_ylim(-0.02, 1.02)
    return _by_day(figure, "share of answers", min(4, len(names)))


def draw_ood_scores(days: Sequence[Day], limits: OutOfDistribution | None) -> bytes:
    """Median and middle half of the out-of-distribution scores by day, with the bundle's limits."""
    shown = [day for day in days[-_MOST_DAYS:] if day.ood_scores]
    figure = new_figure(2 * _WIDTH, 2.9, _DPI)
    axes = figure.add_subplot()
    at = [day.day for day in shown]
    low, middle, high = np.array([np.percentile(day.ood_scores, (25, 50, 75)) for day in shown]).T
    style = {**line_style(0), "marker": "o", "markersize": 3}
    axes.plot(at, middle, label="median", **style)  # type: ignore[arg-type]
    axes.vlines(at, low, high, color=COLOURS[0], alpha=0.4, label="middle half")  # type: ignore[arg-type]
    if limits is not None:
        axes.axhline(limits.review_above, label="review above", **line_style(1))
        axes.axhline(limits.reject_above, label="reject above", **line_style(2))
    return _by_day(figure, "out-of-distribution score", 2)


def _draw_numbers(axes: Axes, change: Change) -> None:
    """Bars of equal width: the bins hold about as much each, their limits stand below."""
    places = np.arange(len(change.reference))
    _bars(axes, change, places, horizontal=False)
    marks = np.array(change.bins, dtype=float)
    every = max(1, round(len(marks) / _TICKS))
    at = np.arange(len(marks)) - (0.5 if change.kind == "number" else 0.0)
    axes.set_xticks(at[::every], [f"{mark:.3g}" for mark in marks[::every]])
    axes.set_ylabel("share", fontsize=8)


def _draw_words(axes: Axes, change: Change) -> None:
    places = np.arange(len(change.bins))[::-1]
    _bars(axes, change, places, horizontal=True)
    words = [class_text(str(word)) for word in change.bins]
    short = [w if len(w) <= _LONGEST_WORD else w[: _LONGEST_WORD - 1] + "…" for w in words]
    axes.set_yticks(places, short, fontsize=8)
    axes.set_xlabel("share", fontsize=8)


def _bars(axes: Axes, change: Change, places: np.ndarray, *, horizontal: bool) -> None:
    draw, side = (axes.barh, -1) if horizontal else (axes.bar, 1)
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
