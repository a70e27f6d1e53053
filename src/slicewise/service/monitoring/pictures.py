"""The drawings of a monitoring report, as PNG in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from slicewise.reports.plots import COLOURS, grid, line_style, new_figure, png
from slicewise.service.monitoring.drift import Change
from slicewise.service.monitoring.windows import Day
from slicewise.text import class_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 110
_SMALL, _WIDE = (4.6, 2.7), (9.2, 2.9)
_REFERENCE, _RECENT = COLOURS[5], COLOURS[1]
_TICKS = 6
_MOST_DAYS = 400
_LONGEST_WORD = 34


def draw_change(change: Change) -> bytes:
    """Shares of both windows in every bin of a quantity, side by side."""
    if change.kind != "words":
        figure = new_figure(*_SMALL, _DPI)
        _draw_numbers(figure.add_subplot(), change)
    else:
        figure = new_figure(_SMALL[0], 1.2 + 0.34 * len(change.bins), _DPI)
        _draw_words(figure.add_subplot(), change)
    return png(figure)


def draw_days(days: Sequence[Day], names: Sequence[str], what: str) -> bytes:
    """Share of answers by day.

    Args:
        days: In order; of many the latest are drawn.
        names: Which decisions or labels.
        what: `decisions` or `labels`.
    """
    shown = days[-_MOST_DAYS:]
    figure = new_figure(*_WIDE, _DPI)
    axes = figure.add_subplot()
    for index, name in enumerate(names):
        shares = [getattr(day, what)[name] / day.answers for day in shown]
        style = {"marker": "o" if len(shown) < 60 else "", "markersize": 3, **line_style(index)}
        axes.plot([day.day for day in shown], shares, label=class_text(name), **style)  # type: ignore[arg-type]  # dates are numbers to it
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of answers")
    _finish_days(axes, min(4, len(names)))
    return png(figure)


def draw_ood_scores(days: Sequence[Day], limits: Sequence[tuple[str, float]]) -> bytes:
    """Median and middle half of the out-of-distribution scores by day, with the bundle's limits."""
    shown = [day for day in days[-_MOST_DAYS:] if day.ood_scores]
    figure = new_figure(*_WIDE, _DPI)
    axes = figure.add_subplot()
    at = [day.day for day in shown]
    low, middle, high = (
        [float(np.percentile(day.ood_scores, q)) for day in shown] for q in (25, 50, 75)
    )
    style = {**line_style(0), "marker": "o", "markersize": 3}
    axes.plot(at, middle, label="median", **style)  # type: ignore[arg-type]
    axes.vlines(at, low, high, color=COLOURS[0], alpha=0.4, label="middle half")  # type: ignore[arg-type]
    for index, (name, value) in enumerate(limits, start=1):
        axes.axhline(value, label=name, **line_style(index))
    axes.set_ylabel("out-of-distribution score")
    _finish_days(axes, 2)
    return png(figure)


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
    draw = axes.barh if horizontal else axes.bar
    side = -1 if horizontal else 1
    both = (
        (change.reference, -0.2, _REFERENCE, "first", ""),
        (change.recent, 0.2, _RECENT, "recent", "///"),
    )
    for shares, shift, colour, name, hatch in both:
        draw(places + side * shift, shares, 0.4, color=colour, hatch=hatch, edgecolor="white",
             linewidth=0.4, label=name)  # fmt: skip
    axes.legend(
        fontsize=8,
        ncols=2,
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
    )
    axes.tick_params(labelsize=8)


def _finish_days(axes: Axes, columns: int) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    place = AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(place)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(place))
    axes.legend(fontsize=8, ncols=columns, loc="best")
    grid(axes)
